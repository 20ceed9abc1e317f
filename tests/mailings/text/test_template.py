"""Variables and part counting: hard texts one by one, then any text against a plain brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailings.text.template import VARIABLES, BadText, Encoding, measure, parse, parts_of, render

ANNA = {
    "first_name": "Анна",
    "last_name": "Петрова",
    "name": "Анна Петрова",
    "email": "anna@example.com",
    "phone": "+79980000001",
    "city": "Тверь",
}
NOBODY: dict[str, str] = {}


# --- variables --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "for_anna", "for_nobody"),
    [
        ("", "", ""),
        ("Привет!", "Привет!", "Привет!"),
        ("{first_name}", "Анна", ""),
        ("{name}, {email}, {phone}", "Анна Петрова, anna@example.com, +79980000001", ",,"),
        ("Привет, {first_name|друг}!", "Привет, Анна!", "Привет, друг!"),
        ("{ first_name | дорогой друг }", "Анна", "дорогой друг"),
        ("{first_name|a|b}", "Анна", "a|b"),
        ("{first_name|}", "Анна", ""),
        (
            "Для {first_name} {last_name} есть место",
            "Для Анна Петрова есть место",
            "Для есть место",
        ),
        ("Да {first_name} нет", "Да Анна нет", "Да нет"),
        ("{first_name} ждём", "Анна ждём", "ждём"),
        ("{first_name} {last_name} ждём", "Анна Петрова ждём", "ждём"),
        ("Привет {first_name}, ждём", "Привет Анна, ждём", "Привет, ждём"),
        ("Ждём {first_name}", "Ждём Анна", "Ждём"),
        ("Ждём {first_name}\n{last_name} и всех", "Ждём Анна\nПетрова и всех", "Ждём\nи всех"),
        ("два  пробела {first_name} тут", "два  пробела Анна тут", "два  пробела тут"),
        ("({first_name})", "(Анна)", "()"),
        ("{{a}} {first_name} }}{{", "{a} Анна }{", "{a} }{"),
        ("одна\r\nдве\rтри", "одна\nдве\nтри", "одна\nдве\nтри"),
        ("не\0 видно\x1b \ud800", "не видно ", "не видно "),
    ],
)
def test_it_fills_in_the_variables(text: str, for_anna: str, for_nobody: str) -> None:
    template = parse(text)
    assert render(template, ANNA) == for_anna
    assert render(template, NOBODY) == for_nobody


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("Привет, {fist_name}!", 8, "{first_name}"),
        ("{First_Name}", 0, "{first_name}"),
        ("ab {user.first_name|x}", 3, "{first_name}"),
        ("{zzz}", 0, "{first_name}, {last_name}"),
        ("a {} b", 2, ""),
        ("a { |x} b", 2, ""),
        ("a {first_name b", 2, "{{"),
        ("a {first_name\n} b", 2, "{{"),
        ("a first_name} b", 12, "}}"),
        ("{first_name|{last_name}}", 0, "{{"),
        ("a\r\n{oops}", 2, "{oops}"),
        ("a {{ first_name|x }}", 2, "{first_name}"),
        ("a" * 1001, 1000, "1000"),
    ],
)
def test_it_refuses_what_it_does_not_understand(text: str, position: int, said: str) -> None:
    with pytest.raises(BadText) as caught:
        parse(text)
    assert caught.value.position == position
    assert said in caught.value.message
    assert "%(" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("{email}", "{email}"),
        ("a\nb\r\nc\td", "a b c d"),
        ("  Anna \u00a0 Maria ", "Anna Maria"),
        ("a\0b\x1b[31mc", "ab[31mc"),
        ("\u202eevil\u200b", "evil"),
        ("half \ud83d", "half"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("й" * 150, "й" * 100),
        ("a b " * 50, ("a b " * 25).strip()),
        (" \n\0 ", "friend"),
    ],
)
def test_it_takes_no_harm_from_a_value(value: str, sent: str) -> None:
    template = parse("{first_name|friend}")
    assert render(template, {"first_name": value}) == sent


def test_it_knows_which_variables_a_text_uses() -> None:
    assert parse("{name} {{x}} {email|none} {name}").names == {"name", "email"}


def test_it_has_a_value_for_every_variable() -> None:
    assert list(ANNA) == list(VARIABLES)


@given(st.text(alphabet="{} a|\n.,!", max_size=40))
def test_it_gives_back_any_text_whose_braces_are_doubled(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert render(parse(doubled), NOBODY) == text


@given(st.text(alphabet="{}first_nam|e \n", max_size=30))
def test_it_either_understands_a_text_or_names_the_place(text: str) -> None:
    try:
        place, rendered = None, render(parse(text), NOBODY)
    except BadText as bad:
        place, rendered = bad.position, ""
    assert place is None or text[place] in "{}"
    assert "\0" not in rendered


# --- counting ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts", "left", "culprits"),
    [
        ("", "gsm", 0, 0, 160, ""),
        ("a" * 160, "gsm", 160, 1, 0, ""),
        ("a" * 161, "gsm", 161, 2, 145, ""),
        ("a" * 306, "gsm", 306, 2, 0, ""),
        ("a" * 307, "gsm", 307, 3, 152, ""),
        ("€" * 80, "gsm", 160, 1, 0, ""),
        ("€" * 81, "gsm", 162, 2, 143, ""),
        ("a" * 152 + "€" + "a" * 10, "gsm", 164, 2, 141, ""),
        ("a" * 151 + "€" + "a" * 10, "gsm", 163, 2, 143, ""),
        ("€" * 153, "gsm", 306, 3, 151, ""),  # 76 pairs in a part, not 76 and a half
        ("\f^{}\\[~]|", "gsm", 18, 1, 142, ""),
        ("@£$¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\r\n", "gsm", 43, 1, 117, ""),
        ("я" * 70, "ucs2", 70, 1, 0, "я"),
        ("я" * 71, "ucs2", 71, 2, 63, "я"),
        ("я" * 134, "ucs2", 134, 2, 0, "я"),
        ("я" * 135, "ucs2", 135, 3, 66, "я"),
        ("{я}", "ucs2", 3, 1, 67, "я"),
        ("😀" * 35, "ucs2", 70, 1, 0, "😀"),
        ("😀" * 36, "ucs2", 72, 2, 61, "😀"),
        ("я" * 66 + "😀" + "я" * 10, "ucs2", 78, 2, 55, "я😀"),
        ("😀" * 67, "ucs2", 134, 3, 65, "😀"),
        ("a\u00a0b – c’ – ç`", "ucs2", 13, 1, 57, "\u00a0–’ç`"),
        ("a\x1bb", "ucs2", 3, 1, 67, "\x1b"),
    ],
)
def test_it_measures_hard_texts(
    text: str, encoding: str, units: int, parts: int, left: int, culprits: str
) -> None:
    found = measure(text)
    assert (found.encoding, found.units, found.parts, found.left) == (encoding, units, parts, left)
    assert "".join(found.culprits) == culprits
    assert parts_of(text) == parts


# GSM 03.38 written down a second time, by code point, so that a slip in one of the two shows.
BASIC = [
    *(0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D, 0xC5),
    *(0xE5, 0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E, 0xC6),
    *(0xE6, 0xDF, 0xC9, 0x20, 0x21, 0x22, 0x23, 0xA4, 0x25, 0x26, 0x27, *range(0x28, 0x40), 0xA1),
    *(*range(0x41, 0x5B), 0xC4, 0xD6, 0xD1, 0xDC, 0xA7, 0xBF, *range(0x61, 0x7B), 0xE4, 0xF6),
    *(0xF1, 0xFC, 0xE0),
]
EXTENDED = [0x0C, 0x5E, 0x7B, 0x7D, 0x5C, 0x5B, 0x7E, 0x5D, 0x7C, 0x20AC]
WIDTHS = {chr(code): 1 for code in BASIC} | {chr(code): 2 for code in EXTENDED}


def by_brute_force(text: str) -> tuple[Encoding, int, int, int, list[str]]:
    """Put one character after the other into parts."""
    culprits: list[str] = []
    for char in text:
        if char not in WIDTHS and char not in culprits:
            culprits.append(char)
    if culprits:
        encoding, single, joined = Encoding.UCS2, 70, 67
        widths = [1 if ord(char) < 0x10000 else 2 for char in text]
    else:
        encoding, single, joined = Encoding.GSM, 160, 153
        widths = [WIDTHS[char] for char in text]
    if sum(widths) <= single:
        return encoding, sum(widths), min(len(text), 1), single - sum(widths), culprits
    rooms = [joined]
    for width in widths:
        if rooms[-1] < width:
            rooms.append(joined)
        rooms[-1] -= width
    return encoding, sum(widths), len(rooms), rooms[-1], culprits


GSM_TEXTS = st.text(alphabet=sorted(WIDTHS), max_size=400)
LONG_TEXTS = st.text(alphabet="ab€{яй–😀🏳", min_size=60, max_size=400)


def test_the_two_tables_hold_the_whole_alphabet() -> None:
    assert (len(BASIC), len(EXTENDED)) == (127, 10)  # 128 with the escape itself


@given(st.one_of(st.text(max_size=300), GSM_TEXTS, LONG_TEXTS))
def test_it_counts_any_text_like_brute_force(text: str) -> None:
    found = measure(text)
    counted = (found.encoding, found.units, found.parts, found.left, list(found.culprits))
    assert counted == by_brute_force(text)
    assert parts_of(text) == found.parts
