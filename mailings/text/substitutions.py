"""Finds characters that make an SMS dearer and replaces them: typographic signs by plain ones,
Cyrillic by Latin letters. Pure functions. Encodings and the counting of parts are in template.py.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import iuliia

from . import plain_signs, template, unseen, wrapping
from .plain_signs import ALIKE, OTHER_LETTERS, SHORTER
from .unseen import PAINT, PICTURE

SLIP = 0.3  # above this share of letters outside GSM-7, the text is in another script

EQUALS = plain_signs.EQUALS

# The parts of a text as template.parse() reads them. Names of variables (not their fallbacks) and
# links stay unchanged.
_PARTS = re.compile(
    r"\{\{|\}\}"
    r"|(?P<name>\{\s*\w+\s*\|?)(?P<fallback>(?<=\|)[^{}\n]*)?\}"
)
_NEARLY_LINK = re.compile(r"https?://[^\s{}«»“”…]+")
_LINK = re.compile(r"https?://\S+")
_ONE_PICTURE = re.compile(PICTURE)
_PICTURES = re.compile(f"(?:{PICTURE})+")
_JOINS = re.compile(PAINT[:-1] + "|\u200d")
_SIGN = re.compile(
    rf"\{{\{{|\}}\}}|(?P<picture>{PICTURE})|[^\W_][\u0300-\u036f]+|[^\s]|\s", re.DOTALL
)
_STRUCK = "\u0338"  # a stroke is not an accent: it negates the sign
_WORD = re.compile(r"[^\W\d_]+")


class CostlyRun(NamedTuple):
    """A run of characters. `why` is "" (plain), "unicode" (they force Unicode) or "double" (two
    units each).
    """

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A character of a text that has a cheaper replacement."""

    sign: str
    equal: str
    name: str  # its Unicode name, for characters that cannot be seen
    times: int

    @property
    def alike(self) -> bool:
        """Return whether the replacement looks the same."""
        return ALIKE.get(self.sign) == self.equal


class _Swap(NamedTuple):
    at: int
    cut: str  # what is removed: the sign, perhaps with a space beside it
    sign: str
    equal: str


def pieces(body: str) -> list[CostlyRun]:
    """Cut a message into runs by what their characters cost. In a text of another script the script
    itself forces Unicode, so only characters that take two units are marked.
    """
    return _pieces([(body, True)])


def written_pieces(written: str) -> list[CostlyRun]:
    """Do the same for a text as it is typed. Names of variables are not sent, so they cost nothing."""
    cut: list[tuple[str, bool]] = []
    done = 0
    for part in _PARTS.finditer(written):
        if part["name"]:
            cut += [(written[done : part.start()], True), (part["name"], False)]
            cut += [(part["fallback"] or "", True), ("}", False)]
            done = part.end()
    return _pieces([*cut, (written[done:], True)])


def _pieces(cut: list[tuple[str, bool]]) -> list[CostlyRun]:
    """Cut up runs that are sent (True) and runs that are not (False)."""
    body = "".join(run for run, sent in cut if sent)
    culprits = template.measure(body).culprits
    forces = set() if in_another_script(body) else set(culprits)
    dear = template.Encoding.UCS2 if culprits else template.Encoding.GSM
    found: list[CostlyRun] = []
    for char, sent in ((char, sent) for run, sent in cut for char in run):
        why = "unicode" if char in forces else "double" if template.is_double(char, dear) else ""
        if found and found[-1].why and _JOINS.fullmatch(char):
            why = found[-1].why  # keep the characters of one picture together
        why = why if sent else ""
        if found and found[-1].why == why:
            found[-1] = CostlyRun(found[-1].text + char, why)
        else:
            found.append(CostlyRun(char, why))
    return found


def in_another_script(body: str) -> bool:
    """Return whether more than a few letters are outside GSM-7, as in Cyrillic. Links and accents
    do not count.
    """
    outside = {
        char for char in template.measure(body).culprits if template.measure(_bare(char)).culprits
    }
    letters = [char for char in _LINK.sub("", body) if char.isalpha()]
    return sum(char in outside for char in letters) > SLIP * len(letters)


def signs(written: str) -> list[Sign]:
    """Return what plain() would replace, each character once, in the order of the text."""
    swaps = _swaps(written)
    times = Counter(swap.sign for swap in swaps)
    equals = {swap.sign: swap.equal for swap in swaps}
    return [Sign(sign, equals[sign], _name(sign), times[sign]) for sign in times]


def plain(written: str, only: str = "") -> str:
    """Replace all costly characters, or only this one, by their equals."""
    done, pieces = 0, []
    for swap in _swaps(written):
        if not only or swap.sign == only:
            pieces += [written[done : swap.at], swap.equal]
            done = swap.at + len(swap.cut)
    return "".join([*pieces, written[done:]])


def latin(written: str) -> str:
    """Transliterate Cyrillic and apply plain(), so that the text fits GSM-7 as far as possible.
    Other scripts stay.
    """
    done, pieces = 0, []
    for at, run in _runs(written):
        pieces += [written[done:at], _latin(run)]
        done = at + len(run)
    return plain("".join([*pieces, written[done:]]))


def _latin(run: str) -> str:
    return _WORD.sub(lambda word: _word(word[0]), unicodedata.normalize("NFC", run))


def _word(word: str) -> str:
    changed: str = iuliia.MOSMETRO.translate(word.translate(OTHER_LETTERS))
    return changed.upper() if len(word) > 1 and word.isupper() else changed


