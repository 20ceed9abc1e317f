"""All that SMSC has sent for an account since a moment, page by page: for a database that was turned
back and does not know what to ask for.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from integrations.providers.contract import Booked, BooksPage, ProviderError
from integrations.providers.reading import digits, text_of
from integrations.reasons import Reason
from smsmail import uptime

from .answers import (
    Row,
    error_code,
    moment,
    number,
    older,
    parsed,
    report_of,
    rows_of,
    trouble_of,
)
from .api import SmscApi
from .codes import NOTHING_FOUND

MOSCOW = ZoneInfo("Europe/Moscow")  # the dates of its history
PAGE = 1000  # rows in one answer: its maximum
PAGE_CAP = 16_000_000  # a page of long texts in \\uXXXX


def page(api: SmscApi, since: datetime, cursor: str) -> BooksPage:
    """Return the rows before the one that the cursor names. Raises ProviderError."""
    answer = api.ask(
        "get",
        {
            "get_messages": "1",
            "start": f"{since.astimezone(MOSCOW):%d.%m.%Y}",
            "end": f"{timezone.now().astimezone(MOSCOW) + timedelta(days=1):%d.%m.%Y}",
            "cnt": str(PAGE),
            **({"prev_id": cursor} if cursor else {}),
        },
        deadline=uptime.clock() + settings.BATCH_DEADLINE,
        cap=PAGE_CAP,
    )
    data = parsed(answer)
    if error_code(data) == NOTHING_FOUND:
        return BooksPage(())
    rows = rows_of(data)
    if not isinstance(data, list) or len(rows) != len(data):
        raise trouble_of(answer, data)
    if not rows:
        return BooksPage(())
    _check_order(rows, cursor)
    found = tuple(_booked(row) for row in rows if digits(row.get("phone")))
    # A short page proves nothing: its length may be bounded by less than we asked for.
    return BooksPage(found, "" if older(rows[-1], since) else text_of(rows[-1]["int_id"]))


def _booked(row: Row) -> Booked:
    at = moment(row.get("send_timestamp")) or datetime.fromtimestamp(0, UTC)
    report = report_of(text_of(row.get("id")), f"+{digits(row.get('phone'))}", row)
    return Booked(report, text_of(row.get("message")), at)


def _check_order(rows: list[Row], cursor: str) -> None:
    """Require newest first, and all rows older than the page before: otherwise the end of the pages
    proves nothing.
    """
    chain = [number(row.get("int_id")) for row in rows]
    if cursor:
        chain.insert(0, number(cursor))
    known = [each for each in chain if each is not None]
    if len(known) < len(chain) or known != sorted(set(known), reverse=True):
        raise ProviderError(Reason.OTHER, "smsc:history out of order")
