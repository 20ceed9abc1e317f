"""Links without http or https are found exactly, and repaired without touching the rest."""

import pytest

from mailings.bare_links import bare_links, repaired


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
    ],
)
def test_it_finds_them(written: str, found: list[str]) -> None:
    assert bare_links(written) == found


def test_it_repairs_them_all_and_only_once() -> None:
    written = "Вход: school.ru/a (b.kz), https://c.ru и school.ru/a."
    fixed = "Вход: https://school.ru/a (https://b.kz), https://c.ru и https://school.ru/a."
    assert repaired(written) == fixed
    assert repaired(fixed) == fixed
