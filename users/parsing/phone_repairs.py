"""What people and their tables type around and inside a phone -> its digits. Pure, knows no country.

Every repair here has one meaning only. What could mean two things is named and never guessed.
"""

import re
import unicodedata
from typing import NamedTuple
from urllib.parse import unquote

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Complaint(TextChoices):
    """What is wrong with a phone, in words for whoever typed it."""

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
    """Not a phone. The complaint says why; the phone itself is not in the text, for the logs."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.value)
        self.complaint = complaint


class Digits(NamedTuple):
    """The digits of one phone."""

    digits: str
    plus: bool  # a plus stood before them
    repaired: bool  # more was taken away than what people usually put between digits
    groups: tuple[str, ...]  # the same digits as they stood apart


LONGEST_TYPED = 64
PHONE = 7  # digits that can be a phone of their own; the shortest in use have as many
LONGEST = 15  # E.164
# What people put between digits: any space or dash, brackets, dots, and invisible marks from copying.
USUAL = re.compile(
    r"[\s()\[\].·~_\-\u2010-\u2015\u2212\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
BETWEEN_PHONES = re.compile(r"[,;|\n]")
SLASHES = re.compile(r"[/\\]")
# Behind the phone: a number inside the house. What follows a comma alone may be a phone's end.
EXTENSION = re.compile(r"(?:;ext=|доб|вн|ext|x|#)[^\d+]{0,8}\d{1,6}\W*$", re.IGNORECASE)
# Numbers that are surely something else, however they look.
OTHER_NUMBERS = re.compile(
    r"@|\b(?:инн|снилс|паспорт|сч[её]т|карт[аы]|договор|заказ|order|invoice|passport|card)\b",
    re.IGNORECASE,
)
LIKE_DIGITS = "lIOoОоЗз"  # letters that were meant as digits when they stand among them
AS_DIGITS = str.maketrans(LIKE_DIGITS, "11000033")
AMONG_DIGITS = re.compile(rf"(?<=\d)\s?[{LIKE_DIGITS}]{{1,3}}(?=\s?\d|\W*$)")
SCIENTIFIC = re.compile(r"\+?(\d+)(?:[.,](\d+))?[eе]\+?0*(\d{1,2})", re.IGNORECASE)
FLOAT = re.compile(rf"(\+?\d{{{PHONE + 1},{LONGEST}}})[.,]0+")
THOUSANDS = re.compile(r"\+?\d{1,3}(?:([,'’ \u00a0\u202f.])\d{3})(?:\1\d{3}){1,3}(?:[.,]0+)?")


def digits_of(raw: str) -> Digits:
    """Raises BadPhone with EMPTY, SEVERAL, LETTERS, CUT_OFF or TOO_LONG."""
    plain = _in_ascii_digits(raw[: 4 * LONGEST_TYPED])  # an address around it may be long
    if not any(char.isdigit() for char in plain):
        raise BadPhone(Complaint.LETTERS if re.search(r"\w", plain) else Complaint.EMPTY)
    text = _of_a_table(plain)
    core = _core(text)
    found = _joined(core)
    if len(found.digits) < PHONE and re.search(r"[^\W\d_]", plain):
        raise BadPhone(Complaint.LETTERS)
    usual = USUAL.sub("", plain)
    return found._replace(repaired=usual != "+" * found.plus + found.digits)


def _in_ascii_digits(raw: str) -> str:
    """Digits of any script as 0 to 9; an address as it is read."""
    if "%" in raw:
        raw = unquote(raw)
    text = unicodedata.normalize("NFKC", raw)
    return "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text
    ).strip()


def _of_a_table(text: str) -> str:
    """A number as spreadsheets write it: 7.9E+10, with ".0" behind, with thousands apart."""
    bare = text.strip("'\"=`’ \t\n;")
    if scientific := SCIENTIFIC.fullmatch(bare):
        return _written_out(*scientific.groups(""))
    if whole := FLOAT.fullmatch(bare):
        return whole[1]
    if THOUSANDS.fullmatch(bare):
        return re.sub(r"[.,]0+$", "", bare) if re.search(r"[.,]0{1,2}$", bare) else bare
    return text


def _written_out(whole: str, fraction: str, exponent: str) -> str:
    """All digits, if they are all there. A digit that is missing might be a zero, or any other."""
    power = int(exponent)
    if len(fraction.rstrip("0")) > power or not PHONE <= len(whole) + power <= LONGEST:
        raise BadPhone(Complaint.LETTERS)
    if power > len(fraction):
        raise BadPhone(Complaint.CUT_OFF)
    return whole + fraction[:power]


def _core(text: str) -> str:
    """From the first sign of the phone to its last. What stands around it may be words, not digits."""
    if OTHER_NUMBERS.search(text):
        raise BadPhone(Complaint.LETTERS)
    text = _letters_meant_as_digits(EXTENSION.sub("", text))
    first = re.search(r"[+\d]", text)
    if first is None:
        raise BadPhone(Complaint.LETTERS)
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
    if len(front) > 1:  # one digit is a national prefix left standing: 8+7...
        raise BadPhone(Complaint.SEVERAL)
    if not plus:
        after = core
    if _are_several(after):
        raise BadPhone(Complaint.SEVERAL)
    groups = tuple(re.findall(r"\d+", after))
    digits = "".join(groups)
    if not digits:
        raise BadPhone(Complaint.EMPTY)
    if len(digits) > LONGEST_TYPED:
        raise BadPhone(Complaint.TOO_LONG)
    return Digits(digits, bool(plus), True, groups)


def _with_letters_inside(core: str) -> Complaint:
    pieces = [re.sub(r"\D", "", piece) for piece in re.split(r"[^\W\d_]+", core)]
    several = sum(len(piece) >= PHONE for piece in pieces) > 1
    return Complaint.SEVERAL if several else Complaint.LETTERS


def _are_several(text: str) -> bool:
    """Divided by what stands between phones; a slash may also stand inside one (030/1234567)."""
    if THOUSANDS.fullmatch(text):
        return False
    if len([piece for piece in BETWEEN_PHONES.split(text) if re.search(r"\d", piece)]) > 1:
        return True
    *others, _last = [re.sub(r"\D", "", piece) for piece in SLASHES.split(text)]
    return any(len(piece) >= PHONE for piece in others)
