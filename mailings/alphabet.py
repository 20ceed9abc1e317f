"""Signs that make an SMS dearer, and what stands for them: typographic marks, Latin for Cyrillic. Pure.
What an encoding holds and how parts are counted is text.py's.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import iuliia

from . import text

SLIP = 0.3  # more of the letters than this outside GSM-7: a text in another script, not a slip

# What has an equal in GSM-7 that says the same.
EQUALS = {
    **dict.fromkeys("«»„“”‟″〝〞＂", '"'),
    **dict.fromkeys("‘’‚‛′‹›`´ʼ", "'"),
    **dict.fromkeys("‐‑‒–—―−⁃", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000\t", " "),
    # Seen by nobody, paid for by everybody. The joiners of emoji are not among them.
    **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
    **dict.fromkeys("•·●▪", "-"),
    "…": "...",
    "×": "x",
    "№": "No",
    "©": "(c)",
    "®": "(r)",
    "™": "(tm)",
    "₽": "rub",
    "→": "->",
    "←": "<-",
}
# Letters that iuliia's Russian scheme does not know: Ukrainian, Belarusian, Kazakh.
_LETTERS = {
    "і": "i",
    "ї": "yi",
    "є": "ye",
    "ґ": "g",
    "ў": "u",
    "ә": "a",
    "ғ": "g",
    "қ": "k",
    "ң": "n",
    "ө": "o",
    "ұ": "u",
    "ү": "u",
    "һ": "h",
}
_LETTERS |= {small.upper(): latin.capitalize() for small, latin in _LETTERS.items()}
_OTHER_LETTERS = {ord(letter): latin for letter, latin in _LETTERS.items()}
_TABLE = {ord(sign): equal for sign, equal in EQUALS.items()}
# Left as they are: the names of variables (not their fallbacks), and links.
_KEPT = re.compile(r"\{\s*\w+\s*(?=[|}])|https?://[^\s{}«»“”]+")


class Piece(NamedTuple):
    """A run of characters; why: "" plain, "unicode" forces it, "double" takes two units."""

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of a text that has an equal in GSM-7."""

    sign: str
    equal: str
    name: str  # of Unicode, for signs one cannot see
    times: int


def pieces(body: str) -> list[Piece]:
    """The text cut up by what its characters cost. In a text of another script nothing forces
    Unicode but the script: only what takes two units is marked.
    """
    culprits = text.measure(body).culprits
    marked = set() if in_another_script(body) else set(culprits)
    dear = text.Encoding.UCS2 if culprits else text.Encoding.GSM
    found: list[Piece] = []
    for char in body:
        why = "unicode" if char in marked else "double" if text.is_double(char, dear) else ""
        if found and found[-1].why == why:
            found[-1] = Piece(found[-1].text + char, why)
        else:
            found.append(Piece(char, why))
    return found


def in_another_script(body: str) -> bool:
    """Its letters are outside GSM-7, apart from a few: Cyrillic, say."""
    outside = set(text.measure(body).culprits)
    letters = [char for char in body if char.isalpha()]
    return sum(char in outside for char in letters) > SLIP * len(letters)


def signs(written: str) -> list[Sign]:
    """What plain() would replace, each sign once, in order."""
    outside = "".join(_outside(written))
    return [
        Sign(char, EQUALS[char], unicodedata.name(char, "").lower(), outside.count(char))
        for char in dict.fromkeys(outside)
        if char in EQUALS
    ]


def plain(written: str, only: str = "") -> str:
    """Signs replaced by their equals: all, or this one."""
    table = _TABLE if not only else {ord(only): EQUALS[only]} if only in EQUALS else {}
    return _outside_links(written, lambda run: run.translate(table))


def latin(written: str) -> str:
    """Transliterated, so that it fits GSM-7 as far as that can be: emoji and other scripts stay."""
    return _outside_links(written, _latin)


def _latin(run: str) -> str:
    run = iuliia.MOSMETRO.translate(run.translate(_OTHER_LETTERS)).translate(_TABLE)
    return "".join(_bare(char) for char in run)


def _bare(char: str) -> str:
    """A letter without its accent, where only the accent is outside GSM-7."""
    if not text.measure(char).culprits:
        return char
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return char if text.measure(base).culprits else base


def _outside_links(written: str, change: Callable[[str], str]) -> str:
    done, kept = 0, []
    for found in _KEPT.finditer(written):
        kept += [change(written[done : found.start()]), found[0]]
        done = found.end()
    return "".join([*kept, change(written[done:])])


def _outside(written: str) -> Iterator[str]:
    done = 0
    for found in _KEPT.finditer(written):
        yield written[done : found.start()]
        done = found.end()
    yield written[done:]
