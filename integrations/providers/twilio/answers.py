"""Reads what Twilio sends: responses to requests, rows of its list, calls to our webhook. Pure."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

from integrations.providers.contract import (
    DeliveryReport,
    InboundSms,
    Outcome,
    ProviderError,
    SendResult,
    Sms,
    WebhookPayload,
)
from integrations.providers.transport import Answer, Failure, asked_to_wait
from integrations.reasons import Reason

from .codes import ERRORS, FAILED, INBOUND, SEND_TIMES, STATUS_ERRORS, UNCERTAIN, meaning

Row = Mapping[str, Any]
DEFAULT_PORTS = {"http": 80, "https": 443}
FORM = "application/x-www-form-urlencoded"
RULE_HEADER = "x-twilio-webhooks-signature-settings"
ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


# --- the answer to a new message -------------------------------------------------------------


def result_of(sms: Sms, answer: Answer) -> SendResult:
    row = parsed(answer)
    if answer.status in (200, 201) and (sid := sid_of(row)):
        return _taken(sms, row, sid)
    outcome, reason = _refusal(answer, row)
    return SendResult(
        sms.key,
        outcome,
        reason=reason,
        raw=raw_of(answer, row),
        retry_after=asked_to_wait(answer),
        untimed=sms.at is not None
        and outcome == Outcome.UNSENT
        and number(row.get("code")) in SEND_TIMES,
    )


def _taken(sms: Sms, row: Row, sid: str) -> SendResult:
    """The message was created. Its first status is not sent to our webhook, and may already be the
    last one.
    """
    code = number(row.get("error_code"))
    told = meaning(word(row.get("status")), code)
    if told and told[0] in FAILED:
        return SendResult(sms.key, Outcome.REFUSED, sid, reason=told[1], raw=raw_of_code(code))
    return SendResult(sms.key, Outcome.TAKEN, sid, price_of(row))


def _refusal(answer: Answer, row: Row) -> tuple[Outcome, Reason]:
    if answer.failure == Failure.UNSENT:
        return Outcome.UNSENT, Reason.UNAVAILABLE
    code = number(row.get("code"))
    if answer.status in STATUS_ERRORS:
        known = ERRORS.get(code or 0, STATUS_ERRORS[answer.status])
        return known if known[0] == Outcome.UNSENT else STATUS_ERRORS[answer.status]
    if not code or not 400 <= answer.status < 500:
        return Outcome.UNKNOWN, Reason.NO_ANSWER
    if answer.status in UNCERTAIN and code not in ERRORS:
        return Outcome.UNKNOWN, Reason.NO_ANSWER
    # If a whole batch meets an unknown code, it concerns the account or the sender:
    # mailings.sending.record then counts these messages as unsent.
    return ERRORS.get(code, (Outcome.REFUSED, Reason.OTHER))


# --- its books -------------------------------------------------------------------------------


def report_of(reference: str, phone: str, row: Row) -> DeliveryReport | None:
    """Turn a row of Twilio's list into a report; None if its status means nothing to us."""
    code = number(row.get("error_code"))
    told = meaning(word(row.get("status")), code)
    if told is None:
        return None
    status, reason = told
    raw = raw_of_code(code) if reason else ""
    at = moment(row.get("date_created"))
    return DeliveryReport(reference, phone, status, reason, raw, sid_of(row), price_of(row), at)


def trouble_of(answer: Answer, row: Row) -> ProviderError:
    return ProviderError(_refusal(answer, row)[1], raw_of(answer, row))


# --- calls to our webhook -----------------------------------------------------------------------


def signed_by(token: str, shared_key: str, note: WebhookPayload) -> bool:
    """True if the signature is valid. X-Twilio-Signature covers our URL, with or without the usual port, and
    every field. If the body is not a form, its digest in the URL covers it (bodySHA256).

    If a Webhooks Rule of the account matches our URL, a header names the algorithm, and the key is the rule's
    shared key instead of the Auth Token: Twilio's own client checks it in this way. That header itself is not
    signed, but neither key can be guessed. Unknown algorithms are refused.
    """
    named = note.headers.get(RULE_HEADER)
    key = token if named is None else shared_key
    algorithm = (
        "sha1" if named is None else ALGORITHMS.get(_settings_of(named).get("algorithm", ""))
    )
    if not key or algorithm is None:
        return False
    digest = _digest_of(note)
    if digest and not hmac.compare_digest(
        hashlib.sha256(note.body.encode()).hexdigest().encode(), digest.lower().encode()
    ):
        return False
    said = "" if digest else _said(note)
    given = note.headers.get("x-twilio-signature", "").encode()
    return any(
        hmac.compare_digest(given, _signature(key, url + said, algorithm))
        for url in _addresses(note.url)
    )


