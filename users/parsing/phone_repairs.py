"""Extracts the digits of one phone from what people and spreadsheets type around and inside it. Pure; knows
no country.

Each repair here has only one possible meaning. Ambiguous input gets a named error and is never guessed.
"""

import re
import unicodedata
from typing import NamedTuple
from urllib.parse import unquote

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class PhoneError(TextChoices):
    """What is wrong with a phone; the label tells the person who typed it."""

    EMPTY = "empty", _("There is no phone here.")
    SEVERAL = "several", _("These are several phones. Write one.")
    LETTERS = "letters", _("A phone has only digits. Remove the letters and other signs.")
    CUT_OFF = (
        "cut_off",
        _("The table has cut this number off. Write it in full, in a column of text."),
    )
    TOO_SHORT = "too_short", _("Digits are missing.")
    TOO_LONG = "too_long", _("There are too many digits.")
    NO_SUCH_COUNTRY = "no_such_country", _("There is no country with this code.")
    NO_SUCH_NUMBER = (
        "no_such_number",
        _("There are no such numbers in this country. Check every digit."),
    )


class BadPhone(ValueError):
    """The input is not a phone; `error` says why. The phone itself is not in the text, because
    logs may show it.
    """

    def __init__(self, error: PhoneError) -> None:
        super().__init__(error.value)
        self.error = error


class Digits(NamedTuple):
    """The digits of one phone."""

    digits: str
    plus: bool  # a plus came before them
    repaired: bool  # more was removed than people usually put between digits
    groups: tuple[str, ...]  # the same digits, split as they were typed


LONGEST_TYPED = 64
PHONE = 7  # a phone has at least this many digits; the shortest in use have as many
LONGEST = 15  # E.164
# What people put between digits: spaces and dashes of all kinds, brackets, dots, and invisible characters
# left by copying.
USUAL = re.compile(
    r"[\s()\[\].·~_\-\u2010-\u2015\u2212\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
BETWEEN_PHONES = re.compile(r"[,;|\n]")
SLASHES = re.compile(r"[/\\]")
# An extension after the phone. Digits after a mere comma may be the end of the phone itself.
EXTENSION = re.compile(r"(?:;ext=|доб|вн|ext|x|#)[^\d+]{0,8}\d{1,6}\W*$", re.IGNORECASE)
# Numbers that are certainly something else, whatever they look like.
OTHER_NUMBERS = re.compile(
    r"@|\b(?:инн|снилс|паспорт|сч[её]т|карт[аы]|договор|заказ|order|invoice|passport|card)\b",
    re.IGNORECASE,
)
LIKE_DIGITS = "lIOoОоЗз"  # letters that were meant as digits if they stand among digits
AS_DIGITS = str.maketrans(LIKE_DIGITS, "11000033")
AMONG_DIGITS = re.compile(rf"(?<=\d)\s?[{LIKE_DIGITS}]{{1,3}}(?=\s?\d|\W*$)")
SCIENTIFIC = re.compile(r"\+?(\d+)(?:[.,](\d+))?[eе]\+?0*(\d{1,2})", re.IGNORECASE)
FLOAT = re.compile(rf"(\+?\d{{{PHONE + 1},{LONGEST}}})[.,]0+")
THOUSANDS = re.compile(r"\+?\d{1,3}(?:([,'’ \u00a0\u202f.])\d{3})(?:\1\d{3}){1,3}(?:[.,]0+)?")


def digits_of(raw: str) -> Digits:
    """Return the digits of the one phone in the text.

    Raises BadPhone with EMPTY, SEVERAL, LETTERS, CUT_OFF or TOO_LONG.
    """
    plain = _in_ascii_digits(raw[: 4 * LONGEST_TYPED])  # a link around the phone may be long
    if not any(char.isdigit() for char in plain):
        raise BadPhone(PhoneError.LETTERS if re.search(r"\w", plain) else PhoneError.EMPTY)
    text = _of_a_table(plain)
    core = _core(text)
    found = _joined(core)
    if len(found.digits) < PHONE and re.search(r"[^\W\d_]", plain):
        raise BadPhone(PhoneError.LETTERS)
    usual = USUAL.sub("", plain)
    return found._replace(repaired=usual != "+" * found.plus + found.digits)


def _in_ascii_digits(raw: str) -> str:
    """Write digits of any script as 0 to 9, and percent-encoded text in plain characters."""
    if "%" in raw:
        raw = unquote(raw)
    text = unicodedata.normalize("NFKC", raw)
    return "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text
    ).strip()


