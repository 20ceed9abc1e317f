"""Links written without http or https: phones may not open them, and nothing counts their clicks. Pure."""

import re
from functools import cache
from typing import NamedTuple

from linkify_it import LinkifyIt
from linkify_it.main import Match
from linkify_it.tlds import TLDS

SCHEME = "https://"
# Without a path, only names that end like this are taken for links: "file.py" is none.
ENDINGS = frozenset(
    [
        "ru",
        "рф",
        "su",
        "by",
        "kz",
        "ua",
        "uz",
        "kg",
        "am",
        "ge",
        "md",
        "com",
        "org",
        "net",
        "info",
        "biz",
        "pro",
        "io",
        "me",
        "tv",
        "online",
        "site",
        "school",
        "shop",
        "store",
        "club",
        "academy",
        "education",
        "courses",
        "app",
        "link",
        "page",
        "events",
        "онлайн",
        "сайт",
        "дети",
        "рус",
        "москва",
        "бел",
        "қаз",
        "укр",
    ]
)
# http(s) as hurried people write it: "https//", "http:/", "htps://"; a Cyrillic р or с looks the same.
_SLIP = re.compile(r"(?i)(?<![\w/:.-])(?!https?://)h[tpsрс]{2,5}[:;]?/{1,3}(?=\w)")


class Found(NamedTuple):
    """A link: what stands in the text, and how much of its beginning SCHEME replaces."""

    raw: str
    at: int
    wrong: int


def bare_links(written: str) -> list[str]:
    """As they stand in the text, each once."""
    return list(dict.fromkeys(found.raw for found in _found(written)))


def repaired(written: str) -> str:
    """With https:// before each."""
    done, kept = 0, []
    for found in _found(written):
        kept += [written[done : found.at], SCHEME]
        done = found.at + found.wrong
    return "".join([*kept, written[done:]])


def _found(written: str) -> list[Found]:
    slips = [_slip(written, each) for each in _SLIP.finditer(written)]
    # Spaces instead of slips, so that every place stays where it is.
    rest = _SLIP.sub(lambda each: " " * len(each[0]), written)
    taken = {each.at + each.wrong for each in slips}
    others = [_bare(each) for each in _linkify().match(rest) or [] if each.schema in {"", "//"}]
    return sorted(
        [*slips, *(each for each in others if each and each.at not in taken)],
        key=lambda each: each.at,
    )


def _slip(written: str, found: re.Match[str]) -> Found:
    rest = re.match(r"[^\s,;!«»“”()]*", written[found.end() :])
    raw = found[0] + (rest[0].rstrip(".?:") if rest else "")
    return Found(raw, found.start(), len(found[0]))


def _bare(found: Match) -> Found | None:
    """None for what only looks like a link."""
    slashes = len(found.schema)
    host, slash, _path = found.raw[slashes:].partition("/")
    # "{site|school.ru}": what stands before the bar names a variable, and no host has a bar.
    before = host.rfind("|") + 1 if not slashes else 0
    host = host[before:]
    ending = host.rpartition(".")[2].partition(":")[0].partition("?")[0].partition("#")[0].lower()
    if ending in ENDINGS or (slash and _punycode(ending) in _every_ending()):
        return Found(found.raw[before:], found.index + before, slashes)
    return None


def _punycode(ending: str) -> str:
    try:
        return ending.encode("idna").decode()
    except UnicodeError:
        return ""


@cache
def _every_ending() -> frozenset[str]:
    return frozenset(each.lower() for each in TLDS)


@cache
def _linkify() -> LinkifyIt:
    """Links without a scheme too; e-mail addresses are no links here."""
    options = {"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": False}
    return LinkifyIt(options=options).tlds([*TLDS, *ENDINGS])