def _settings_of(header: str) -> dict[str, str]:
    """key=...,algorithm=HMAC_SHA256"""
    pairs = (part.partition("=") for part in header.split(","))
    return {name.strip().lower(): value.strip().upper() for name, _, value in pairs}


def _digest_of(note: WebhookPayload) -> str:
    """Return "" for a form: its fields themselves are signed."""
    if note.headers.get("content-type", "").lower().startswith(FORM):
        return ""
    return parse_qs(urlsplit(note.url).query).get("bodySHA256", [""])[0]


def _said(note: WebhookPayload) -> str:
    fields = sorted(fields_of(note).items())
    return "".join(name + value for name, values in fields for value in values)


def _signature(key: str, text: str, algorithm: str) -> bytes:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), algorithm))


def _addresses(url: str) -> set[str]:
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}")
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    return {parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}")}


def fields_of(note: WebhookPayload) -> dict[str, list[str]]:
    """Return each distinct value of a field once, in order: that is how Twilio signs them."""
    fields = parse_qs(note.body, keep_blank_values=True, max_num_fields=200)
    return {name: sorted(set(values)) for name, values in fields.items()}


def report_from_call(note: WebhookPayload) -> DeliveryReport | None:
    """Return None for a call about an incoming message."""
    fields = _first(note)
    status = fields.get("MessageStatus") or fields.get("SmsStatus", "")
    if status in INBOUND:
        return None
    reference = parse_qs(note.query).get("ref", [""])[0]
    phone = digits(fields.get("To"))
    code = number(fields.get("ErrorCode"))
    told = meaning(status, code)
    if not reference or not phone or told is None:
        raise ValueError("not a receipt, or of a kind that we do not know")
    ours, reason = told
    raw = raw_of_code(code) if reason else ""
    return DeliveryReport(
        reference, f"+{phone}", ours, reason, raw, word(fields.get("MessageSid"))[:64]
    )


def reply_from_call(note: WebhookPayload) -> InboundSms | None:
    fields = _first(note)
    phone = digits(fields.get("From"))
    if "MessageStatus" in fields or "Body" not in fields or not phone:
        return None
    stop = {"STOP": True, "START": False}.get(fields.get("OptOutType", ""))
    return InboundSms(f"+{phone}", fields["Body"], stop=stop)


def _first(note: WebhookPayload) -> dict[str, str]:
    if note.body.lstrip().startswith("{"):  # we never ask for JSON, but a rule at Twilio may
        try:
            told = json.loads(note.body)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        return {name: str(value) for name, value in told.items() if isinstance(value, str | int)}
    return {name: values[0] for name, values in fields_of(note).items()}


# --- its ways of writing ---------------------------------------------------------------------


def parsed(answer: Answer) -> Row:
    """Return the JSON object of a response; empty for anything else."""
    if answer.failure:
        return {}
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def sid_of(row: Row) -> str:
    sid = word(row.get("sid"))
    return sid if re.fullmatch(r"[A-Za-z0-9]{1,64}", sid) else ""


def price_of(row: Row) -> Decimal | None:
    """Null until the message is sent, then negative. A price in another currency than ours is
    ignored.
    """
    price = money(row.get("price"))
    ours = word(row.get("price_unit")).upper() == settings.CURRENCY
    return abs(price) if price is not None and ours else None


def raw_of(answer: Answer, row: Row) -> str:
    """Return what is stored beside our reason."""
    code = number(row.get("code"))
    return raw_of_code(code) if code else f"twilio:{answer.error or f'http {answer.status}'}"[:64]


def raw_of_code(code: int | None) -> str:
    return f"twilio:{code}" if code else "twilio:no code"


def moment(value: Any) -> datetime | None:
    """Parse an e-mail date; None if it cannot be read."""
    try:
        when = parsedate_to_datetime(word(value))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def digits(value: Any) -> str:
    return re.sub(r"[^0-9]", "", word(value))


def word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def money(value: Any) -> Decimal | None:
    text = word(value).strip()
    return Decimal(text) if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,8})?", text) else None