def _of_a_table(text: str) -> str:
    """Undo what spreadsheets make of a number: 7.9E+10, a trailing ".0", separated thousands."""
    bare = text.strip("'\"=`’ \t\n;")
    if scientific := SCIENTIFIC.fullmatch(bare):
        return _written_out(*scientific.groups(""))
    if whole := FLOAT.fullmatch(bare):
        return whole[1]
    if THOUSANDS.fullmatch(bare):
        return re.sub(r"[.,]0+$", "", bare) if re.search(r"[.,]0{1,2}$", bare) else bare
    return text


def _written_out(whole: str, fraction: str, exponent: str) -> str:
    """Return all digits, if all are there. A missing digit might be a zero or any other."""
    power = int(exponent)
    if len(fraction.rstrip("0")) > power or not PHONE <= len(whole) + power <= LONGEST:
        raise BadPhone(PhoneError.LETTERS)
    if power > len(fraction):
        raise BadPhone(PhoneError.CUT_OFF)
    return whole + fraction[:power]


def _core(text: str) -> str:
    """Return the text from the first to the last character of the phone. Words may stand around it,
    digits may not.
    """
    if OTHER_NUMBERS.search(text):
        raise BadPhone(PhoneError.LETTERS)
    text = _letters_meant_as_digits(EXTENSION.sub("", text))
    first = re.search(r"[+\d]", text)
    if first is None:
        raise BadPhone(PhoneError.LETTERS)
    last = max(place for place, char in enumerate(text) if char.isdigit() or char == "+")
    return text[first.start() : last + 1]


def _letters_meant_as_digits(text: str) -> str:
    if sum(char.isdigit() for char in text) < PHONE:
        return text
    return AMONG_DIGITS.sub(lambda found: found[0].translate(AS_DIGITS), text)


def _joined(core: str) -> Digits:
    if re.search(r"[^\W\d_]", core):
        raise BadPhone(_with_letters_inside(core))
    core = re.sub(r"^\++", "+", re.sub(r"\+(?=\W*\+)", "", core))
    before, plus, after = core.rpartition("+")
    front = re.sub(r"\D", "", before)
    if len(front) > 1:  # a single digit is a leftover national prefix: 8+7...
        raise BadPhone(PhoneError.SEVERAL)
    if not plus:
        after = core
    if _are_several(after):
        raise BadPhone(PhoneError.SEVERAL)
    groups = tuple(re.findall(r"\d+", after))
    digits = "".join(groups)
    if not digits:
        raise BadPhone(PhoneError.EMPTY)
    if len(digits) > LONGEST_TYPED:
        raise BadPhone(PhoneError.TOO_LONG)
    return Digits(digits, bool(plus), True, groups)


def _with_letters_inside(core: str) -> PhoneError:
    pieces = [re.sub(r"\D", "", piece) for piece in re.split(r"[^\W\d_]+", core)]
    several = sum(len(piece) >= PHONE for piece in pieces) > 1
    return PhoneError.SEVERAL if several else PhoneError.LETTERS


def _are_several(text: str) -> bool:
    """True if a separator of several phones divides the text; a slash may also stand inside one
    phone (030/1234567).
    """
    if THOUSANDS.fullmatch(text):
        return False
    if len([piece for piece in BETWEEN_PHONES.split(text) if re.search(r"\d", piece)]) > 1:
        return True
    *others, _last = [re.sub(r"\D", "", piece) for piece in SLASHES.split(text)]
    return any(len(piece) >= PHONE for piece in others)
