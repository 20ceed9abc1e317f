"""Reads what SevenTech sends: responses to requests and calls to our webhook. Pure, and tolerant,
because the format of receipts is unknown: JSON or a form, one or several, one level of nesting.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from integrations.providers.contract import (
    DeliveryReport,
    DeliveryStatus,
    InboundSms,
    Outcome,
    SendResult,
    Sms,
    WebhookPayload,
)
from integrations.providers.transport import Answer, Failure, asked_to_wait
from integrations.reasons import Reason

from .codes import CLIENT_ID, ERROR, HTTP, PROVIDER_ID, REPLY_PHONE, REPLY_TEXT, STATE, meaning

Fields = Mapping[str, str]  # the fields of one message


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
    if outcome == Outcome.REFUSED:  # the only trace of why it was refused
        raw = f"{raw} {plain(answer.body)}".strip()[:64]
    return _result(sms, outcome, reason, raw, asked_to_wait(answer))


def _read(sms: Sms, answer: Answer) -> SendResult:
    """Only a known state counts as yes or no."""
    try:
        found = list(messages_in(json.loads(answer.body)))
    except (ValueError, RecursionError):
        found = []
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


# --- calls to our webhook -----------------------------------------------------------------------


def reports_of(note: WebhookPayload) -> list[DeliveryReport]:
    """Raises ValueError if nothing in it can be understood: an unknown word is stored raw, never
    guessed at.
    """
    if replies_of(note):
        return []
    receipts = [fields for fields in told(note) if first(fields, STATE)]
    # Our own URL names the message; if a call holds several, it could name only one of them.
    ours = dict(parse_qsl(note.query)) if len(receipts) == 1 else {}
    reports = [report for fields in receipts if (report := _report(fields, ours))]
    if not reports:
        raise ValueError("not a receipt, or of a kind that we do not know")
    return reports


def _report(fields: Fields, ours: Fields) -> DeliveryReport | None:
    reference, phone = ours.get("ref", ""), digits(ours.get("phone", ""))
    if not reference or not phone:
        reference, _, phone = fields.get(CLIENT_ID, "").rpartition("-")
    known = meaning(first(fields, STATE))
    if known is None or not reference or not re.fullmatch("[0-9]{5,15}", phone):
        return None
    status, reason = known
    raw = raw_state(fields) if reason else ""
    return DeliveryReport(
        reference, f"+{phone}", status, reason, raw, provider_id=first(fields, PROVIDER_ID)[:64]
    )


def replies_of(note: WebhookPayload) -> list[InboundSms]:
    """Return [] for calls to the URL of a message: these are about that message, whatever they say."""
    try:
        found = [] if "ref" in dict(parse_qsl(note.query)) else told(note)
    except ValueError:
        return []
    return [reply for fields in found if (reply := _reply(fields))]


def _reply(fields: Fields) -> InboundSms | None:
    phone, text = digits(first(fields, REPLY_PHONE)), first(fields, REPLY_TEXT)
    return InboundSms(f"+{phone}", text) if phone and text and not first(fields, STATE) else None


def told(note: WebhookPayload) -> list[Fields]:
    """Return the messages that a call reports on. Raises ValueError if it is broken."""
    if note.body.lstrip().startswith(("{", "[")):
        try:
            return list(messages_in(json.loads(note.body)))
        except RecursionError as error:
            raise ValueError("nested too deep") from error
    form = dict(parse_qsl(note.query)) | dict(parse_qsl(note.body))
    return [form] if form else []


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
    return f"seventech:{answer.error or f'http {answer.status}'}"[:64]


def raw_state(fields: Fields) -> str:
    words = plain(f"{first(fields, STATE)} {first(fields, ERROR)}")
    return f"seventech:{words}"[:64]


def plain(words: str) -> str:
    """Make foreign words safe to store beside a reason: one line, without anything like a phone."""
    return " ".join(re.sub(r"\d[\d ()-]{4,}\d", "…", words[:500]).split())


def digits(value: str) -> str:
    return re.sub(r"[^0-9]", "", value)
