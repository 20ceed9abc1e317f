"""Links in a text: found exactly, made short where they shall be, filled in for one person."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from mailings.text import markers, tokens, wrapping
from mailings.text import template as text
from mailings.text.tokens import Purpose
from mailings.text.wrapping import Wrapping

OURS = frozenset({"sms.example.com", "s.example.com", "127.0.0.1:8000"})
CLICKS = Wrapping(clicks=True, ours=OURS)
SIGN_IN = Wrapping(sign_in=True, ours=OURS)
BOTH = Wrapping(clicks=True, sign_in=True, ours=OURS)

# A text, and its links.
HARD: list[tuple[str, list[str]]] = [
    ("https://school.ru", ["https://school.ru"]),
    ("http://school.ru", ["http://school.ru"]),
    ("Зайдите: https://school.ru/", ["https://school.ru/"]),
    ("https://school.ru.", ["https://school.ru"]),
    ("https://school.ru...", ["https://school.ru"]),
    ("https://school.ru…", ["https://school.ru"]),
    ("https://school.ru, потом", ["https://school.ru"]),
    ("https://school.ru,потом", ["https://school.ru"]),
    ("https://school.ru/a,b", ["https://school.ru/a,b"]),
    ("https://school.ru/a, b", ["https://school.ru/a"]),
    ("https://school.ru/?", ["https://school.ru/"]),
    ("Видели https://school.ru/a?", ["https://school.ru/a"]),
    ("Идём на https://school.ru/a!", ["https://school.ru/a"]),
    ("https://school.ru/a?!", ["https://school.ru/a"]),
    ("(https://school.ru)", ["https://school.ru"]),
    ("(https://school.ru/a)", ["https://school.ru/a"]),
    ("(https://school.ru/a).", ["https://school.ru/a"]),
    ("(см. https://school.ru/a_(b))", ["https://school.ru/a_(b)"]),
    ("https://school.ru/a_(b)", ["https://school.ru/a_(b)"]),
    ("[https://school.ru/a]", ["https://school.ru/a"]),
    ("https://school.ru/?a[]=1&b[]=2", ["https://school.ru/?a[]=1&b[]=2"]),
    ("<https://school.ru/a>", ["https://school.ru/a"]),
    ("«https://school.ru/a»", ["https://school.ru/a"]),
    ("«https://school.ru»", ["https://school.ru"]),
    ("“https://school.ru/a”", ["https://school.ru/a"]),
    ("„https://school.ru/a“", ["https://school.ru/a"]),
    ('"https://school.ru/a"', ["https://school.ru/a"]),
    ("'https://school.ru/a'", ["https://school.ru/a"]),
    ("`https://school.ru/a`", ["https://school.ru/a"]),
    ("https://school.ru/a - сайт", ["https://school.ru/a"]),
    ("https://school.ru/a—сайт", ["https://school.ru/a—сайт"]),  # as in Wikipedia's addresses
    ("https://school.ru/a —", ["https://school.ru/a"]),
    ("https://school.ru/a—", ["https://school.ru/a"]),
    ("https://school.ru/a;", ["https://school.ru/a"]),
    ("https://school.ru/a:", ["https://school.ru/a"]),
    ("https://school.ru/?a=1&b=2", ["https://school.ru/?a=1&b=2"]),
    ("https://school.ru?a=1", ["https://school.ru?a=1"]),
    ("https://school.ru/?a=1&b=", ["https://school.ru/?a=1&b="]),
    ("https://school.ru/?a=%D1%8F%20b", ["https://school.ru/?a=%D1%8F%20b"]),
    ("https://school.ru/#end", ["https://school.ru/#end"]),
    ("https://school.ru#end", ["https://school.ru#end"]),
    ("https://school.ru/#!/a?b=c", ["https://school.ru/#!/a?b=c"]),
    ("https://school.ru/?next=https://a.ru/b", ["https://school.ru/?next=https://a.ru/b"]),
    ("https://school.ru:8443/a", ["https://school.ru:8443/a"]),
    ("https://school.ru:", ["https://school.ru"]),
    ("http://localhost/a", ["http://localhost/a"]),
    ("http://localhost:8000", ["http://localhost:8000"]),
    ("http://127.0.0.1:8000/me/", ["http://127.0.0.1:8000/me/"]),
    ("http://[::1]:8000/me/", ["http://[::1]:8000/me/"]),
    ("https://школа.рф", ["https://школа.рф"]),
    ("https://школа.рф/вебинар?день=пн.", ["https://школа.рф/вебинар?день=пн"]),
    ("https://xn--80aa3ak5a.xn--p1ai/a", ["https://xn--80aa3ak5a.xn--p1ai/a"]),
    ("HTTPS://SCHOOL.RU/A", ["HTTPS://SCHOOL.RU/A"]),
    ("Https://School.Ru", ["Https://School.Ru"]),
    ("https://school.ru.Ждём вас", ["https://school.ru"]),
    ("https://school.ru/a.Ждём вас", ["https://school.ru/a.Ждём"]),  # it may be a file
    ("Сайт:https://school.ru", ["https://school.ru"]),
    ("Сайт.https://school.ru", ["https://school.ru"]),
    ("Сайтhttps://school.ru", ["https://school.ru"]),
    ("https://a.ru https://b.ru", ["https://a.ru", "https://b.ru"]),
    ("https://a.ru,https://b.ru", ["https://a.ru", "https://b.ru"]),
    (
        "https://a.ru/x,https://b.ru/y;https://c.ru",
        ["https://a.ru/x", "https://b.ru/y", "https://c.ru"],
    ),
    ("https://a.ru\nhttps://b.ru/c", ["https://a.ru", "https://b.ru/c"]),
    ("https://a.ru/\thttps://b.ru", ["https://a.ru/", "https://b.ru"]),
    ("https://a.ru\u00a0текст", ["https://a.ru"]),
    ("https://user@school.ru/a", ["https://user@school.ru/a"]),
    ("https://user:word@school.ru/a", ["https://user:word@school.ru/a"]),
    ("https://school.ru/~ivan/", ["https://school.ru/~ivan/"]),
    ("https://school.ru/a'b", ["https://school.ru/a'b"]),
    ("https://school.ru/a|b", ["https://school.ru/a"]),
    ("https://my-school.co.uk/a-b_c", ["https://my-school.co.uk/a-b_c"]),
    ("https://a_b.school.ru/", ["https://a_b.school.ru/"]),
    # variables inside, and braces
    ("https://school.ru/?u={email}", ["https://school.ru/?u={email}"]),
    ("https://school.ru/?u={email|x}", ["https://school.ru/?u={email|x}"]),
    ("https://school.ru/?u={email|a b c}&c=1.", ["https://school.ru/?u={email|a b c}&c=1"]),
    ("https://school.ru/{first_name}.", ["https://school.ru/{first_name}"]),
    ("https://school.ru/{first_name}!", ["https://school.ru/{first_name}"]),
    ("https://school.ru{first_name}", ["https://school.ru{first_name}"]),
    ("https://{city}.school.ru/", ["https://{city}.school.ru/"]),
    ("{first_name}https://school.ru/", ["https://school.ru/"]),
    ("{first_name|Друг}, https://school.ru/{city}", ["https://school.ru/{city}"]),
    ("https://school.ru/{{a}}", ["https://school.ru/{{a}}"]),
    ("{{https://school.ru/}}", ["https://school.ru/"]),
    ("https://school.ru/{", ["https://school.ru/"]),
    ("https://school.ru/}", ["https://school.ru/"]),
    ("{first_name|https://school.ru}", []),
    # no links
    ("school.ru", []),
    ("www.school.ru", []),
    ("ftp://school.ru", []),
    ("git+https://school.ru", []),
    ("xhttps://school.ru", []),
    ("https:// school.ru", []),
    ("https://", []),
    ("https://.", []),
    ("https://...", []),
    ("https:///a", []),
    ("https://школа", []),
    ("https:/school.ru", []),
    ("http://", []),
    ("mailto:a@school.ru", []),
]


@pytest.mark.parametrize(("written", "expected"), HARD)
def test_links_are_found_exactly(written: str, expected: list[str]) -> None:
    found = wrapping.find(written)
    assert [each.url for each in found] == expected
    assert [written[each.start : each.end] for each in found] == expected


WORDS = st.text(st.sampled_from("абвABCxyz 019.,;:!?()[]«»\"'-—\n{}|\x1a\x1b"), max_size=30)
CLEAN = st.sampled_from(
    ["https://a.ru/b?c=d#e", "http://школа.рф/я", "https://a.ru/?u={email|x y}", "https://a.ru"]
)


@given(st.lists(st.tuples(WORDS, CLEAN), max_size=5), WORDS)
def test_links_between_spaces_are_found_whatever_stands_around(
    pairs: list[tuple[str, str]], tail: str
) -> None:
    # A brace before would make another text of it, a link too: those are in the table.
    words = [re.sub("[{}|]", "", word) for word, _link in pairs]
    written = (
        "".join(f"{word} {link} " for word, (_, link) in zip(words, pairs, strict=True)) + tail
    )
    found = [each.url for each in wrapping.find(written)]
    assert found == [link for _word, link in pairs]


@given(st.text(max_size=300))
def test_any_text_is_read_and_left_whole_between_the_links(written: str) -> None:
    done = 0
    for each in wrapping.find(written):
        assert each.start >= done
        assert written[each.start : each.end] == each.url
        assert not re.search(r"\s", re.sub(r"\{[^{}\n]*\}", "", each.url))
        done = each.end


@given(st.text("htps:/.ru?#{}|a,;«»()[]@ \n", max_size=60))
def test_texts_that_nearly_are_links_break_nothing(written: str) -> None:
    for each in wrapping.find(written):
        wrapping.host_of(each.url)
    try:
        wrapped = wrapping.wrap(written, CLICKS)
    except text.BadText:
        return
    assert len(wrapped.places) == len({place.url for place in wrapped.places})


def test_a_long_text_of_nothing_is_read_quickly() -> None:
    """No pattern here goes back and forth: this would take minutes."""
    for piece in (
        "https://",
        "https://a.",
        "https://a.ru/(",
        "{a",
        "https://{a}",
        "a@",
        "https://a@",
    ):
        wrapping.find(piece * 3000)


# --- making them short ------------------------------------------------------------------------
def test_a_link_leaves_a_mark_in_its_place() -> None:
    wrapped = wrapping.wrap("Зайдите (https://school.ru/a), жду. https://b.ru", CLICKS)
    assert wrapped.text == "Зайдите (\x1a0), жду. \x1a1"
    assert [place.url for place in wrapped.places] == ["https://school.ru/a", "https://b.ru"]


def test_the_same_link_twice_is_one() -> None:
    wrapped = wrapping.wrap("https://a.ru https://b.ru https://a.ru", CLICKS)
    assert wrapped.text == "\x1a0 \x1a1 \x1a0"
    assert len(wrapped.places) == 2


def test_only_links_to_ourselves_sign_in() -> None:
    written = "https://sms.example.com/me/ https://school.ru/"
    assert wrapping.wrap(written, BOTH).text == "\x1b0 \x1a1"
    assert wrapping.wrap(written, CLICKS).text == "\x1a0 \x1a1"
    assert wrapping.wrap(written, SIGN_IN).text == "\x1b0 https://school.ru/"
    assert wrapping.wrap(written, Wrapping()).text == written


def test_a_link_keeps_its_place_whatever_becomes_of_the_others() -> None:
    written = "https://school.ru/ https://sms.example.com/me/"
    assert wrapping.wrap(written, SIGN_IN).text == "https://school.ru/ \x1b1"


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://sms.example.com", True),
        ("http://sms.example.com/a", True),
        ("https://SMS.example.com/a", True),
        ("https://sms.example.com:443/a", True),
        ("http://sms.example.com:80/a", True),
        ("https://s.example.com?a", True),
        ("http://127.0.0.1:8000/", True),
        ("https://sms.example.com:444/a", False),
        ("https://example.com/", False),
        ("https://x.sms.example.com/", False),
        ("https://sms.example.com.evil.ru/", False),
        ("https://sms.example.com@evil.ru/", False),
        ("https://evil.ru@sms.example.com/", False),
        ("https://evil.ru/https://sms.example.com/", False),
        ("https://evil.ru?https://sms.example.com/", False),
        ("https://evil.ru#@sms.example.com/", False),
        ("http://127.0.0.1/", False),
        ("https://{city}.sms.example.com/", False),
    ],
)
def test_what_is_our_own_host(url: str, ours: bool) -> None:
    assert (wrapping.host_of(url) in OURS) is ours


def test_our_hosts_are_those_of_the_settings_and_no_patterns(settings: Any) -> None:
    settings.PUBLIC_URL = "https://sms.example.com"
    settings.SHORT_URL = "http://s.example.com:8080"
    settings.ALLOWED_HOSTS = ["Other.example.com", ".example.org", "*", "localhost", "127.0.0.1"]
    ours = Wrapping.chosen(clicks=True, sign_in=True).ours
    assert ours == {"sms.example.com", "s.example.com:8080", "other.example.com"}


@pytest.mark.parametrize(
    ("written", "words", "where"),
    [
        ("Да https://{city}.school.ru/", "name of the site", "https"),
        ("https://school.ru{city}/", "name of the site", "https"),
        ("Да {first_name|https://school.ru}", "inside braces", "{first"),
        (" ".join(f"https://a.ru/{n}" for n in range(63)), "62 different links", "https://a.ru/62"),
    ],
)
def test_links_that_cannot_be_made_short_are_refused_in_words(
    written: str, words: str, where: str
) -> None:
    with translation.override("en"), pytest.raises(text.BadText, match=words) as refused:
        wrapping.wrap(written, CLICKS)
    assert refused.value.position == written.index(where)


def test_what_stays_as_it_is_may_have_a_variable_anywhere() -> None:
    written = "https://{city}.school.ru/ https://sms.example.com/"
    assert wrapping.wrap(written, SIGN_IN).text == "https://{city}.school.ru/ \x1b1"


# --- marks ------------------------------------------------------------------------------------
@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=50))
def test_no_mark_comes_from_a_text_or_a_person(written: str, value: str, fallback: str) -> None:
    hostile = "\x1a0\x1b1"
    fallback = re.sub(r"[{}|\n]", "", fallback)
    try:
        template = text.parse(f"{written}{hostile} {{first_name|{fallback}{hostile}}}")
    except text.BadText:
        return
    for values in ({"first_name": value + hostile}, {}):
        body = text.render(template, values)
        assert "\x1a" not in body
        assert "\x1b" not in body


def test_a_stored_text_is_as_long_as_the_one_handed_over(settings: Any) -> None:
    settings.SHORT_URL = "https://s.example.com"
    body = "Hello \x1a0, \x1bz!"
    masked, filled = markers.masked(body), markers.filled(body, 12345)
    assert masked == (
        "Hello https://s.example.com/r/************, https://s.example.com/r/***************!"
    )
    assert len(filled) == len(masked)
    assert text.measure(filled) == text.measure(masked)
    first, second = (tokens.read(token) for token in re.findall(r"/r/(\w+)", filled))
    assert first == tokens.Token(12345, 0, Purpose.CLICK)
    assert second == tokens.Token(12345, 61, Purpose.SIGN_IN)


def test_a_text_without_links_stays_as_it_is() -> None:
    assert markers.filled("Hello", 5) == markers.masked("Hello") == "Hello"


# --- where a short link leads -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "values", "expected"),
    [
        ("https://school.ru/a?b=c#d", {}, "https://school.ru/a?b=c#d"),
        ("https://school.ru", {}, "https://school.ru"),
        ("https://school.ru/?u={email|x}", {"email": "a@b.ru"}, "https://school.ru/?u=a%40b.ru"),
        ("https://school.ru/?u={email|x y}", {}, "https://school.ru/?u=x%20y"),
        ("https://school.ru/?u={email}", {}, "https://school.ru/?u="),
        (
            "https://school.ru/{city}/a",
            {"city": "../../b?c#d"},
            "https://school.ru/..%2F..%2Fb%3Fc%23d/a",
        ),
        ("https://school.ru/{city}/a", {"city": ".."}, "https://school.ru//a"),
        ("https://school.ru/{city}", {"city": "\\\\evil.ru"}, "https://school.ru/%5C%5Cevil.ru"),
        (
            "https://school.ru/{city}",
            {"city": "a\r\nSet-Cookie: b"},
            "https://school.ru/a%20Set-Cookie%3A%20b",
        ),
        ("https://school.ru/?a={city}", {"city": "1&b=2"}, "https://school.ru/?a=1%26b%3D2"),
        ("https://школа.рф/я?б=в", {}, "https://xn--80atdl2c.xn--p1ai/%D1%8F?%D0%B1=%D0%B2"),
        ("https://школа.рф:8080/", {}, "https://xn--80atdl2c.xn--p1ai:8080/"),
        ("https://school.ru/a%20b", {}, "https://school.ru/a%20b"),
        ("https://school.ru/{{a}}", {}, "https://school.ru/%7Ba%7D"),
        ("https://school.ru/{gone|x}", {}, "https://school.ru/x"),
        ("http://[::1]:8000/me/", {}, "http://[::1]:8000/me/"),
    ],
)
def test_where_a_link_leads_for_one_person(url: str, values: dict[str, str], expected: str) -> None:
    assert wrapping.target(url, values) == expected


@given(st.text(max_size=100))
def test_no_value_leads_to_another_site_or_part_of_an_address(value: str) -> None:
    found = wrapping.target("https://school.ru/a/{city}/b?c={city}&d=e#f", {"city": value})
    assert re.fullmatch(r"https://school\.ru/a/[^/?#&=]*/b\?c=[^/?#&=]*&d=e#f", found)
    assert found.isascii()
    assert found.isprintable()


def test_a_wrapping_of_nothing_is_false() -> None:
    assert not Wrapping()
    assert all((CLICKS, SIGN_IN, BOTH, replace(CLICKS, sign_in=True)))
