"""Signs that make an SMS dearer: report F9 of the field, and of F2 those inside links. A number is a row of
its log.
"""

import unicodedata

import pytest

from mailings.text import substitutions
from mailings.text import template as text
from mailings.text.template import Encoding, measure

# Of the 271 that Twilio's smart encoding replaces, by what they become here.
EQUAL = {
    '"': "«»“”ʺˮ‟„❝❞〝〞＂",
    "'": "‘’ʻˈʼʽʹ‛＇´ˊ`ˋ❛❜‹›",
    "/": "⁄∕⧸／÷",
    "-": "‐‑–—―⁃﹣－⎼⎽•",
    "(": "❨❪﹙（⟮⦅❴﹛",
    ")": "❩❫﹚）⟯⦆❵﹜",
    "*": "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆﹡＊★",
    "!": "ǃ︕﹗！❗",
    ",": "﹐、﹑，､",
    ".": "。﹒．｡",
    ":": "ː˸⦂꞉︓：",
    ";": "⁏︔﹔；",
    "?": "︖﹖？",
    "+": "˖﹢＋",
    "=": "꞊﹦＝",
    "~": "˜˷∼～",
    "^": "ˆ＾",
    "|": "∣｜⎸⎹⏐⎜⎟",
    "\\": "⧹⧵﹨＼",
    " ": "\u00a0\u2000\u2003\u2009\u202f\u205f\u3000",
    "": "\u200b\u200c\u200d\u2060\ufeff\u180e\u00ad\u200e\u202a\ufe0f\u2800\u3164",
    "1/4": "¼",
    "1/2": "½",
    "3/4": "¾",
    "0/3": "↉",
    "...": "…",
    "!!": "‼",
    "A": "ᴀＡΑⒶ",
    "B": "ʙ",
    "T": "ᴛ",
    "1": "１①❶¹₁",
    "L": "Ł",
    "l": "ł",
    "D": "Đ",
    "o": "ő",
    "i": "ı",
    "OE": "Œ",
    "->": "→➜⇒",
    "!=": "≠",
    ">=": "≥",
    "No": "№",
}


@pytest.mark.parametrize(
    ("sign", "equal"), [(sign, equal) for equal, signs in EQUAL.items() for sign in signs]
)
def test_a_sign_has_its_equal(sign: str, equal: str) -> None:
    written = f"Join us{sign}today at school"
    assert substitutions.plain(written) == f"Join us{equal}today at school"
    assert measure(substitutions.plain(written)).encoding == Encoding.GSM
    assert sign in {each.sign for each in substitutions.signs(written)}


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Łódź, łąka, żółć", "Lòdz, laka, zòlc".replace("ò", "o")),  # 9
        ("İstanbul ığdır şçğ, Đorđe", "Istanbul igdir scg, Dorde"),
        ("Straße, Ærø, Ñandú, Ölü", "Straße, Ærø, Ñandu, Ölü"),  # what GSM-7 has stays
        ("❨new❩ ❴x❵ ❝a❞ ✳✽", '(new) (x) "a" **'),
        ("2½ hours, ½ price", "2 1/2 hours, 1/2 price"),
        ("10² people, 5 m², H₂O", "10^2 people, 5 m2, H2O"),
        ("a ≠ b, 5 ± 1", "a != b, 5 +/- 1"),
        ("① one ② two ❿ ten", "1 one 2 two 10 ten"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "Full width"),
        ("see you 👇 soon 🎉", "see you soon"),
        # Nothing is known that says the same: it stays, and is marked.
        ("20° and 5‰", "20° and 5‰"),
        ("x ∉ y", "x ∉ y"),
    ],
)
def test_nothing_that_means_something_gets_lost(written: str, plain: str) -> None:
    assert substitutions.plain(written) == plain
    assert substitutions.plain(plain) == plain


@pytest.mark.parametrize(
    "sign", "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202c\ufe0f\u180e\u3164"
)
def test_an_unseen_sign_inside_a_link_can_be_taken_out(sign: str) -> None:
    for link in (
        f"https://school.ru/a{sign}",
        f"https://school.ru/a{sign}b/c",
        f"https://sch{sign}ool.ru",
    ):
        written = f"Join: {link} tomorrow"
        assert measure(written).encoding == Encoding.UCS2
        assert [each.sign for each in substitutions.signs(written)] == [sign]
        plain = substitutions.plain(written)
        assert plain == written.replace(sign, "")
        assert measure(plain).encoding == Encoding.GSM
        cyrillic = f"Заходи: {link} завтра"
        assert substitutions.plain(cyrillic) == cyrillic.replace(sign, "")


def test_the_rest_of_a_link_is_nobodys_to_change() -> None:
    written = "«Да» https://school.ru/курс?a=[1]~’b … 👇"
    assert "https://school.ru/курс?a=[1]~’b" in substitutions.plain(written)
    assert "https://school.ru/курс?a=[1]~’b" in substitutions.latin(written)


def test_joiners_that_spell_a_word_stay() -> None:
    persian = "سلام می\u200cخواهم"
    assert substitutions.plain(persian) == persian


# --- letters in two pieces, as macOS writes the names of files -----------------------------------
def test_a_letter_in_two_pieces_becomes_one() -> None:
    template = text.parse("Приве\u0442, {first_name}! И\u0306од")
    body = text.render(template, {"first_name": "Андреи\u0306"})
    assert body == "Привет, Андрей! Йод"
    assert unicodedata.is_normalized("NFC", body)


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("Сергеи\u0306", "Сергей"),
        ("Е\u0308жик", "Ёжик"),
        ("Rene\u0301", "René"),
        ("A\u030ase", "Åse"),  # one piece is in GSM-7
        ("\u212bse", "Åse"),
        ("  Анна\u200b  Мария ", "Анна Мария"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    ],
)
def test_values_are_written_with_each_letter_in_one_piece(value: str, rendered: str) -> None:
    assert text.render(text.parse("{first_name}"), {"first_name": value}) == rendered
