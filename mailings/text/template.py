"""The text of a message: its variables, and how many SMS parts it takes. Pure functions: no
database, no clock.

parse() reads a text once and render() fills it in for each person. measure() and parts_of() count
the same way, so the composer, the price and the stored message show the same number.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

VARIABLES: dict[str, Promise] = {
    "first_name": gettext_lazy("first name"),
    "last_name": gettext_lazy("last name"),
    "name": gettext_lazy("first and last name"),
    "email": gettext_lazy("e-mail"),
    "phone": gettext_lazy("phone"),
    "city": gettext_lazy("city"),
}
LONGEST = 1000  # characters: SMSC takes no more
VALUE_LIMIT = 100  # characters, so that a page-long name does not become twenty SMS


class BadText(Exception):
    """The text cannot be understood: the error in words, and the index of the character where it
    is.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable with the literal text before it. The fallback replaces an empty value."""

    before: str
    name: str
    fallback: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut into literals and slots, once for all recipients."""

    slots: tuple[Slot, ...]
    tail: str  # the literal after the last slot

    @property
    def names(self) -> frozenset[str]:
        return frozenset(slot.name for slot in self.slots)


# --- variables --------------------------------------------------------------------------------
_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<inside>[^{}\n]*)\}|[{}]")
_DOUBLED = re.compile(r"\{\{\s*(\w+)\s*(?:\|[^{}\n]*)?\}\}")
_NEVER_SENT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_EMPTY = "\0"  # stands for an empty value in a rendered text; parse() removes it
# An empty value is removed together with one of the two spaces around it, and with the space that
# it would leave at the start of a line or before a punctuation mark.
_GAP = re.compile(r"(?m)^(?:\0+ )+| ?\0+(?=[ ,.!?:;)]|$)|\0+")


def parse(text: str, own: Collection[str] = ()) -> Template:
    """Parse a text as people write it: `{first_name}`, `{first_name|friend}`, `{{` for a brace.
    `own` are the names of the variables that this school has added (see
    audience/personalization.py).

    Raises BadText; its position counts a line break as one character, as a text area does.
    """
    text = clean(text)
    if len(text) > LONGEST:
        message = _("The text is too long: %(length)d characters. Services take at most %(most)d.")
        raise BadText(message % {"length": len(text), "most": LONGEST}, LONGEST)
    return cut(text, own)


def clean(text: str) -> str:
    """Remove the characters that no phone can show and compose each letter into one code point
    (NFC). Marks of links (markers.py) are among the removed characters, so nobody can type one.
    """
    shown = _NEVER_SENT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return unicodedata.normalize("NFC", shown)


def cut(text: str, own: Collection[str] = ()) -> Template:
    """Parse a clean() text in which wrapping.py may have put its marks. Raises BadText."""
    known = [*VARIABLES, *own]
    _refuse_doubled(text, known)
    slots: list[Slot] = []
    literal: list[str] = []
    done = 0
    for token in _TOKEN.finditer(text):
        literal.append(text[done : token.start()])
        done = token.end()
        if token["inside"] is not None:
            name, fallback = _variable(token["inside"], token.start(), known)
            slots.append(Slot("".join(literal), name, fallback))
            literal = []
        elif token[0] in {"{{", "}}"}:
            literal.append(token[0][0])
        else:
            raise BadText(_lone_brace(token[0]), token.start())
    return Template(tuple(slots), "".join(literal) + text[done:])


def names_in(text: str) -> list[str]:
    """Return the names in braces in a text, known or not. Doubled braces are literal and contain no
    name.
    """
    inside = (token["inside"] for token in _TOKEN.finditer(text))
    return [each.partition("|")[0].strip() for each in inside if each is not None]


def render(template: Template, values: Mapping[str, str]) -> str:
    """Return the text for one person. A missing value counts as empty. Variables inside a value are
    not expanded.
    """
    pieces: list[str] = []
    for slot in template.slots:
        pieces.append(slot.before)
        pieces.append(_clean(values.get(slot.name, "")) or slot.fallback or _EMPTY)
    pieces.append(template.tail)
    text = "".join(pieces)
    return _GAP.sub("", text) if _EMPTY in text else text


def _refuse_doubled(text: str, known: Collection[str]) -> None:
    """Refuse `{{first_name}}`, which other services use; as literal braces it would be sent
    unchanged.
    """
    for found in _DOUBLED.finditer(text):
        if found[1] in known:
            raise BadText(
                _("Write {%(name)s} with single braces.") % {"name": found[1]}, found.start()
            )


