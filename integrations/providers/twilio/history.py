"""Lists all messages that Twilio has sent for an account since a given time, page by page: for a database
restored from a backup. The list does not show our reference: messages are identified by Twilio's id, phone
and text. Pure.
"""

from datetime import UTC, datetime

from integrations.providers.contract import (
    Booked,
    BooksPage,
    DeliveryReport,
    DeliveryStatus,
    ProviderError,
)
from integrations.providers.reading import word
from integrations.providers.transport import Answer
from integrations.reasons import Reason

from .answers import Row, moment, parsed, report_of, sid_of, trouble_of

BY_US = "outbound-api"
NEVER = datetime.fromtimestamp(0, UTC)


def page(answer: Answer, since: datetime) -> BooksPage:
    data = parsed(answer)
    rows = data.get("messages")
    if answer.status != 200 or not isinstance(rows, list):
        raise trouble_of(answer, data)
    if not all(isinstance(row, dict) and moment(row.get("date_created")) for row in rows):
        raise trouble_of(answer, {})
    following = word(data.get("next_page_uri"))
    if following and not following.startswith("/"):
        raise ProviderError(Reason.OTHER, "twilio:strange next page")
    booked = tuple(_booked(row) for row in rows if word(row.get("direction")) == BY_US)
    # Rows are sorted by sending time, which waiting messages lack: the whole page must be older.
    over = not rows or all(_newest(row) < since for row in rows)
    return BooksPage(booked, "" if over else following)


def _booked(row: Row) -> Booked:
    phone = word(row.get("to"))
    # A status that means nothing to us: Twilio has the message all the same.
    report = report_of("", phone, row) or DeliveryReport(
        "", phone, DeliveryStatus.ACCEPTED, provider_id=sid_of(row)
    )
    return Booked(report, word(row.get("body")), _newest(row))


def _newest(row: Row) -> datetime:
    moments = [moment(row.get(name)) for name in ("date_created", "date_sent")]
    return max((each for each in moments if each), default=NEVER)
