"""Reading what SMSC writes: answers to requests, rows of its history. Pure.

Numbers come as numbers or as strings, and a business error comes with HTTP 200.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from integrations.providers import reading
from integrations.providers.contract import (
    DeliveryReport,
    Outcome,
    ProviderError,
    SendResult,
    Sms,
)
from integrations.providers.reading import digits, json_or_none, text_of
from integrations.providers.transport import Answer, Failure, asked_to_wait
from integrations.reasons import Reason

from .codes import ERRORS, FOR_ALL, NO_TIME, STATUSES, meaning, reason_of

Row = Mapping[str, Any]


def line(sms: Sms) -> str:
    """One line of `list`. The phone comes first, so that a `name|` in the text is no prefix; nl=1
    makes line breaks of \\n (of one that a person typed, too: nothing is known that would escape
    it). With its "+", SMSC does not try to repair the number.
    """
    text = sms.text
    if "\n" in text or "\r" in text:
        text = re.sub(r"\r\n?|\n", r"\\n", text)
    return f"{sms.phone}:{text}"


# --- the answer to send ----------------------------------------------------------------------


def results_of(messages: Sequence[Sms], answer: Answer) -> list[SendResult]:
    data = parsed(answer)
    if not isinstance(data, dict):
        return _same(
            messages, *_no_answer(answer), raw_of(answer), retry_after=asked_to_wait(answer)
        )
    if error_code(data) or data.get("error"):
        # A code that we do not know: it may be another kind of 9. The books will tell.
        outcome, reason = ERRORS.get(error_code(data), (Outcome.UNKNOWN, Reason.OTHER))
        if error_code(data) == NO_TIME and messages[0].at:
            return _same(messages, Outcome.UNSENT, reason, raw_of(answer, data), untimed=True)
        return _same(messages, outcome, reason, raw_of(answer, data))
    rows = data.get("phones")
    told = {digits(row.get("phone")): row for row in rows_of(rows)}
    if rows is None and text_of(data.get("id")):
        told = {digits(sms.phone): {} for sms in messages}  # a yes to all, without particulars
    return [_result(sms, told.get(digits(sms.phone)), text_of(data.get("id"))) for sms in messages]


def _same(
    messages: Sequence[Sms], outcome: Outcome, reason: Reason, raw: str, **more: Any
) -> list[SendResult]:
    return [SendResult(sms.key, outcome, reason=reason, raw=raw, **more) for sms in messages]


def _no_answer(answer: Answer) -> tuple[Outcome, Reason]:
    if answer.failure == Failure.UNSENT:
        return Outcome.UNSENT, Reason.UNAVAILABLE
    if answer.status == 429:
        return Outcome.UNSENT, Reason.BUSY
    return Outcome.UNKNOWN, Reason.NO_ANSWER


def _result(sms: Sms, row: Row | None, provider_id: str) -> SendResult:
    if row is None:  # others were listed, this one was not: never guess
        return SendResult(sms.key, Outcome.UNKNOWN, reason=Reason.NO_ANSWER, raw="smsc:not listed")
    outcome, reason, raw, price = _read(
        text_of(row.get("status") or 0), text_of(row.get("error") or 0), text_of(row.get("cost"))
    )
    if outcome is Outcome.TAKEN:
        return SendResult(sms.key, outcome, provider_id[:64], price)
    return SendResult(sms.key, outcome, reason=reason, raw=raw)


@lru_cache(maxsize=1024)
def _read(status: str, error: str, cost: str) -> tuple[Outcome, Reason | None, str, Decimal | None]:
    """What a row of the answer says: nearly all of a thousand say the same."""
    code, err = number(status), number(error)
    known = None if code is None or err is None else meaning(code, err)
    if known is None:
        return Outcome.UNKNOWN, Reason.OTHER, codes_of(code, err), None
    reason = known[1] if code else reason_of(err)
    if reason is None:
        return Outcome.TAKEN, None, "", money(cost)
    passes = err in FOR_ALL or reason == Reason.NO_MONEY
    return Outcome.UNSENT if passes else Outcome.REFUSED, reason, codes_of(code, err), None


# --- its books -------------------------------------------------------------------------------


def report_of(reference: str, phone: str, row: Row) -> DeliveryReport:
    """Turn a row of the history into a report. Whatever its status, SMSC has the message."""
    status, err = number(row.get("status")), number(row.get("err"))
    ours, reason = meaning(-3 if status is None else status, err) or STATUSES[0]
    return DeliveryReport(
        reference,
        phone,
        ours,
        reason,
        raw=codes_of(status, err) if reason else "",
        price=money(row.get("cost")),
        at=moment(row.get("send_timestamp")),
    )


def older(row: Row, than: datetime) -> bool:
    sent_at = number(row.get("send_timestamp"))
    return sent_at is not None and sent_at < than.timestamp()


def trouble_of(answer: Answer, data: Any) -> ProviderError:
    reason = _no_answer(answer)[1]
    if isinstance(data, dict):
        reason = ERRORS.get(error_code(data), (Outcome.UNKNOWN, Reason.OTHER))[1]
    return ProviderError(reason, raw_of(answer, data))


# --- its ways of writing ---------------------------------------------------------------------


def parsed(answer: Answer) -> Any:
    """Return the JSON of a successful response; None for anything else."""
    return None if answer.failure or answer.status != 200 else json_or_none(answer.body)


def rows_of(value: Any) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def error_code(data: Any) -> int:
    """Return 0 if there is none."""
    return number(data.get("error_code")) or 0 if isinstance(data, dict) else 0


def raw_of(answer: Answer, data: Any = None) -> str:
    """Return what is stored beside our reason."""
    if isinstance(data, dict):
        return f"smsc:error {error_code(data)}"
    return reading.raw_of("smsc", answer)


def codes_of(status: int | None, err: int | None) -> str:
    return f"smsc:err {err}" if err else f"smsc:status {status}"


def number(value: Any) -> int | None:
    """Statuses may be below zero, and times have ten digits."""
    return reading.number(text_of(value).strip(), longest=12, signed=True)


def moment(value: Any) -> datetime | None:
    """Seconds since 1970; 0 where there is none."""
    seconds = number(value) or 0
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 2**33 else None


def money(value: Any) -> Decimal | None:
    """A sum is a number or a string, and may have a decimal comma."""
    return reading.money(text_of(value).replace(",", "."))
