"""Numbers and search texts that people type, sane or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsmail.web import query


@pytest.mark.parametrize(
    ("typed", "number"), [("0", 0), ("5", 5), ("007", 7), ("9" * 18, 10**18 - 1)]
)
def test_digits_are_a_number(typed: str, number: int) -> None:
    assert query.number(typed) == number


@pytest.mark.parametrize(
    "typed", ["", " 5", "5\n", "-5", "+5", "5.0", "1_000", "0x5", "five", "²", "٥", "5\0", "9" * 19]
)
def test_anything_else_is_none(typed: str) -> None:
    assert query.number(typed) is None


def test_a_number_of_more_digits_than_asked_for_is_none() -> None:
    assert (query.number("99", digits=2), query.number("100", digits=2)) == (99, None)


@given(st.text())
def test_every_number_fits_a_column(typed: str) -> None:
    number = query.number(typed)
    assert number is None or 0 <= number < 2**63


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("", ""),
        (" Anna \n", "Anna"),
        ("An\0na", "Anna"),
        ("\0 Anna \0", "Anna"),
        ("Anna  Pavlova", "Anna  Pavlova"),
        ("a" * 101, "a" * 100),
    ],
)
def test_a_search_text_has_no_nul_and_no_margins(typed: str, text: str) -> None:
    assert query.search_text(typed) == text


def test_a_search_text_is_cut_where_asked() -> None:
    assert query.search_text(" Anna", longest=2) == "An"


def test_without_nul_leaves_everything_else() -> None:
    assert query.without_nul(" An\0na\n") == " Anna\n"
