"""Names as carriers of somebody else's message: what people write about themselves stands in texts that
go out under the school's name (security.md, S1). Refused in the form, and cleaned where it was stored.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from mailings.audience.personalization import parsed, values_of
from mailings.text import template
from mailings.text.bare_links import bare_links
from mailings.text.wrapping import find
from users.models import User
from users.parsing import names

As = Callable[[User], Client]

ADDRESSES = [
    "Vash schet zakryt http://evil.example/pay",
    "HTTPS://EVIL.EXAMPLE",
    "evil.example/pay",
    "evil.example",
    "www.evil",
    "t.me/evil",
    "bit.ly/2x",
    "vk.com",
    "ваш-счёт.рф",
    "яндекс.рус/войти",
    "xn--e1afmkfd.xn--p1ai/a",
    "evil\uff0eexample",  # a full-width full stop
    "evil\u3002example",  # a Chinese one: browsers take it
    "evil\u2024com",  # a leader of one dot
    "ｅｖｉｌ.ｃｏｍ",
    "evil.example:8080",
    "192.0.2.7/pay",
    "//evil.example",
    "tel:+79990000000",
    "sms:1234",
    "mailto:a@evil.example",
    "ivan@evil.example",
    "Иван evil.com",
    "hxxp://evil",
    "https:evil",
]
INVISIBLE = [
    "Ivan\u202egnp",  # the text after it runs backwards
    "Iv\u200ban",
    "Iv\u00adan",
    "\ufeffIvan",
    "Iv\u2066an",
    "Iv\u200dan",
    "Iv\nan",
    "Iv\r\nan",
    "Iv\u2028an",
    "Iv\x07an",
    "Iv\U000e0041an",  # a tag
    "\u3164",  # the filler of Hangul: a letter that is nothing to see
    "Iv\ue000an",
]
NUMBERS = ["call 8 900 123-45-67", "+79001234567", "900.123.45.67", "８９００１２３４５６７"]
PEOPLE = [
    *("Иван", "Anna-Maria", "O'Neil", "D’Arcy", "Иванов И.И.", "И.И.Петров", "И. И. Петров"),
    *("J.R.R. Tolkien", "St. John", "Мария (мама Пети)", "Ли 2", "Jean–Luc", "Петров/Сидоров"),
    *("علی\u200cرضا", "José", "Jose\u0301", "李小龍", "Nguyễn Thị Minh Khai", "7 А класс", "Ö"),
]


@pytest.mark.parametrize("written", ADDRESSES + INVISIBLE + NUMBERS)
def test_it_is_refused_with_words(written: str) -> None:
    with pytest.raises(ValidationError) as refused:
        names.check(written)
    assert str(refused.value.message)


@pytest.mark.parametrize("written", ADDRESSES + NUMBERS)
def test_stored_before_it_is_left_out_of_texts(written: str) -> None:
    shown = names.shown(written)
    names.check(shown)  # nothing is left to complain about
    assert not find(shown)
    assert not bare_links(shown)
    assert "evil" not in shown.lower()


@pytest.mark.parametrize("written", INVISIBLE)
def test_signs_that_nobody_sees_are_left_out(written: str) -> None:
    names.check(names.shown(written))
    assert names.shown(written).isprintable()


@pytest.mark.parametrize("written", PEOPLE)
def test_people_have_their_names(written: str) -> None:
    names.check(written)
    assert names.shown(written) == written


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a" * 41, "a" * 40),
        ("a" * 39 + "e\u0301" + "b" * 9, "a" * 39),
        ("a" * 38 + "👨\u200d👩\u200d👧" + "b", "a" * 38),
        ("a" * 39 + "🇷🇺b", "a" * 39),
        ("a" * 39 + "👍🏽b", "a" * 39),
        ("a" * 39 + " " + "b" * 9, "a" * 39),
    ],
)
def test_forty_signs_at_the_most_and_none_cut_in_two(written: str, shown: str) -> None:
    assert names.shown(written) == shown


@pytest.mark.parametrize("name", ["first_name", "last_name", "name", "city"])
@pytest.mark.django_db
def test_a_text_shows_no_more_than_a_name(name: str) -> None:
    long = "Vash schet zakryt, srochno voidite v lichnyi kabinet i podtverdite"
    person = User(first_name=long, last_name=long, city=long, email="a@example.com")
    assert len(template.render(parsed(f"{{{name}}}"), values_of(person))) <= 40
    bad = "x evil.example/pay"
    person = User(first_name=bad, last_name=bad, city=bad, email="a@example.com")
    assert "evil" not in template.render(parsed(f"Hi {{{name}}}"), values_of(person))


@pytest.mark.django_db
def test_a_name_that_is_only_an_address_gives_way_to_the_fallback() -> None:
    person = User(first_name="evil.example", email="a@example.com")
    assert template.render(parsed("Hi {first_name|friend}!"), values_of(person)) == "Hi friend!"


@pytest.mark.parametrize("field", ["first_name", "last_name"])
@pytest.mark.parametrize("written", [ADDRESSES[0], INVISIBLE[0], NUMBERS[0]])
@pytest.mark.django_db
def test_ones_own_page_says_so_beside_the_field(
    as_: As, student: User, field: str, written: str
) -> None:
    form: dict[str, Any] = {"first_name": "Ivan", "language": "", "time_zone": ""}
    page = as_(student).post("/me/", form | {field: written})
    assert page.context["form"].errors[field]
    assert User.objects.get(pk=student.pk).first_name == "Ivan"
