"""Reading what Twilio writes: answers to requests, rows of its list. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings

from integrations.providers import reading
from integrations.providers.contract import (
    DeliveryReport,
    Outcome,
    ProviderError,
    SendResult,
    Sms,
)
from integrations.providers.reading import json_or_none, word
from integrations.providers.transport import Answer, Failure, asked_to_wait
from integrations.reasons import Reason

from .codes import ERRORS, FAILED, SEND_TIMES, STATUS_ERRORS, UNCERTAIN, meaning

Row = Mapping[str, Any]

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
    # When it meets a whole batch it is wrong for everybody (mailings.sending.record).
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


# --- its ways of writing ---------------------------------------------------------------------


def parsed(answer: Answer) -> Row:
    """Return the JSON object of a response; empty for anything else."""
    data = None if answer.failure else json_or_none(answer.body)
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
    return raw_of_code(code) if code else reading.raw_of("twilio", answer)


def raw_of_code(code: int | None) -> str:
    return f"twilio:{code}" if code else "twilio:no code"


def moment(value: Any) -> datetime | None:
    """Parse an e-mail date; None if it cannot be read."""
    try:
        when = parsedate_to_datetime(word(value))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def number(value: Any) -> int | None:
    """Its codes: five digits, and none is below zero."""
    return reading.number(value, longest=9)


def money(value: Any) -> Decimal | None:
    """A sum is a string, and always has a decimal point: a JSON number is nothing that we know."""
    return reading.money(word(value))
