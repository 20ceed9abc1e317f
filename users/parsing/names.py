"""What people write about themselves and may appear in the text of a message: no web address, no
phone number, no invisible character, and nothing longer than a name. Pure. Forms refuse anything
else with a message; values stored earlier are cleaned when they are shown.
"""

import re
import unicodedata
from functools import cache, lru_cache

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from linkify_it.tlds import TLDS

LONGEST = 40  # characters in a text
MOST_DIGITS = 6  # more digits in a row are a phone number, which handsets turn into a link
# Full stops of other scripts, which browsers accept as dots in addresses.
_STOPS = str.maketrans("\u3002\uff0e\uff61\u2024\ufe52\u0701\u0702", ".......")
_SCHEME = re.compile(
    r"(?i)[a-z][a-z0-9+-]*://|//\w|\b(?:https?|ftps?|tel|sms|smsto|mailto|tg|geo|data|intent|market|"
    r"javascript|viber|whatsapp|skype)\s?:|\bwww\."
)
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_MAIL = re.compile(r"\w@\w")
_DIGITS = re.compile(rf"\d(?:[\s().-]?\d){{{MOST_DIGITS},}}")
# Matches nearly every name: letters, with single spaces, hyphens or apostrophes between them.
_PLAIN = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]+)*")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Hangul fillers, the blank Braille pattern and the like: Unicode classes most as letters, but they show
# nothing.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_JOINERS = "\u200c\u200d"


def check(value: str) -> None:
    """A form validator. Raises ValidationError with a message for the person who typed the value."""
    if any(_is_invisible(value, at) for at in range(len(value))):
        raise ValidationError(
            _("There are invisible signs in it. Delete it and type it by hand."), code="invisible"
        )
    if _addresses(value):
        raise ValidationError(
            _("No web address and no e-mail here. After a full stop, put a space."), code="address"
        )
    if _DIGITS.search(unicodedata.normalize("NFKC", value)):
        raise ValidationError(_("No phone number here."), code="number")


def shown(value: str) -> str:
    """Return the value as it may appear in a text: without anything that check() refuses, and cut
    to LONGEST.
    """
    if len(value) <= LONGEST and _PLAIN.fullmatch(value) and _BLANK.isdisjoint(value):
        return value
    return _cleaned(value)


@lru_cache(maxsize=10_000)
def _cleaned(value: str) -> str:
    """Line breaks and tabs become spaces; other invisible characters are removed."""
    visible = "".join(
        " " if char.isspace() else "" if _is_invisible(value, at) else char
        for at, char in enumerate(value[: 10 * LONGEST])
    )
    words = [word for word in visible.split() if not _addresses(word)]
    return _whole(_DIGITS.sub("", " ".join(words)).strip(), LONGEST)


def _is_invisible(value: str, at: int) -> bool:
    char = value[at]
    if char in _BLANK:
        return True
    if unicodedata.category(char) not in _INVISIBLE:
        return False
    return not (char in _JOINERS and _is_spelt(value[at - 1 : at] + value[at + 1 : at + 2]))


def _is_spelt(neighbours: str) -> bool:
    """True between two letters, or two pictures, that a joiner may connect: Persian and the scripts
    of India spell with joiners, and pictures of several people contain them.
    """
    letters = ("\u0590" <= char <= "\u0fff" and _class(char) in "LM" for char in neighbours)
    pictures = (char > "\u2000" and _class(char) in "SM" for char in neighbours)
    return len(neighbours) == 2 and (all(letters) or all(pictures))


def _class(char: str) -> str:
    return unicodedata.category(char)[0]


def _addresses(value: str) -> bool:
    plain = unicodedata.normalize("NFKC", value.translate(_STOPS)).translate(_STOPS)
    if _SCHEME.search(plain) or _MAIL.search(plain):
        return True
    return any(_is_host(found[0]) for found in _HOST.finditer(plain))


def _is_host(written: str) -> bool:
    """Initials (И.И.Петров) are not a host unless they end in a top-level domain (t.me); a decimal
    number is not one either.
    """
    *labels, last = written.strip("-").lower().split(".")
    if last.isdigit():
        return len(labels) == 3 and all(each.isdigit() for each in labels)
    if _punycode(last) in _endings():
        return True
    return len(last) > 1 and any(len(label) > 1 for label in labels)


def _punycode(ending: str) -> str:
    try:
        return ending.encode("idna").decode()
    except UnicodeError:
        return ending


@cache
def _endings() -> frozenset[str]:
    return frozenset(_punycode(each.lower()) for each in TLDS)


def _whole(value: str, most: int) -> str:
    """Cut the value, but never inside a character sequence: an accented letter, a joined emoji, a
    flag.
    """
    if len(value) <= most:
        return value
    end = most
    while end and _clings(value, end):
        end -= 1
    return value[:end].rstrip()


def _clings(value: str, at: int) -> bool:
    """True if the character at this position belongs to the one before it."""
    char, before = value[at], value[at - 1]
    if unicodedata.category(char)[0] == "M" or char in _JOINERS or before == "\u200d":
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff":  # skin-tone modifiers
        return True
    run = len(value[:at]) - len(value[:at].rstrip(_FLAGS))
    return char in _FLAGS and run % 2 == 1


_FLAGS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
