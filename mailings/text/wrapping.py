"""Finds links in a text as it is written, including variables inside them, decides which of them
become short, and computes where a short link leads for one person. Pure functions. Tokens are in
tokens.py; redirects and clicks are in tracking/redirect.py.
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

# The text is read from left to right, so braces mean the same as in template.parse().
_TOKEN = re.compile(
    r"(?P<brace>\{\{|\}\})|\{(?P<inside>[^{}\n]*)\}|(?<![0-9A-Za-z+])(?P<link>https?://)", re.I
)
_VARIABLE = r"\{(?!\{)[^{}\n]*\}"
_LABEL = rf"(?:[^\W_]|_|{_VARIABLE})(?:(?!{unseen.KEYCAP})[\w-]|{_VARIABLE})*"
_AUTHORITY = re.compile(
    rf"(?:[\w.~!$&'*+;=%:-]*@)?(?P<host>\[[0-9a-f:.]+\]|{_LABEL}(?:\.{_LABEL})*)(?P<port>:\d+)?",
    re.I,
)
# A path, query and fragment. A comma or semicolon before the next link ends this one. So does a
# picture or a bar, unless the path continues after it.
_ENDS = f"{unseen.SYMBOLS}\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_REST = re.compile(
    rf"""(?!{unseen.PICTURE})[/?#](?:\{{\{{|\}}\}}|{_VARIABLE}|(?:{unseen.PICTURE})+(?=[/?#&=_%-])
    |(?!{unseen.PICTURE}|[,;]https?://|\]\(https?://)[^\s{{}}<>"«»“”„‹›`|\\\x00-\x1f\x7f{_ENDS}])*""",
    re.I | re.X,
)
_FINAL = ".,:;!?…'’—–*"  # the sentence's punctuation, not the link's; * may mark a footnote
_CLOSING = {")": "(", "]": "[", "}}": "{{"}
_NEAR = 300  # how many characters before a link are searched for an opening mark
_EMPHASIS = "*_~"  # as in *bold*: the closing mark stands behind the link
# "https://school.ru.Ждём" lacks the space after a full stop; host names are not written like this.
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
    """Which links become short: all of them, to count clicks; and those to our own hosts, to sign
    the reader in.
    """

    clicks: bool = False
    sign_in: bool = False
    ours: frozenset[str] = frozenset()  # our hosts, with the port unless it is the default one
    # URLs that already have a position keep it: the text of a notification changes while messages
    # with its earlier links are on people's phones.
    known: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def chosen(
        cls, *, clicks: bool, sign_in: bool, known: Mapping[str, int] = MappingProxyType({})
    ) -> "Wrapping":
        """Return a Wrapping with our own hosts from the settings: exact names only, no patterns."""
        named = {host_of(settings.PUBLIC_URL), host_of(settings.SHORT_URL)}
        allowed = {str(name).lower() for name in settings.ALLOWED_HOSTS if name}
        exact = {name for name in allowed if not name.startswith((".", "*"))}
        here = {"localhost", "127.0.0.1", "[::1]"}  # always allowed, but never sent in an SMS
        return cls(clicks, sign_in, frozenset(named | (exact - here)), known)

    def purpose_of(self, url: str) -> Purpose | None:
        """Return None if the link stays as it is."""
        if self.sign_in and host_of(url) in self.ours:
            return Purpose.SIGN_IN
        return Purpose.CLICK if self.clicks else None

    def __bool__(self) -> bool:
        return self.clicks or self.sign_in


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """One URL of a text, however often it occurs. If the purpose is None, it stays as written."""

    position: int
    url: str
    purpose: Purpose | None


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A text with marks (markers.py) in place of its links."""

    text: str
    places: tuple[LinkPlace, ...]

    @property
    def shortens(self) -> bool:
        """Does any link become short? Else the text is as it was written."""
        return any(place.purpose for place in self.places)


def wrap(written: str, how: Wrapping) -> Wrapped:
    """Replace links by marks. Raises template.BadText for a link that cannot become short."""
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
    """Return every http(s) link. Links inside braces (in a fallback) do not count. Invisible
    characters do not belong to a URL and are removed from it.
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
    """Return the text without these characters, and the original index of each character that is
    left. Where an invisible character stands between Latin and other letters, it ends the URL.
    """
    gone = set(hidden)
    left: list[str] = []
    at: list[int] = []
    for place, char in enumerate(written):
        if place not in gone:
            if place - 1 in gone and left and left[-1].isascii() and not char.isascii():
                left.append("\n")
                at.append(place - 1)
            left.append(char)
            at.append(place)
    return "".join(left), at


def host_of(url: str) -> str:
    """Return the host for comparison: in lower case, with its port unless it is the default one. A
    URL with a user name before an @ never equals one of our hosts.
    """
    scheme, _colon, _rest = url.partition("://")
    host = _authority(url).lower()
    return host.removesuffix(":443" if scheme.lower() == "https" else ":80")


def target(url: str, values: Mapping[str, str]) -> str:
    """Return the URL for this person. A value cannot leave the part of the URL in which it stands."""
    url = unseen.without(url)
    template = text.parse(url, text.names_in(url))
    pieces = []
    for slot in template.slots:
        value = " ".join((values.get(slot.name, "") or slot.fallback).split())
        # "." and ".." would be path segments, even percent-encoded.
        pieces += [_ascii(slot.before), "" if value in {".", ".."} else quote(value, safe="")]
    whole = "".join([*pieces, _ascii(template.tail)])
    scheme, _colon, rest = whole.partition("://")
    host = _authority(whole)
    return f"{scheme}://{_ascii_host(url, host)}{rest[len(host) :]}"


def _end(written: str, begin: int, start: int) -> int | None:
    """Return where the link ends that begins at `begin` with its host at `start`; None if it is not
    a link.
    """
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
    """Return the emphasis marks that are open where a link begins: *like this: https://...*"""
    line = written[max(begin - _NEAR, 0) : begin].rpartition("\n")[2]
    runs = re.findall(r"\*+|~+|(?<![^\W_])_+|_+(?![^\W_])", line)
    return "".join(mark for mark in _EMPHASIS if sum(mark in run for run in runs) % 2)


def _without_next_sentence(written: str, authority: re.Match[str]) -> int:
    last = _NEXT_SENTENCE.search(authority["host"])
    if last and last[0][1:].istitle() and "." in authority["host"][: last.start()]:
        return authority.start("host") + last.start()
    return authority.end()


def _trimmed(link: str, emphasis: str) -> str:
    """Remove punctuation after the link, and closing marks of what was opened before it."""
    while link:
        last = "}}" if link.endswith("}}") else link[-1]
        opened = _CLOSING.get(last)
        unopened = opened is not None and link.count(last) > link.count(opened)
        if not (last in _FINAL or unopened or last in emphasis or _is_no_letter(last)):
            break
        link = link[: -len(last)]
    return link


def _is_no_letter(sign: str) -> bool:
    """Return whether it is a symbol, punctuation or space outside ASCII, which a URL would
    percent-encode.
    """
    return not sign.isascii() and unicodedata.category(sign[0])[0] in "SPZ"


def _refuse_in_fallbacks(written: str) -> None:
    for token in _TOKEN.finditer(written):
        if token["inside"] and re.search("https?://", token["inside"], re.I):
            words = _("A link inside braces cannot be made short. Write it outside of them.")
            raise text.BadText(words, token.start())


def _authority(url: str) -> str:
    return re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[0]


def _ascii(piece: str) -> str:
    """Quote a literal part of a URL, leaving what is percent-encoded already."""
    return quote(piece, safe="%/:?#[]@!$&'()*+,;=-._~")


def _ascii_host(url: str, quoted: str) -> str:
    """Return an international domain in the ASCII form that browsers send (IDNA)."""
    host = _authority(url)
    if host.isascii():
        return quoted
    name, colon, port = host.partition(":")
    try:
        return idna.encode(name, uts46=True).decode() + colon + port
    except idna.IDNAError:
        return quoted
