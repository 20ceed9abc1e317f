"""How SMSC writes things down: fields, lists of messages, dates. Pure functions."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

MOSCOW = timezone(timedelta(hours=3))
NOT_A_NUMBER = "00"  # phones that end so are refused, as if badly written


def fields_of(query: str, body: bytes, content_type: str) -> dict[str, str]:
    """GET or POST form, or JSON as the /rest/ twin takes it. Without a charset: windows-1251."""
    if "json" in content_type:
        return {name: str(value) for name, value in json.loads(body).items()}
    raw = "&".join(part for part in (query, body.decode("ascii")) if part)
    named = re.search(r"(?:^|&)charset=([\w-]+)", raw)
    charset = named[1] if named else "windows-1251"
    return dict(parse_qsl(raw, keep_blank_values=True, encoding=charset))


def recipients_of(fields: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(digits, text). Lines of a list are `phone:text`, a prefix `sender|` or `sender,tz|` before
    the phone is allowed. A line without a phone spoils the request: digits ''.
    """
    if "list" not in fields:
        for phone in re.split("[,;]", fields.get("phones", "")):
            if phone.strip():
                yield digits(phone), fields.get("mes", "")
        return
    for line in fields["list"].split("\n"):
        prefix = re.match(r"[^|:;]*\|", line)
        phone, _, text = _at_first_colon(line[prefix.end() :] if prefix else line)
        if fields.get("nl") == "1":
            text = text.replace("\\n", "\n")
        yield digits(phone), text


def _at_first_colon(line: str) -> tuple[str, str, str]:
    found = re.search("[:;]", line)
    return (line[: found.start()], found[0], line[found.end() :]) if found else (line, "", "")


def digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)


def dialable(phone: str) -> bool:
    return 10 <= len(phone) <= 15 and not phone.endswith(NOT_A_NUMBER)


def parts_of(text: str) -> int:
    """Latin 160 or 153 a part, anything else 70 or 67. The doubles of GSM are left out here."""
    single, many = (160, 153) if text.isascii() else (70, 67)
    return 1 if len(text) <= single else -(-len(text) // many)


def moscow(at: float) -> str:
    return datetime.fromtimestamp(at, MOSCOW).strftime("%d.%m.%Y %H:%M:%S")


def midnight(day: str, days_later: int = 0) -> float:
    """The start of dd.mm.yyyy in Moscow; of today without a day."""
    if day:
        start = datetime.strptime(f"{day} +0300", "%d.%m.%Y %z")
    else:
        start = datetime.now(MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
    return (start + timedelta(days=days_later)).timestamp()
