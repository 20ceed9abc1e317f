"""Texts that are hard to count, by a table and beside an oracle that shares no line with template.py: it
packs septets and UTF-16 into parts of 140 octets as the standards say (3GPP 23.038, 23.040).
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailings.text import substitutions, template
from mailings.text.template import Encoding, measure

GSM, UCS2 = Encoding.GSM, Encoding.UCS2
FAMILY = "👩\u200d👩\u200d👧"  # 8 units: three pairs and two joiners

TABLE = [
    ("Hello", GSM, 5, 1, ""),
    ("", GSM, 0, 0, ""),
    ("a" * 160, GSM, 160, 1, ""),
    ("a" * 161, GSM, 161, 2, ""),
    ("a" * 306, GSM, 306, 2, ""),
    ("a" * 307, GSM, 307, 3, ""),
    ("Привет", UCS2, 6, 1, "Привет"),
    ("я" * 70, UCS2, 70, 1, "я"),
    ("я" * 71, UCS2, 71, 2, "я"),
    ("я" * 134, UCS2, 134, 2, "я"),
    ("я" * 135, UCS2, 135, 3, "я"),
    # One odd sign more than doubles a text of Latin letters.
    ("a" * 159 + "…", UCS2, 160, 3, "…"),
    ("«Sale» — today", UCS2, 14, 1, "«»—"),
    ("“Sale”", UCS2, 6, 1, "“”"),
    ("don’t", UCS2, 5, 1, "’"),
    ("10\u00a0000", UCS2, 6, 1, "\u00a0"),
    # Two units each: an escape before the sign.
    ("10 €", GSM, 5, 1, ""),
    ("[a] {b} ~ ^ | \\", GSM, 23, 1, ""),
    ("€" * 80, GSM, 160, 1, ""),
    ("€" * 81, GSM, 162, 2, ""),
    ("a" * 152 + "€" * 5, GSM, 162, 2, ""),  # the pair goes over to the next part whole
    ("a" * 152 + "€" * 77, GSM, 306, 3, ""),  # which may cost a part
    ("àèéìòù ÄÖÑÜ äöñü Ç ß Æ Ø å Δ Ω", GSM, 30, 1, ""),
    ("çaïô", UCS2, 4, 1, "çïô"),
    # Ukrainian, Kazakh, Kyrgyz.
    ("їжак і ґава", UCS2, 11, 1, "їжакіґв"),
    ("Қазақ тілі ә ө ұ", UCS2, 16, 1, "Қазқтіләөұ"),
    # Emoji: pairs, joined ones, flags, skin.
    ("👍", UCS2, 2, 1, "👍"),
    ("👍" * 35, UCS2, 70, 1, "👍"),
    ("👍" * 36, UCS2, 72, 2, "👍"),
    ("a" * 66 + "👍" * 3, UCS2, 72, 2, "👍"),
    ("a" * 66 + "👍" * 34, UCS2, 134, 3, "👍"),  # 66 + no half of a pair, 66, 2
    (FAMILY, UCS2, 8, 1, "👩\u200d👧"),
    ("🇰🇿", UCS2, 4, 1, "🇰🇿"),
    ("☀", UCS2, 1, 1, "☀"),
    ("line\nline", GSM, 9, 1, ""),
    ("https://school.example.com/" + "a" * 133, GSM, 160, 1, ""),
    ("https://school.example.com/~a" + "a" * 130, GSM, 160, 1, ""),
    ("Вход: https://school.example.com/?a=b&c=d#e", UCS2, 43, 1, "Вход"),
]


@pytest.mark.parametrize(("body", "encoding", "units", "parts", "culprits"), TABLE)
def test_it_counts_what_a_phone_gets(
    body: str, encoding: Encoding, units: int, parts: int, culprits: str
) -> None:
    got = measure(body)
    assert (got.encoding, got.units, got.parts) == (encoding, units, parts)
    assert "".join(got.culprits) == culprits
    assert template.parts_of(body) == parts
    assert "".join(piece.text for piece in substitutions.pieces(body)) == body


# --- the oracle -----------------------------------------------------------------------------------
# The default alphabet by rows of the table in 3GPP TS 23.038, 6.2.1; ESC stands at 0x1B.
ROWS = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~"}
EXTENSION |= {0x3E: "]", 0x40: "|", 0x65: "€"}
CODES = {char: [code] for code, char in enumerate(ROWS) if char != "\x1b"}
CODES |= {char: [0x1B, code] for code, char in EXTENSION.items()}
OCTETS, HEADER = 140, 6


def oracle(body: str) -> int:
    """Parts, by writing each into octets: characters of whatever length, never cut."""
    if not body:
        return 0
    if all(char in CODES for char in body):
        sizes, whole = [len(CODES[char]) for char in body], OCTETS * 8 // 7
        room = (OCTETS - HEADER) * 8 // 7
    else:
        sizes, whole = [len(char.encode("utf-16-be")) for char in body], OCTETS
        room = OCTETS - HEADER
    if sum(sizes) <= whole:
        return 1
    parts, filled = 1, 0
    for size in sizes:
        if filled + size > room:
            parts, filled = parts + 1, 0
        filled += size
    return parts


ANY = st.text(
    st.sampled_from("abc €{}[]~^|\\\n@àçЯяіқ“…👍🇰\u200d\u00a0") | st.characters(codec="utf-8"),
    max_size=700,
)


@given(ANY)
@example("a" * 152 + "€" * 77)
@example("я" + "👍" * 34)
def test_it_counts_like_the_standards(body: str) -> None:
    assert measure(body).parts == template.parts_of(body) == oracle(body)


@given(ANY)
def test_what_is_left_is_left(body: str) -> None:
    """So many units more fit, and one more does not."""
    left, parts = measure(body).left, measure(body).parts
    if body:
        assert oracle(body + "a" * left) == parts
        assert oracle(body + "a" * (left + 1)) == parts + 1


# --- replacements ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("written", "plain", "latin"),
    [
        ("«Yes» — and…", '"Yes" - and...', None),
        ("“It’s” 5\u202f000 №5", '"It\'s" 5 000 No5', None),
        ("{first_name|«friend»} «{city}»", '{first_name|"friend"} "{city}"', None),
        ("https://a.example/«in» ok…", 'https://a.example/"in" ok...', None),
        ("see https://a.example/in—out", "see https://a.example/in—out", None),
        ("a\u00a0b\u200bc\u00ad\u200e", "a bc", None),
        ("çaïô Łódź", "caio Lodz", None),
        ("e\u0301te\u0301", "été", None),
        # Letters that look Latin and are Cyrillic, in a Latin word and in one of their own.
        ("Sаlе till Moscow", "Sale till Moscow", None),
        (
            "Hello Анна, how are you there",
            "Hello Анна, how are you there",
            "Hello Anna, how are you there",
        ),
        # Pictures go with a space; a digit in a box is the digit.
        ("👍 ok", "ok", None),
        ("ok 👍🏽!", "ok!", None),
        (f"a {FAMILY} b 🇰🇿", "a b", None),
        ("a 👍👎👍. b", "a. b", None),
        ("1\ufe0f\u20e3 a ❗\ufe0f", "1 a !", None),
        # Two units each in GSM-7; braces of variables stay.
        ("[a] {{b}} ~ {city|c|d}", "(a) (b) - {city|c/d}", None),
        ("5 €", "5 €", None),
        # In Cyrillic a quote costs no more than any sign: only what takes less is offered.
        ("«Да» — и…", "«Да» — и…", '"Da" - i...'),
        (
            "Привет, {first_name|друг} 👍!",
            "Привет, {first_name|друг}!",
            "Privet, {first_name|drug}!",
        ),
        ("и\u0306од\u200b", "йод", "yod"),
        ("{ city }", "{ city }", "{ city }"),
        ("{{город}} {{{city}}}", "{{город}} {{{city}}}", "(gorod) ({city})"),
        ("https://a.example/«вход» ok", None, 'https://a.example/"vkhod" ok'),
        ("см. https://a.example/вход—да", None, "sm. https://a.example/вход—да"),
        ("Қазақстан, їжак, ЇЖАК, ўзбек", None, "Kazakstan, yizhak, YIZHAK, uzbek"),
        ("Щука №5 ЮЛИЯ ШКОЛА Яна я", None, "Schuka No5 YULIYA SHKOLA Yana ya"),
        ("Юбилей школы, объём, подъезд", None, "Yubiley shkoly, obyom, podyezd"),
        ("日本", "日本", "日本"),
    ],
)
def test_it_replaces(written: str, plain: str | None, latin: str | None) -> None:
    plain = written if plain is None else plain
    assert substitutions.plain(written) == plain
    assert substitutions.latin(written) == (plain if latin is None else latin)
    assert substitutions.plain(plain) == plain


def test_it_replaces_one_sign_alone() -> None:
    assert substitutions.plain("«a» — b", only="—") == "«a» - b"
    assert substitutions.plain("«a» я", only="я") == "«a» я"


WRITTEN = st.lists(
    st.sampled_from([*"ab {}|[]~«»…№ Яйсo\u0301\u00a0👍🏽🇰\u200d\ufe0f1", "{city}", "{city|"]),
    max_size=40,
).map("".join)


@given(WRITTEN)
def test_a_replacement_costs_nothing_and_touches_no_variable(written: str) -> None:
    def names(each: str) -> object:
        try:
            return template.parse(each).names
        except template.BadText:
            return None

    plain = substitutions.plain(written)

    assert measure(plain).parts <= measure(written).parts
    if names(written) is not None:
        assert names(plain) == names(written)
        assert names(substitutions.latin(written)) == names(written)


@given(WRITTEN)
def test_each_sign_offered_goes_at_its_click(written: str) -> None:
    for each in substitutions.signs(written):
        left = {
            sign.sign for sign in substitutions.signs(substitutions.plain(written, only=each.sign))
        }
        assert each.sign not in left
        assert each.times > 0


def test_every_equal_is_in_the_alphabet_of_gsm() -> None:
    assert [s for s, equal in substitutions.EQUALS.items() if measure(equal).culprits] == []
    assert [s for s in substitutions.EQUALS if not measure(s).culprits and s != "\t"] == []


@given(st.text(st.characters(min_codepoint=0x400, max_codepoint=0x52F, categories=["Ll", "Lu"])))
def test_russian_ends_up_in_latin(word: str) -> None:
    kept = set(measure(substitutions.latin(word)).culprits)
    assert kept.isdisjoint("абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґўәғқңөұүһ")


def test_it_marks_what_is_dear() -> None:
    assert substitutions.pieces("Hi «you» 5€") == [
        ("Hi ", ""),
        ("«", "unicode"),
        ("you", ""),
        ("»", "unicode"),
        (" 5€", ""),
    ]
    assert substitutions.pieces("5€ ~") == [("5", ""), ("€", "double"), (" ", ""), ("~", "double")]
    assert substitutions.pieces("Привет «мир» 👍") == [("Привет «мир» ", ""), ("👍", "double")]


def test_it_marks_a_text_as_it_is_typed() -> None:
    """Braces of variables are not sent; those that are, written twice, cost twice."""
    found = substitutions.written_pieces("{name|«you»} {{5€}}")
    assert [piece for piece in found if piece.why] == [("«", "unicode"), ("»", "unicode")]
    found = substitutions.written_pieces("{name|[you]} {{5€}}")
    assert "".join(piece.text for piece in found if piece.why) == "[]{{€}}"
    assert "".join(piece.text for piece in found) == "{name|[you]} {{5€}}"


def test_a_picture_is_marked_whole() -> None:
    assert substitutions.pieces(f"Семья {FAMILY}") == [("Семья ", ""), (FAMILY, "double")]
