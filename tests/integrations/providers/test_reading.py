"""What the readers of the three services have in common, and where they differ on purpose."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from integrations.providers import reading
from integrations.providers.contract import DeliveryReport, InboundSms, WebhookPayload
from integrations.providers.seventech import answers as seventech
from integrations.providers.seventech import callbacks as seventech_calls
from integrations.providers.smsc import answers as smsc
from integrations.providers.smsc import callbacks as smsc_calls
from integrations.providers.transport import Answer, Failure
from integrations.providers.twilio import answers as twilio
from integrations.providers.twilio import callbacks as twilio_calls

RAW_OF: dict[str, Callable[[Answer], str]] = {
    "smsc": smsc.raw_of,
    "twilio": lambda answer: twilio.raw_of(answer, twilio.parsed(answer)),
    "seventech": seventech.raw_of,
}
Reports = Callable[[WebhookPayload], list[DeliveryReport]]
Replies = Callable[[WebhookPayload], list[InboundSms]]
REPORTS_OF: dict[str, Reports] = {
    "smsc": smsc_calls.reports_of,
    "twilio": twilio_calls.reports_of,
    "seventech": seventech_calls.reports_of,
}
REPLIES_OF: dict[str, Replies] = {
    "smsc": smsc_calls.replies_of,
    "twilio": twilio_calls.replies_of,
    "seventech": seventech_calls.replies_of,
}
TOO_DEEP = '{"a":' * 100_000


def call(body: str) -> WebhookPayload:
    return WebhookPayload({}, "", body)


# --- the same for all three -------------------------------------------------------------------
@pytest.mark.parametrize("slug", RAW_OF)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(502, "<html>"), "http 502"),
        (Answer(0, failure=Failure.UNKNOWN, error="ReadTimeoutError"), "ReadTimeoutError"),
    ],
)
def test_an_answer_without_words_leaves_its_status_or_its_error(
    slug: str, answer: Answer, words: str
) -> None:
    assert RAW_OF[slug](answer) == f"{slug}:{words}"


@pytest.mark.parametrize("slug", RAW_OF)
def test_what_is_kept_of_an_answer_fits_the_column(slug: str) -> None:
    assert len(RAW_OF[slug](Answer(0, failure=Failure.UNSENT, error="E" * 100))) == 64


@pytest.mark.parametrize("slug", REPORTS_OF)
@pytest.mark.parametrize(
    ("body", "words"), [("{", "Expecting"), (TOO_DEEP, "too deep"), ("{}", "not a receipt")]
)
def test_a_broken_call_is_a_value_error(slug: str, body: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        REPORTS_OF[slug](call(body))


@pytest.mark.parametrize("body", ["", "{", TOO_DEEP, "[" * 100_000, "\0"])
def test_the_json_of_a_broken_answer_is_none(body: str) -> None:
    assert reading.json_or_none(body) is None


@pytest.mark.parametrize("written", ["+7 998 000-11-22", "79980001122", 79980001122])
def test_a_phone_is_its_digits_however_it_is_written(written: Any) -> None:
    assert reading.digits(written) == "79980001122"


def test_no_phone_has_no_digits() -> None:
    assert reading.digits(None) == reading.digits("") == ""


@pytest.mark.parametrize(
    ("value", "smsc_reads", "twilio_reads"),
    [
        (30003, 30003, 30003),
        ("30003", 30003, 30003),
        (None, None, None),
        ("", None, None),
        ("x", None, None),
        (1.5, None, None),
        (True, None, None),
        ([1], None, None),
        ("٣", None, None),  # a digit, but not one of ASCII
        ("-1", -1, None),  # statuses of SMSC may be below zero
        (1_760_000_000, 1_760_000_000, None),  # SMSC writes times so
        (" 7 ", 7, None),
    ],
)
def test_numbers_of_smsc_are_longer_and_signed(
    value: Any, smsc_reads: int | None, twilio_reads: int | None
) -> None:
    assert smsc.number(value) == smsc_reads
    assert twilio.number(value) == twilio_reads


@pytest.mark.parametrize(
    ("value", "smsc_reads", "twilio_reads"),
    [
        ("4.10", "4.10", "4.10"),
        (" -0.0075 ", "-0.0075", "-0.0075"),
        ("", None, None),
        (None, None, None),
        ("free", None, None),
        ("1e3", None, None),
        ("NaN", None, None),
        ("4,10", "4.10", None),  # SMSC may write a decimal comma
        (4.1, "4.1", None),  # and numbers
    ],
)
def test_sums_of_smsc_may_be_numbers_and_have_a_comma(
    value: Any, smsc_reads: str | None, twilio_reads: str | None
) -> None:
    assert smsc.money(value) == (None if smsc_reads is None else Decimal(smsc_reads))
    assert twilio.money(value) == (None if twilio_reads is None else Decimal(twilio_reads))


def test_each_writes_times_in_its_own_way() -> None:
    moment = datetime(2026, 11, 28, 16, 0, tzinfo=UTC)
    assert smsc.moment(str(int(moment.timestamp()))) == moment
    assert twilio.moment("Sat, 28 Nov 2026 16:00:00 +0000") == moment
    assert smsc.moment("0") is smsc.moment("Sat, 28 Nov 2026 16:00:00 +0000") is None
    assert twilio.moment("1796054400") is twilio.moment(None) is None


# --- calls to our webhook ---------------------------------------------------------------------
@pytest.mark.parametrize("slug", REPLIES_OF)
def test_an_empty_call_is_no_reply(slug: str) -> None:
    assert REPLIES_OF[slug](call("")) == []


FORM = st.lists(
    st.sampled_from(
        [
            "&",
            "=",
            "+",
            "%",
            "%2B",
            "%26",
            "%3d",
            "%00",
            "%7F",
            "%C3%A9",
            "%f",
            "%zz",
            "a",
            "1",
            "é",
            " ",
        ]
    )
    | st.characters(max_codepoint=255),
    max_size=12,
).map("".join)


@given(FORM)
@example("id=abc&phone=79980000001&time=01.01.2026+12%3A00%3A00&&x&=y&id=")
@settings(max_examples=300)
def test_a_form_is_read_as_the_standard_library_reads_it_or_not_at_all(raw: str) -> None:
    found = reading.form_of(raw)
    if found is None:
        assert not raw.isascii() or re.search("%[89A-Fa-f]", raw)
    else:
        assert found == dict(parse_qsl(raw, keep_blank_values=True, errors="strict"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7), (7, 7), ("007", 7), ("-3", None), ("", None), ("-", None), ("1.0", None), ("1234", None),
        ("²", None), ("٣", None), (" 7", None), (None, None), ("7\n", None),
    ],
)  # fmt: skip
def test_a_whole_number(value: Any, expected: int | None) -> None:
    assert reading.number(value, longest=3) == expected


def test_a_number_with_a_sign() -> None:
    assert [
        reading.number(each, longest=2, signed=True) for each in ("-3", "--3", "-", "-123")
    ] == [*(-3, None, None, None)]
