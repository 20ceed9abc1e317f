"""A phone tells of its zone only where it tells of exactly one."""

import pytest

from users.parsing.phone_zones import tells, zone_of


@pytest.mark.parametrize(
    ("phone", "zone"),
    [
        ("+79161234567", ""),  # a mobile of Russia may be anywhere
        ("+77051234567", ""),
        ("+73432123456", "Asia/Yekaterinburg"),  # a land line cannot
        ("+74951234567", "Europe/Moscow"),
        ("+380501234567", "Europe/Kyiv"),
        ("+998901234567", "Asia/Tashkent"),
        ("+4915123456789", "Europe/Berlin"),
        ("+447911123456", ""),  # London or Guernsey
        ("+12125550100", "America/New_York"),
        ("+88", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_one_zone_or_none(phone: str, zone: str) -> None:
    assert zone_of(phone) == zone


def test_a_beginning_tells_when_the_rest_of_the_number_does_not_matter() -> None:
    assert tells("+79", "+79001234567", "+79991234567")
    assert tells("+9989", "+998901234567", "+998999999999")
    assert not tells("+73", "+73432123456", "+73912123456")
    assert tells("+734321", "+73432123456", "+73432123457")
