"""Which message in Twilio's books is ours when no answer told its id: by phone, text and time. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from integrations.provider import Asked, Report, ReportStatus

from .twilio_answers import Row, moment, report_of, sid_of, word

# Its clock and ours may differ. Too little here would take a message for never sent, and send it
# twice.
CLOCKS_DIFFER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message looked for in Twilio's books."""

    reference: str
    asked: Asked
    since: datetime


def match(
    wanted: Sequence[Wanted], rows: Sequence[Row], taken: set[str], now: datetime
) -> list[Report]:
    """News of messages to one phone from all rows about it; those in `taken` are known to be others.

    Each row is one message only: of two with the same text, both must be there. NOT_FOUND is said
    only LOOK_UP_AFTER seconds after the hand-over: the list shows a message as soon as it is
    created, so what can be missing then is a request that hangs in the network, and none lives
    longer than our own timeout.
    """
    ours = [row for row in rows if _by_us(row) and sid_of(row) not in taken]
    left = sorted(ours, key=created)
    reports: list[Report] = []
    for each in sorted(wanted, key=lambda each: each.since):
        row = next((row for row in left if _fits(row, each)), None)
        if row is not None:
            left.remove(row)
            report = report_of(each.reference, each.asked.phone, row)
            reports += [report] if report else []
        elif now - each.since > timedelta(seconds=settings.LOOK_UP_AFTER):
            reports.append(Report(each.reference, each.asked.phone, ReportStatus.NOT_FOUND))
    return reports


def created(row: Row) -> datetime:
    """ValueError when the row does not say it."""
    when = moment(row.get("date_created"))
    if when is None:
        raise ValueError("a row without a date")
    return when


def same_text(ours: str, theirs: str) -> bool:
    """Its Smart Encoding swaps quotes and dashes, and texts may be deleted from its books (""). To
    take another message for ours is the smaller evil: sending twice would be the greater one.
    """
    return not theirs or _letters(ours) == _letters(theirs)


def _by_us(row: Row) -> bool:
    return word(row.get("direction")) == "outbound-api"


def _fits(row: Row, wanted: Wanted) -> bool:
    recent = created(row) >= wanted.since - CLOCKS_DIFFER
    return recent and same_text(wanted.asked.text, word(row.get("body")))


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text))
