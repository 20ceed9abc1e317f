"""The forms in which SMSC answers, by `fmt`: 0 text for people, 1 words after each other with commas, 2 XML,
3 JSON. Pure. For send, status and balance as its document has them; the history in forms 0 to 2
is not described where we could read it, and made up.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from tests.emulators.web import Reply

FORMS = frozenset({"0", "1", "2", "3"})
# A status by commas: these first, then what all=1 adds.
STATUS = ("status", "last_timestamp", "err")
ALL = ("send_timestamp", "phone", "cost", "sender_id", "status_name", "message")


def written(command: str, value: Any, fields: Mapping[str, str]) -> Reply:
    """The answer to a command in the form that was asked for."""
    form, charset = fields.get("fmt", "0"), fields.get("charset", "windows-1251")
    if form == "3":
        # JSON as PHP writes it: ASCII only, whatever the charset.
        return Reply(200, json.dumps(value).encode(), f"application/json; charset={charset}")
    if form == "2":
        body = f'<?xml version="1.0" encoding="{charset}"?>{_xml(value)}'
        return Reply(200, body.encode(charset, "replace"), f"text/xml; charset={charset}")
    text = _commas(command, value, fields) if form == "1" else _text(command, value, fields)
    return Reply(200, text.encode(charset, "replace"), f"text/plain; charset={charset}")


def _commas(command: str, value: Any, fields: Mapping[str, str]) -> str:
    if isinstance(value, list):
        return "\n".join(_commas(command, row, fields) for row in value)
    if "error_code" in value:
        return f"{value.get('id', 0)},-{value['error_code']}"
    if command == "balance":
        return ",".join(str(value[name]) for name in ("balance", "currency") if name in value)
    if command == "send":
        names = ("id", "cnt", "cost", "balance") if "id" in value else ("cost", "cnt")
        return ",".join(str(value[name]) for name in names if name in value)
    if "result" in value:  # of a deletion
        return str(value["result"])
    more = ALL if command == "get" or fields.get("all") in {"1", "2"} else ()
    many = ("id", "phone") if "," in fields.get("phone", "") else ()
    return ",".join(_word(value.get(name)) for name in (*STATUS, *more, *many))


def _text(command: str, value: Any, fields: Mapping[str, str]) -> str:
    if isinstance(value, list):
        return "\n".join(_text(command, row, fields) for row in value)
    if "error_code" in value:
        named = f", ID - {value['id']}" if "id" in value else ""
        return f"ERROR = {value['error_code']} ({value['error']}){named}"
    if command == "balance":
        return " ".join(str(value[name]) for name in ("balance", "currency") if name in value)
    if command == "send":
        return _sent(value)
    if "result" in value:
        return str(value["result"])
    told = f"Status = {value['status']}, check_time = {_word(value.get('last_date'))}"
    return f"{told}, err = {value['err']}" if value.get("err") else told


def _sent(value: Mapping[str, Any]) -> str:
    if "id" not in value:
        return f"{value['cost']} ({value['cnt']} SMS)"
    told = f"OK - {value['cnt']} SMS, ID - {value['id']}"
    if "cost" in value:
        told += f", COST - {value['cost']}"
    if "balance" in value:
        told += f", BALANCE - {value['balance']}"
    return told


def _xml(value: Any) -> str:
    if isinstance(value, list):
        return f"<list>{''.join(_element('message', row) for row in value)}</list>"
    return _element("result", value)


def _element(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        inner = "".join(_element(str(key), each) for key, each in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        inner = "".join(_element(name.rstrip("s"), each) for each in value)
    else:
        inner = escape(_word(value))
    return f"<{name}>{inner}</{name}>"


def _word(value: Any) -> str:
    return "" if value is None else str(value)