def _swaps(written: str) -> list[_Swap]:
    """Return the replacements that make the text shorter or cheaper, in the order of the text."""
    runs = _runs(written)
    hidden = dict.fromkeys(unseen.places(written))  # also inside links: nobody meant them
    body = "".join([*(run for _at, run in runs), *(written[at] for at in hidden)])
    culprits = template.measure(body).culprits
    equal_of: Callable[[str], str | None] = SHORTER.get
    if culprits:
        equal_of = _for_unicode if in_another_script(body) else _for_gsm
    found = [_Swap(at, written[at], written[at], "") for at in hidden]
    for start, run in runs:
        alike = _places_alike(run)
        for sign in _SIGN.finditer(run):
            if start + sign.start() in hidden:
                continue
            equal = equal_of(sign[0])
            if sign.start() in alike:
                equal = ALIKE.get(sign[0], equal)
            if equal is not None and equal != sign[0]:
                equal = _apart(run[: sign.start()], sign[0], equal)
                found.append(_cut(written, start + sign.start(), sign[0], equal))
    return sorted(found)


def _apart(before: str, sign: str, equal: str) -> str:
    """Keep "2½" from becoming "21/2", and "10²" from becoming "102"."""
    if before[-1:].isdigit() and len(sign) == 1:
        spelt = unicodedata.decomposition(sign)
        if spelt.startswith("<fraction>"):
            return " " + equal
        if spelt.startswith("<super>") and equal.isdigit():
            return "^" + equal
    return equal


def _for_gsm(sign: str) -> str | None:
    """Return the replacement for a text that only a few characters make Unicode."""
    if sign in EQUALS:
        return EQUALS[sign]
    if _is_picture(sign):
        return _instead(sign)
    base = _bare(sign)
    return base if not template.measure(base).culprits else None


def _for_unicode(sign: str) -> str | None:
    """Return the replacement for a text that is Unicode anyway, if it takes fewer units."""
    if _is_picture(sign):
        equal = _instead(sign)
    else:
        equal = EQUALS.get(sign, unicodedata.normalize("NFC", sign))
    return equal if _units(equal) < _units(sign) else None


def _is_picture(sign: str) -> bool:
    return _ONE_PICTURE.fullmatch(sign) is not None


def _instead(picture: str) -> str:
    """Return the digit or letter that stands in a box or a circle. Most other pictures have no
    words that could replace them.
    """
    if picture[0].isascii():
        return picture[0]
    bare = picture.rstrip("\ufe0e\ufe0f")
    if bare in EQUALS or len(bare) != 1:
        return EQUALS.get(bare, "")
    number = unicodedata.numeric(bare, None)
    said = f"{number:.0f}" if number is not None else unicodedata.normalize("NFKC", bare)
    return "" if template.measure(said).culprits else said


def _units(sign: str) -> int:
    return len(sign.encode("utf-16-le", "surrogatepass")) // 2


def _bare(sign: str) -> str:
    """Return the letter without its accent, if only the accent is outside GSM-7."""
    whole = unicodedata.normalize("NFC", sign)
    if not template.measure(whole).culprits:
        return whole
    spelt = unicodedata.normalize("NFKD", whole)
    if _STRUCK in spelt and not spelt[0].isalpha():
        return whole
    return "".join(EQUALS.get(c, c) for c in spelt if not unicodedata.combining(c))


def _places_alike(run: str) -> set[int]:
    """Return the indexes of Cyrillic letters that look like part of the Latin word around them."""
    places: set[int] = set()
    for word in _WORD.finditer(run):
        odd = [place for place, char in enumerate(word[0]) if not char.isascii()]
        if len(odd) * 2 <= len(word[0]) and all(word[0][place] in ALIKE for place in odd):
            places |= {word.start() + place for place in odd}
    return places


def _cut(written: str, at: int, sign: str, equal: str) -> _Swap:
    """Remove one of the spaces around a picture together with it."""
    if equal == "" and (pictures := _PICTURES.match(written, at)):
        after = written[pictures.end() : pictures.end() + 1]
        if at and written[at - 1] == " " and after in ("", " ", "\n", ".", ",", "!", "?"):
            return _Swap(at - 1, " " + sign, sign, equal)
        alone = pictures.end() == at + len(sign)
        if alone and (not at or written[at - 1] == "\n") and after == " ":
            return _Swap(at, sign + " ", sign, equal)
    return _Swap(at, sign, sign, equal)


def _runs(written: str) -> list[tuple[int, str]]:
    """Return the stretches of a text that may be changed, each with its index."""
    runs, done = [], 0
    for start, end, fallback in _fixed_parts(written):
        runs.append((done, written[done:start]))
        if fallback is not None:
            runs.append(fallback)
        done = end
    return [*runs, (done, written[done:])]


def _fixed_parts(written: str) -> list[tuple[int, int, tuple[int, str] | None]]:
    """Return links and variables: start, end, and the fallback inside, which may be changed."""
    fixed: list[tuple[int, int, tuple[int, str] | None]] = []
    fixed += [(each.start, each.end, None) for each in wrapping.find(written)]
    parts = [
        part for part in _PARTS.finditer(written) if part["name"]
    ]  # other braces are ordinary characters
    taken = bytearray(len(written) + 1)
    for start, end, _fallback in fixed:
        taken[start:end] = b"1" * (end - start)
    for part in [*parts, *_NEARLY_LINK.finditer(written)]:
        if not any(taken[part.start() : part.end()]):
            taken[part.start() : part.end()] = b"1" * len(part[0])
            fallback = part["fallback"] if part.re is _PARTS else None
            inside = (part.start("fallback"), fallback) if fallback else None
            fixed.append((part.start(), part.end(), inside))
    return sorted(fixed, key=lambda each: each[0])


def _name(sign: str) -> str:
    return ", ".join(unicodedata.name(char, "") for char in sign).lower()
