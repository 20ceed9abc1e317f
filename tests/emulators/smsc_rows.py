"""Messages in SMSC's books: their fate, and how its answers tell of them. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.emulators.smsc_format import dialable, moscow, parts_of

PRICE = Decimal("2.50")  # a part

# Last two digits of the phone: the final status and err. All others are delivered.
SILENT = "06"  # accepted, but nothing is ever told; "00" is no number: 22/249 (smsc_format)
FATES = {
    "01": (20, 1),
    "02": (20, 6),
    "03": (20, 12),
    "04": (20, 255),
    "05": (3, 0),
    "07": (25, 11),
}
NOTHING = ("last_date", "last_timestamp", "send_date", "send_timestamp", "status_name")
NAMES = {
    -3: "Сообщение не найдено",
    -1: "Ожидает отправки",
    0: "Передано оператору",
    1: "Доставлено",
    3: "Просрочено",
}


@dataclass(slots=True)
class Row:
    """One message in the books."""

    id: str
    int_id: int
    phone: str  # digits
    text: str
    sender: str
    sent_at: float
    final_at: float
    parts: int
    login: str = ""  # whose books it stands in

    @property
    def fate(self) -> tuple[int, int]:
        return FATES.get(self.phone[-2:], (1, 0))

    def state(self, now: float) -> tuple[int, int]:
        if now < self.sent_at:
            return -1, 0
        return (0, 0) if now < self.final_at or self.phone.endswith(SILENT) else self.fate


def told(row: Row, now: float) -> dict[str, Any]:
    status, err = row.state(now)
    changed = row.final_at if status > 0 else row.sent_at
    return {
        "id": row.id,
        "int_id": str(row.int_id),
        "phone": row.phone,
        "status": status,
        "status_name": NAMES.get(status, "Не доставлено"),
        "err": err,
        "flag": 0,
        "last_date": moscow(changed),
        "last_timestamp": int(changed),
        "send_date": moscow(row.sent_at),
        "send_timestamp": int(row.sent_at),
        "cost": str(PRICE * row.parts),
        "sender_id": row.sender,
        "message": row.text,
        "mccmnc": "25001",
        "type": 0,
        "sms_cnt": row.parts,
    }


def result(phone: str, text: str) -> dict[str, str]:
    if dialable(phone):
        cost = str(PRICE * parts_of(text))
        return {"phone": phone, "mccmnc": "25001", "cost": cost, "status": "", "error": ""}
    return {"phone": phone, "mccmnc": "", "cost": "0", "status": "22", "error": "249"}
