"""Reading SevenTech's answers to requests, and the messages inside of its JSON. Pure, and tolerant: how that
JSON is built is not known, so one message or several, and a level of nesting will do.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from integrations.providers import reading
from integrations.providers.contract import (
    DeliveryStatus,
    Outcome,
    SendResult,
    Sms,
)
from integrations.providers.reading import digits, json_or_none
from integrations.providers.transport import Answer, Failure, asked_to_wait
from integrations.reasons import Reason

from .codes import ERROR, HTTP, PROVIDER_ID, STATE, meaning

Fields = Mapping[str, str]  # of one message


def client_id(reference: str, phone: str) -> str:
    return f"{reference}-{digits(phone)}"


# --- the answer to one message ---------------------------------------------------------------


def result_of(sms: Sms, answer: Answer) -> SendResult:
    if answer.failure == Failure.UNSENT:
        return _result(sms, Outcome.UNSENT, Reason.UNAVAILABLE, raw_of(answer))
    if answer.failure is None and 200 <= answer.status < 300:
        return _read(sms, answer)
    outcome, reason = HTTP.get(answer.status, (Outcome.UNKNOWN, Reason.NO_ANSWER))
    raw = raw_of(answer)
    if outcome == Outcome.REFUSED:  # the only trace of what it did not like
        raw = f"{raw} {plain(answer.body)}".strip()[:64]
    return _result(sms, outcome, reason, raw, asked_to_wait(answer))


def _read(sms: Sms, answer: Answer) -> SendResult:
    """Only a known state counts as yes or no."""
    found = list(messages_in(json_or_none(answer.body)))
    state = first(found[0], STATE) if len(found) == 1 else ""
    if not state:
        return _result(sms, Outcome.UNKNOWN, Reason.NO_ANSWER, raw_of(answer))
    known = meaning(state)
    if known is None:
        return _result(sms, Outcome.UNKNOWN, Reason.OTHER, raw_state(found[0]))
    status, reason = known
    if status in (DeliveryStatus.ACCEPTED, DeliveryStatus.DELIVERED):
        return SendResult(sms.key, Outcome.TAKEN, provider_id=first(found[0], PROVIDER_ID)[:64])
    return _result(sms, Outcome.REFUSED, reason or Reason.OTHER, raw_state(found[0]))


def _result(
    sms: Sms, outcome: Outcome, reason: Reason, raw: str, retry_after: float | None = None
) -> SendResult:
    return SendResult(sms.key, outcome, reason=reason, raw=raw, retry_after=retry_after)


# --- its ways of writing ---------------------------------------------------------------------


def messages_in(data: Any) -> Iterator[Fields]:
    """Yield one message or each of an array, with its own fields and those one level deeper; also
    accepts an array inside an object.
    """
    for each in data if isinstance(data, list) else [data]:
        if not isinstance(each, dict):
            continue
        own = _plain_fields(each)
        inner = [value for value in each.values() if isinstance(value, dict)]
        lists = [row for value in each.values() if isinstance(value, list) for row in value]
        for nested in inner:
            own = _plain_fields(nested) | own
        rows = [row for row in lists if isinstance(row, dict)]
        yield from ({**own, **_plain_fields(row)} for row in rows) if rows else [own]


def _plain_fields(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(name): str(value)
        for name, value in data.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def first(fields: Fields, names: Sequence[str]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")


def raw_of(answer: Answer) -> str:
    return reading.raw_of("seventech", answer)


def raw_state(fields: Fields) -> str:
    words = plain(f"{first(fields, STATE)} {first(fields, ERROR)}")
    return f"seventech:{words}"[:64]


def plain(words: str) -> str:
    """Make foreign words safe to store beside a reason: one line, without anything like a phone."""
    return " ".join(re.sub(r"\d[\d ()-]{4,}\d", "…", words[:500]).split())
