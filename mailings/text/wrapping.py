"""Links in a text as it is written, variables inside them included; which of them become short, and
where a short one leads for one person. Pure. Their tokens: tokens.py; their rows and clicks: redirect.py.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote

import idna
from django.conf import settings
from django.utils.translation import gettext as _

from . import markers, unseen
from . import template as text
from .tokens import POSITIONS, Purpose

# Read from left to right, so that braces mean here what they mean in text.parse().
_TOKEN = re.compile(
    r"(?P<brace>\{\{|\}\})|\{(?P<inside>[^{}\n]*)\}|(?<![0-9A-Za-z+])(?P<link>https?://)", re.I
)
_VARIABLE = r"\{(?!\{)[^{}\n]*\}"
_LABEL = rf"(?:[^\W_]|_|{_VARIABLE})(?:(?!{unseen.KEYCAP})[\w-]|{_VARIABLE})*"
_AUTHORITY = re.compile(
    rf"(?:[\w.~!$&'*+;=%:-]*@)?(?P<host>\[[0-9a-f:.]+\]|{_LABEL}(?:\.{_LABEL})*)(?P<port>:\d+)?",
    re.I,
)
# A path, query and fragment. A comma or semicolon before the next link ends this one, and so does a
# picture or a bar, unless the path goes on behind it.
_ENDS = f"{unseen.SYMBOLS}\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_REST = re.compile(
    rf"""(?!{unseen.PICTURE})[/?#](?:\{{\{{|\}}\}}|{_VARIABLE}|(?:{unseen.PICTURE})+(?=[/?#&=_%-])
    |(?!{unseen.PICTURE}|[,;]https?://|\]\(https?://)[^\s{{}}<>"«»“”„‹›`|\\\x00-\x1f\x7f{_ENDS}])*""",
    re.I | re.X,
)
_FINAL = ".,:;!?…'’—–*"  # punctuation of the sentence, not of the link; a star of a footnote
_CLOSING = {")": "(", "]": "[", "}}": "{{"}
_NEAR = 300  # characters before a link, in which what it stands in may begin
_EMPHASIS = "*_~"  # as in *bold*: it ends where it began, behind the link
# "https://school.ru.Ждём": a full stop without its space; names of hosts are not written like this.
_NEXT_SENTENCE = re.compile(r"\.[^\W\d_][^\W\d_]+$")
_LOCAL = {"localhost"}


@dataclass(frozen=True, slots=True)
class FoundLink:
    """A link, and where it stands in the text."""

    start: int
    end: int
    url: str


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What becomes of links: short ones that count clicks, short ones that sign in where they lead to
    ourselves.
    """

    clicks: bool = False
    sign_in: bool = False
    ours: frozenset[str] = frozenset()  # hosts, with the port where it is not the usual one
    # Addresses that have their position already, and keep it: a notification's text changes while
    # messages with its earlier links are on people's phones.
    known: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def chosen(
        cls, *, clicks: bool, sign_in: bool, known: Mapping[str, int] = MappingProxyType({})
    ) -> "Wrapping":
        """With our own hosts, as the settings name them: exact ones, no patterns."""
        named = {host_of(settings.PUBLIC_URL), host_of(settings.SHORT_URL)}
        allowed = {str(name).lower() for name in settings.ALLOWED_HOSTS if name}
        exact = {name for name in allowed if not name.startswith((".", "*"))}
        here = {"localhost", "127.0.0.1", "[::1]"}  # always allowed, and in nobody's SMS
        return cls(clicks, sign_in, frozenset(named | (exact - here)), known)

    def purpose_of(self, url: str) -> Purpose | None:
        """None: it stays as it is."""
        if self.sign_in and host_of(url) in self.ours:
            return Purpose.SIGN_IN
        return Purpose.CLICK if self.clicks else None

    def __bool__(self) -> bool:
        return self.clicks or self.sign_in


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """One address of a text, however often it stands there. purpose None: it stays as written."""

    position: int
    url: str
    purpose: Purpose | None


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A text with marks (markers.py) where its links stood."""

    text: str
    places: tuple[LinkPlace, ...]

    @property
    def shortens(self) -> bool:
        """Does any link become short? Else the text is as it was written."""
        return any(place.purpose for place in self.places)


def wrap(written: str, how: Wrapping) -> Wrapped:
    """Raises text.BadText for a link that cannot become short."""
    written = text.clean(written)
    _refuse_in_fallbacks(written)
    places: dict[str, LinkPlace] = {}
    pieces, done = [], 0
    free = max(how.known.values(), default=-1) + 1
    for found in find(written):
        place = places.get(found.url)
        if place is None:
            position = how.known.get(found.url, free)
            if position == POSITIONS:
                words = _("There are more than %(n)s different links.") % {"n": POSITIONS}
                raise text.BadText(words, found.start)
            free += position == free
            place = LinkPlace(position, found.url, how.purpose_of(found.url))
            places[found.url] = place
        if place.purpose is None:
            continue
        if "{" in _authority(found.url):
            words = _(
                "A variable may not stand in the name of the site. Put it after the first slash."
            )
            raise text.BadText(words, found.start)
        pieces += [written[done : found.start], markers.mark(place.position, place.purpose)]
        done = found.end
    return Wrapped("".join([*pieces, written[done:]]), tuple(places.values()))


def find(written: str) -> list[FoundLink]:
    """Every http(s) link. Those inside braces, in place of a missing value, are none. Signs that
    nobody sees are no part of an address: inside a link they are taken out of it.
    """
    hidden = unseen.places(written)
    if not hidden:
        return _find(written)
    seen, at = _without(written, hidden)
    return [FoundLink(at[each.start], at[each.end - 1] + 1, each.url) for each in _find(seen)]


def _find(written: str) -> list[FoundLink]:
    found, start = [], 0
    while token := _TOKEN.search(written, start):
        start = token.end()
        if token["link"]:
            end = _end(written, token.start(), token.end())
            if end is not None:
                found.append(FoundLink(token.start(), end, written[token.start() : end]))
                start = end
    return found


def _without(written: str, hidden: list[int]) -> tuple[str, list[int]]:
    """A text without these signs, and where each character of it stood. Where one of them parts
    Latin letters from others, it parts an address from a word.
    """
    gone = set(hidden)
    kept: list[str] = []
    at: list[int] = []
    for place, char in enumerate(written):
        if place not in gone:
            if place - 1 in gone and kept and kept[-1].isascii() and not char.isascii():
                kept.append("\n")
                at.append(place - 1)
            kept.append(char)
            at.append(place)
    return "".join(kept), at


def host_of(url: str) -> str:
    """As one host is told from another: in small letters, with its port unless it is the usual one.
    Whoever writes a name before an @ means no host of ours.
    """
    scheme, _colon, _rest = url.partition("://")
    host = _authority(url).lower()
    return host.removesuffix(":443" if scheme.lower() == "https" else ":80")


def target(url: str, values: Mapping[str, str]) -> str:
    """Where it leads for this person: values stay inside the part of the address they stand in."""
    url = unseen.without(url)
    template = text.parse(url, text.names_in(url))
    pieces = []
    for slot in template.slots:
        value = " ".join((values.get(slot.name, "") or slot.fallback).split())
        # "." and ".." would be steps in a path, also when they are written in percents.
        pieces += [_ascii(slot.before), "" if value in {".", ".."} else quote(value, safe="")]
    whole = "".join([*pieces, _ascii(template.tail)])
    scheme, _colon, rest = whole.partition("://")
    host = _authority(whole)
    return f"{scheme}://{_ascii_host(url, host)}{rest[len(host) :]}"


def _end(written: str, begin: int, start: int) -> int | None:
    """Where the link ends that begins here, and whose host starts there; None when it is none."""
    authority = _AUTHORITY.match(written, start)
    if authority is None:
        return None
    end = authority.end()
    rest = _REST.match(written, end)
    if rest is not None:
        end = rest.end()
    elif not authority["port"]:
        end = _without_next_sentence(written, authority)
    marked = any(mark in written[start:end] for mark in _EMPHASIS)
    emphasis = _opened(written, begin) if marked else ""
    end = start + len(_trimmed(written[start:end], emphasis))
    host = written[authority.start("host") : min(authority.end("host"), end)].lower()
    known = "." in host.strip(".") or "{" in host or host in _LOCAL or host.startswith("[")
    return end if known or authority["port"] else None


def _opened(written: str, begin: int) -> str:
    """The emphasis that is open where a link begins: *like this: https://...*"""
    line = written[max(begin - _NEAR, 0) : begin].rpartition("\n")[2]
    runs = re.findall(r"\*+|~+|(?<![^\W_])_+|_+(?![^\W_])", line)
    return "".join(mark for mark in _EMPHASIS if sum(mark in run for run in runs) % 2)


def _without_next_sentence(written: str, authority: re.Match[str]) -> int:
    last = _NEXT_SENTENCE.search(authority["host"])
    if last and last[0][1:].istitle() and "." in authority["host"][: last.start()]:
        return authority.start("host") + last.start()
    return authority.end()


def _trimmed(link: str, emphasis: str) -> str:
    """Without the punctuation after it, and without what was opened before it."""
    while link:
        last = "}}" if link.endswith("}}") else link[-1]
        opened = _CLOSING.get(last)
        unopened = opened is not None and link.count(last) > link.count(opened)
        if not (last in _FINAL or unopened or last in emphasis or _is_no_letter(last)):
            break
        link = link[: -len(last)]
    return link


def _is_no_letter(sign: str) -> bool:
    """A symbol or a mark of another script: in an address it would stand in percents."""
    return not sign.isascii() and unicodedata.category(sign[0])[0] in "SPZ"


def _refuse_in_fallbacks(written: str) -> None:
    for token in _TOKEN.finditer(written):
        if token["inside"] and re.search("https?://", token["inside"], re.I):
            words = _("A link inside braces cannot be made short. Write it outside of them.")
            raise text.BadText(words, token.start())


def _authority(url: str) -> str:
    return re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[0]


def _ascii(piece: str) -> str:
    """A written piece of an address, what is percent-encoded already left so."""
    return quote(piece, safe="%/:?#[]@!$&'()*+,;=-._~")


def _ascii_host(url: str, quoted: str) -> str:
    """An international domain in the letters that browsers send."""
    host = _authority(url)
    if host.isascii():
        return quoted
    name, colon, port = host.partition(":")
    try:
        return idna.encode(name, uts46=True).decode() + colon + port
    except idna.IDNAError:
        return quoted
