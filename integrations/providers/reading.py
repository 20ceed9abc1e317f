"""How the readers of the services' answers read single values and JSON. Pure.

Only what they share is here. What a service writes in its own way, such as its dates, stays in its own package.
"""

import json
import re
from decimal import Decimal
from typing import Any

from .transport import Answer


def json_or_none(body: str) -> Any:
    """The JSON of an answer; None for what is none, or is nested too deep to be read."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def json_of_call(body: str) -> Any:
    """The JSON of a call to our webhook. Raises ValueError, by which a webhook knows a broken call."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def text_of(value: Any) -> str:
    """A string or a number as text; '' for null."""
    return "" if value is None else str(value)


def word(value: Any) -> str:
    """A string; '' for anything else."""
    return value if isinstance(value, str) else ""


def digits(value: Any) -> str:
    """The digits of a phone, however it is written."""
    text = text_of(value).removeprefix("+")
    return text if text.isascii() and text.isdigit() else re.sub(r"[^0-9]", "", text)


def number(value: Any, *, longest: int, signed: bool = False) -> int | None:
    """A whole number of at most `longest` digits, written as a number or as a string; None for
    anything else.
    """
    text = text_of(value)
    bare = text.removeprefix("-") if signed else text
    return int(text) if bare.isascii() and bare.isdigit() and len(bare) <= longest else None


def form_of(raw: str) -> dict[str, str] | None:
    """The fields of a form whose escapes are all ASCII, as parse_qsl() would read them, of equal names the
    last; None for any other form, which depends on its charset.

    Nearly every receipt is such a form, and this is six times as fast: 15 us less for each.
    """
    if not raw.isascii():
        return None
    fields = {}
    for pair in raw.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if "+" in pair:
            name, value = name.replace("+", " "), value.replace("+", " ")
        if "%" in pair:
            if _FOREIGN.search(pair):
                return None
            name, value = _ESCAPE.sub(_ascii, name), _ESCAPE.sub(_ascii, value)
        fields[name] = value
    return fields


_ESCAPE = re.compile("%([0-7][0-9A-Fa-f])")
_FOREIGN = re.compile("%[89A-Fa-f][0-9A-Fa-f]")


def _ascii(found: "re.Match[str]") -> str:
    return chr(int(found[1], 16))


def money(text: str) -> Decimal | None:
    """A sum with a decimal point; None for anything else."""
    text = text.strip()
    return Decimal(text) if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,8})?", text) else None


def raw_of(slug: str, answer: Answer) -> str:
    """What is kept beside our reason when the body of an answer says nothing: the error of the network,
    or the HTTP status.
    """
    return f"{slug}:{answer.error or f'http {answer.status}'}"[:64]
