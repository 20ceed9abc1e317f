"""Links without http or https are found exactly, and repaired without touching the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailings.text.bare_links import bare_links, repaired


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Вход: school.ru/promo.", ["school.ru/promo"]),
        ("(school.рф), пт.Вход", ["school.рф"]),
        ("https://school.ru/a и http://b.kz", []),
        ("пишите на a@school.ru", []),
        ("file.py, v1.2, и т.д.", []),
        ("www.school.com и b.kz!", ["www.school.com", "b.kz"]),
        ("школа.рф/{email}", ["школа.рф/{email}"]),
        ("a.dev/x?y=z#w", ["a.dev/x?y=z#w"]),
        ("school.ru school.ru", ["school.ru"]),
        ("10.000 руб.", []),
        ("школа.онлайн/вход, школа.қаз", ["школа.онлайн/вход", "школа.қаз"]),
        ("и/или в т.ч. 5 руб./мес., И.О./Петров", []),
        ("{city|school.ru} {site}", ["school.ru"]),
        ("//school.ru/x", ["//school.ru/x"]),
        ("https://a.ru/?next=b.ru/x", []),
        # Meant to have one, and mistyped; the р of the fourth is Cyrillic.
        ("https//a.ru/x, http:/b.ru.", ["https//a.ru/x", "http:/b.ru"]),
        ("htps://a.ru httр://b.ru", ["htps://a.ru", "httр://b.ru"]),
    ],
)
def test_it_finds_them(written: str, found: list[str]) -> None:
    assert bare_links(written) == found


def test_it_repairs_them_all_and_only_once() -> None:
    written = "Вход: school.ru/a (b.kz), https://c.ru и school.ru/a."
    fixed = "Вход: https://school.ru/a (https://b.kz), https://c.ru и https://school.ru/a."
    assert repaired(written) == fixed
    assert repaired(fixed) == fixed


@pytest.mark.parametrize(
    ("written", "fixed"),
    [
        ("https//a.ru/x", "https://a.ru/x"),
        ("httр:/a.ru", "https://a.ru"),
        ("//a.ru", "https://a.ru"),
        ("{city|a.ru}", "{city|https://a.ru}"),
        ("a.ru/{first_name|друг}", "https://a.ru/{first_name|друг}"),
    ],
)
def test_it_repairs_what_was_mistyped(written: str, fixed: str) -> None:
    assert repaired(written) == fixed


@given(st.text(st.sampled_from("htps:/.ru школа{}|a@?#1 \n"), max_size=30))
def test_a_second_time_it_finds_nothing(written: str) -> None:
    fixed = repaired(written)
    assert bare_links(fixed) == []
    assert repaired(fixed) == fixed
