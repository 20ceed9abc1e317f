"""Messages in Twilio's books: their fate, how its answers tell of them, and its errors. Pure."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

from tests.emulators.web import Reply

ACCOUNT = "AC" + "0123456789abcdef" * 2
SERVICE = "MG" + "00112233445566778899aabbccddeeff"
PRICE = Decimal("0.0075")  # a part
CURRENCY = "USD"

# Last two digits of the phone: refused at once with this code, or the final status and error_code.
# All others are delivered.
REFUSED = {"00": 21211, "07": 21614, "08": 21610}
SILENT = "06"  # sent, and nothing is ever told
FATES: dict[str, tuple[str, int]] = {
    "01": ("undelivered", 30005),
    "02": ("undelivered", 30003),
    "03": ("undelivered", 30008),
    "04": ("undelivered", 30004),
    "05": ("failed", 30036),
}
HTTP = {20003: 401, 20005: 403, 20404: 404, 20429: 429, 20500: 500, 20503: 503, 21408: 403}


@dataclass(slots=True)
class Row:
    """One message in the books."""

    sid: str
    to: str
    sender: str
    service: str
    body: str
    callback: str
    created_at: float
    sent_at: float  # not before, when it is scheduled
    final_at: float
    parts: int
    scheduled: bool = False
    canceled: bool = False

    @property
    def first(self) -> str:
        """The status in the answer to its creation."""
        return "scheduled" if self.scheduled else "accepted" if self.service else "queued"

    @property
    def fate(self) -> tuple[str, int | None]:
        return FATES.get(self.to[-2:], ("delivered", None))

    def date_sent(self, now: float) -> float | None:
        """None while it waits."""
        waits = self.state(now)[0] in {"accepted", "queued", "scheduled", "canceled"}
        return None if waits else self.final_at

    def state(self, now: float) -> tuple[str, int | None]:
        if self.canceled:
            return "canceled", None
        if now < self.sent_at + (self.final_at - self.sent_at) / 2:
            waits = not self.scheduled or now < self.sent_at
            return self.first if waits else "queued", None
        if now < self.final_at or self.to.endswith(SILENT):
            return "sent", None
        return self.fate


def told(row: Row, now: float) -> dict[str, Any]:
    status, code = row.state(now)
    sent = row.date_sent(now) is not None
    uri = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{row.sid}"
    return {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": row.body,
        "date_created": rfc_2822(row.created_at),
        "date_sent": rfc_2822(row.final_at) if sent else None,
        "date_updated": rfc_2822(row.final_at if sent else row.created_at),
        "direction": "outbound-api",
        "error_code": code,
        "error_message": "made up" if code else None,
        "from": row.sender or None,
        "messaging_service_sid": row.service or None,
        "num_media": "0",
        "num_segments": "0" if row.service and not sent else str(row.parts),
        "price": str(-PRICE * row.parts) if sent else None,
        "price_unit": CURRENCY if sent else None,
        "sid": row.sid,
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": row.to,
        "uri": f"{uri}.json",
    }


def error(code: int, message: str = "made up") -> Reply:
    status = HTTP.get(code, 400)
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return as_json(
        {"code": code, "message": message, "more_info": more_info, "status": status}, status
    )


def as_json(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


def rfc_2822(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC))
