"""Phones as people type them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from users.parsing.phones import BadPhone, PhoneError, normalize


@pytest.mark.parametrize(
    "typed",
    [
        "+79980000001",
        "89980000001",
        "79980000001",
        "9980000001",
        "8 (998) 000-00-01",
        "+7 998 000 00 01",
        "  8-998-000‑00‑01\u00a0",
        "+8 998 000 00 01",
        "007 998 000 00 01",
        "８９９８００００００１",
        "\u202a+7 998 000-00-01\u202c",
        "8998000000l",
        "8 998 000 00 01 доб. 5",
    ],
)
def test_it_understands_a_russian_phone_however_it_is_typed(typed: str) -> None:
    assert normalize(typed, "RU") == "+79980000001"


@pytest.mark.parametrize(
    ("typed", "phone"),
    [
        ("+380 44 123 45 67", "+380441234567"),
        ("380441234567", "+380441234567"),
        ("00 49 30 1234567", "+49301234567"),
        ("+7 701 234 56 78", "+77012345678"),
        ("375 29 123 45 67", "+375291234567"),
    ],
)
def test_it_understands_phones_of_other_countries(typed: str, phone: str) -> None:
    assert normalize(typed, "RU") == phone


def test_it_reads_a_phone_without_country_as_one_of_the_given_country() -> None:
    assert normalize("030 1234567", "DE") == "+49301234567"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("", PhoneError.EMPTY),
        (" - ", PhoneError.EMPTY),
        ("+", PhoneError.EMPTY),
        ("89980000001, 89980000002", PhoneError.SEVERAL),
        ("89980000001/02", PhoneError.SEVERAL),
        ("+79980000001+79980000002", PhoneError.SEVERAL),
        ("no phone", PhoneError.LETTERS),
        ("0800 FLOWERS", PhoneError.LETTERS),
        ("899800", PhoneError.TOO_SHORT),
        ("+7998000000", PhoneError.TOO_SHORT),
        ("+799800000012", PhoneError.TOO_LONG),
        ("8" * 65, PhoneError.TOO_LONG),
        ("+999 123 45 67", PhoneError.NO_SUCH_COUNTRY),
        ("+71230000001", PhoneError.NO_SUCH_NUMBER),
        # Read as Japanese and as Russian ones they would exist.
        ("8 123 000 00 01", PhoneError.NO_SUCH_NUMBER),
        ("+998 000 00 01", PhoneError.TOO_SHORT),
    ],
)
def test_it_names_what_is_wrong(typed: str, error: PhoneError) -> None:
    with pytest.raises(BadPhone) as bad:
        normalize(typed, "RU")
    assert bad.value.error == error


def test_it_keeps_the_phone_out_of_the_error() -> None:
    with pytest.raises(BadPhone) as bad:
        normalize("+71230000001", "RU")
    assert "123" not in str(bad.value)
    assert "123" not in str(bad.value.__context__ or "")


COUNTRIES = st.sampled_from(["RU", "KZ", "UA", "DE", "US", "GB", "XX"])
NEARLY_PHONES = st.text("0123456789+-() .78\u00a0", max_size=24)


@example("20100000000000", "DE")  # valid there, and 16 digits
@given(st.one_of(st.text(max_size=80), NEARLY_PHONES), COUNTRIES)
def test_it_gives_e164_or_an_error_and_nothing_else(typed: str, country: str) -> None:
    try:
        phone = normalize(typed, country)
    except BadPhone:
        return
    assert re.fullmatch(r"\+[1-9]\d{6,14}", phone)
    assert normalize(phone, country) == phone


@given(st.integers(9_000_000_000, 9_999_999_999), st.sampled_from(["+7", "8", "7", "", "+7 "]))
def test_it_reads_every_way_to_write_a_number_alike(number: int, start: str) -> None:
    try:
        plain: str | None = normalize(f"+7{number}", "RU")
    except BadPhone:
        plain = None
    digits = str(number)
    typed = f"{start}({digits[:3]}) {digits[3:6]}-{digits[6:8]}-{digits[8:]}"
    if plain:
        assert normalize(typed, "RU") == plain
