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
    return re.sub(r"[^0-9]", "", text_of(value))


def number(value: Any, *, longest: int, signed: bool = False) -> int | None:
    """A whole number of at most `longest` digits, written as a number or as a string; None for
    anything else.
    """
    sign = "-?" if signed else ""
    text = text_of(value)
    return int(text) if re.fullmatch(rf"{sign}[0-9]{{1,{longest}}}", text) else None


def money(text: str) -> Decimal | None:
    """A sum with a decimal point; None for anything else."""
    text = text.strip()
    return Decimal(text) if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,8})?", text) else None


def raw_of(slug: str, answer: Answer) -> str:
    """What is kept beside our reason when the body of an answer says nothing: the error of the network,
    or the HTTP status.
    """
    return f"{slug}:{answer.error or f'http {answer.status}'}"[:64]