def _variable(inside: str, position: int, known: Collection[str]) -> tuple[str, str]:
    name, _bar, fallback = (part.strip() for part in inside.partition("|"))
    if not name:
        raise BadText(_("The braces are empty. Put the name of a variable in."), position)
    if name in known:
        return name, fallback
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    if near:
        message = _("There is no variable {%(name)s}. Did you mean {%(near)s}?")
        raise BadText(message % {"name": name, "near": near[0]}, position)
    message = _("There is no variable {%(name)s}. There are: %(all)s.")
    listed = ", ".join(f"{{{each}}}" for each in known)
    raise BadText(message % {"name": name, "all": listed}, position)


def _lone_brace(brace: str) -> str:
    if brace == "{":
        return _("A brace is opened and not closed. To send a brace itself, write {{.")
    return _("A brace is closed that was not opened. To send a brace itself, write }}.")


def _clean(value: str) -> str:
    """Put a value on one line, without control characters (nor bidi overrides), and cut it to
    VALUE_LIMIT. NFC composes letters: some systems write й as two characters, which costs one unit
    more.
    """
    if value.isascii() and value.isprintable() and " " not in value:
        return value[:VALUE_LIMIT]  # nearly every e-mail and phone
    value = unicodedata.normalize("NFC", value)
    if value.isalpha() and len(value) <= VALUE_LIMIT:
        return value  # nearly every name
    if not value.isprintable():
        value = "".join(char for char in value if _may_stand(char))
    return " ".join(value.split())[:VALUE_LIMIT].rstrip()


def _may_stand(char: str) -> bool:
    """Return whether the character stays. Joiners do: emoji and some scripts need them."""
    return (
        char.isspace()
        or char in "\u200c\u200d"
        or unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
    )


# --- counting ---------------------------------------------------------------------------------
class Encoding(StrEnum):
    GSM = "gsm"  # GSM 03.38: 7 bits, 160 in a single SMS
    UCS2 = "ucs2"  # anything else: UTF-16, 70 in a single SMS


SINGLE = {Encoding.GSM: 160, Encoding.UCS2: 70}
# the rest of each part is the header that joins them
JOINED = {Encoding.GSM: 153, Encoding.UCS2: 67}

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"  # two units each: an escape and a character
_FOREIGN = re.compile(f"[^{re.escape(_BASIC + _EXTENDED)}]")
_DOUBLE = {
    Encoding.GSM: re.compile(f"[{re.escape(_EXTENDED)}]"),
    Encoding.UCS2: re.compile("[\U00010000-\U0010ffff]"),
}
_FIRST_HALF = "\ud800"


@dataclass(frozen=True, slots=True)
class Measure:
    encoding: Encoding
    units: int
    parts: int  # 0 for an empty text
    left: int  # units that still fit without one more part
    culprits: tuple[str, ...]  # distinct characters that GSM does not have, in order


def measure(text: str) -> Measure:
    culprits = tuple(dict.fromkeys(_FOREIGN.findall(text)))
    encoding = Encoding.UCS2 if culprits else Encoding.GSM
    units = len(_halves(text, encoding))
    parts, left = _fill(text, encoding)
    return Measure(encoding, units, parts, left, culprits)


def parts_of(text: str) -> int:
    """Return measure(text).parts; faster, for many texts."""
    encoding = Encoding.UCS2 if _FOREIGN.search(text) else Encoding.GSM
    if len(text) * 2 <= SINGLE[encoding]:
        return 1 if text else 0
    if len(_halves(text, encoding)) > len(text):
        return _fill(text, encoding)[0]
    return 1 if len(text) <= SINGLE[encoding] else -(-len(text) // JOINED[encoding])


def is_double(char: str, encoding: Encoding) -> bool:
    """Return whether the character takes two units."""
    return _DOUBLE[encoding].fullmatch(char) is not None


def _fill(text: str, encoding: Encoding) -> tuple[int, int]:
    """Return how many parts the text takes, and the units left in the last one. Parts are filled
    one after the other, and no pair of units is split.
    """
    halves = _halves(text, encoding)
    single, joined = SINGLE[encoding], JOINED[encoding]
    if len(halves) <= single:
        return (1 if text else 0), single - len(halves)
    parts = 1
    start = 0
    while len(halves) - start > joined:
        start += joined
        if halves[start - 1] == _FIRST_HALF:
            start -= 1
        parts += 1
    return parts, joined - (len(halves) - start)


def _halves(text: str, encoding: Encoding) -> str:
    """Return the text with one character per unit: a marker precedes each character that takes two
    units.
    """
    if encoding is Encoding.UCS2 and len(text.encode("utf-16-le", "surrogatepass")) == 2 * len(
        text
    ):
        return text  # no pairs: nearly every text skips the search below
    return _DOUBLE[encoding].sub(_FIRST_HALF + r"\g<0>", text)
