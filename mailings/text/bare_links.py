"""Finds links written without http or https, or with a mistyped scheme. Phones may not open such
links, and nothing counts their clicks. Pure functions.
"""

import re
from functools import cache
from typing import NamedTuple

from linkify_it import LinkifyIt
from linkify_it.main import Match
from linkify_it.tlds import TLDS

from . import unseen

SCHEME = "https://"
PLAIN = "http://"  # IP addresses and localhost have no certificate
# Without a path, only names with these endings are links: "file.py" is not one.
_ENDINGS_WORDS = """ru рф su by kz ua uz kg am ge md az tj de pl lt lv ee fr es uk eu il com org net info biz pro io
me tv cc ai dev tech space moscow tatar online site website school shop store club academy
education courses app link page events art blog live life world team studio center group cloud
digital design expert guru news xyz host training coach institute university college camp games
kids family dance yoga fitness clinic cafe онлайн сайт дети рус москва бел қаз укр"""
ENDINGS = frozenset(_ENDINGS_WORDS.split())
# Endings that are also ordinary words, and the abbreviations that stand before a full stop.
_WORDS_OF_A_TEXT = "онлайн сайт дети рус москва бел қаз укр"
_WORDS = frozenset(_WORDS_OF_A_TEXT.split())
_SHORTENED = re.compile(
    r"\w|см|им|ул|пр|пл|ст|тел|стр|обл|респ|англ|нем|фр|рус|исп|кит|г|гор|пос|дер|руб|коп|тыс|млн|мин|сек|час"
)
# "Call.me" is a sentence without its space, and "10.am" is an hour.
_SAID_WORDS = """call tell help text write ask join follow trust give let love show send buy contact email find
meet see for to with by from and or but not pay teach wake remind message inform let's i we you
he she it"""
_SAID = frozenset(_SAID_WORDS.split())
_FILES_WORDS = """readme changelog license licence contributing todo notes index main test logo draft install
security authors"""
_FILES = frozenset(_FILES_WORDS.split())
_FILE_ENDINGS = frozenset(["md", "ai", "cc", "app", "pro", "info"])

# http(s) as hurried people write it: "https//", "http:/", "htps://", "https ://", "https:\\",
# "https.//". The letters р, с and т may be Cyrillic, and signs may be full-width. A doubled scheme
# counts as one.
_COLON = "[:;.,：；﹕]"
_SLASH = r"[/\\／⁄∕]"
_HTTP = r"(?:h{1,2}[tpsтрс]{2,5}|t{1,2}ps?(?=[:;]))"
_TYPED = (
    rf"{_HTTP}(?:[ ]?{_COLON}{{1,2}}[ ]?{_SLASH}{{0,4}}|[ ]?{_SLASH}{{1,4}}{_COLON}?{_SLASH}{{0,2}})"
    r"|https?(?=[ ])"
)
_INSIDE = r"(?:\{[^{}\n]*\}|[^\s{},;!«»“”()<>\"|])*"
_SLIP = re.compile(
    rf"(?<![^\W_])(?<![/=?&-])(?P<wrong>(?:{_TYPED})(?:[ ]*(?:{_TYPED}))*[ ]*)"
    rf"(?P<rest>(?P<host>(?:[^\W_][\w-]*|\{{[^{{}}\n]*\}})(?:\.[\w-]+|\.?\{{[^{{}}\n]*\}})*(?::\d+)?){_INSIDE})",
    re.I,
)
_RIGHT = re.compile("https?://", re.I)
# An IPv4 address needs a port or a path, so that versions and dates do not match.
_MACHINE = re.compile(
    r"(?<![\w.@/:\\-])(?:localhost|(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d))"
    rf"(?::\d{{2,5}}(?:/{_INSIDE})?|/(?=[^\W\d]|\s|$){_INSIDE})(?![\w.])",
    re.I,
)
_HIDDEN = re.compile(f"(?<=[0-9A-Za-z])[{unseen.UNSEEN}](?=[0-9A-Za-z])")
_PICTURES = re.compile(f"{unseen.PICTURE}|[{unseen.SYMBOLS}{unseen.UNSEEN}]")
_NOT_A_LINK = re.compile(
    _PICTURES.pattern
    + r"|(?<=[^\W\d_]):(?=[^\W\d_])|(?<!\w)_+(?=[^\W_]\S*[^\W_]_)|(?<=[^\W_])_+(?![\w/])"
)


class BareLink(NamedTuple):
    """One link that was found: `raw` as it stands in the text, its index `at`, how many of its
    first characters are wrong, and the scheme that belongs there.
    """

    raw: str
    at: int
    wrong: int
    scheme: str


def bare_links(written: str) -> list[str]:
    """Return the links as they stand in the text, each one once."""
    stand = (written[found.at : found.at + len(found.raw)] for found in found_in(written))
    return list(dict.fromkeys(stand))


def repaired(written: str) -> str:
    """Return the text with each of these links beginning with a correct scheme."""
    done, pieces = 0, []
    for found in found_in(written):
        pieces += [written[done : found.at], found.scheme]
        done = found.at + found.wrong
    return "".join([*pieces, written[done:]])


def found_in(written: str) -> list[BareLink]:
    """Return the links in the order of the text. What is not a link or was found already is
    replaced by spaces, so that positions stay the same.
    """
    # A colon may be part of a mistyped scheme, so colons are not blanked here.
    slips = [slip for each in _SLIP.finditer(_seen(written, _PICTURES)) if (slip := _slip(each))]
    rest = _blank(
        _seen(written, _NOT_A_LINK), [(each.at, each.at + len(each.raw)) for each in slips]
    )
    machines = [
        BareLink(each[0].rstrip(".?:"), each.start(), 0, PLAIN) for each in _MACHINE.finditer(rest)
    ]
    rest = _blank(rest, [(each.at, each.at + len(each.raw)) for each in machines])
    others = [
        _bare(each, rest) for each in _linkify().match(rest) or [] if each.schema in {"", "//"}
    ]
    return sorted([*slips, *machines, *filter(None, others)], key=lambda each: each.at)


def is_known(ending: str) -> bool:
    """Return whether this is a real top-level domain."""
    return _punycode(ending.lower()) in _every_ending()


def _seen(written: str, without: re.Pattern[str]) -> str:
    """Blank what matches `without`. An invisible character inside a Latin name counts as a letter
    of it.
    """
    written = _HIDDEN.sub("x", written)
    return without.sub(lambda each: " " * len(each[0]), written)


def _blank(written: str, places: list[tuple[int, int]]) -> str:
    for start, end in places:
        written = written[:start] + " " * (end - start) + written[end:]
    return written


def _slip(found: re.Match[str]) -> BareLink | None:
    """Return None for a correct scheme, and for text that names no site."""
    wrong = found["wrong"]
    host = found["host"].partition(":")[0]
    ending = host.rpartition(".")[2]
    if _RIGHT.fullmatch(wrong) or not ("{" in host or ("." in host and is_known(ending))):
        return None
    inner = re.search(r"(?i)https?://$", wrong)
    scheme = inner[0].lower() if inner else SCHEME
    raw = (wrong + found["rest"]).rstrip(".?:")
    return BareLink(raw, found.start(), len(wrong), scheme)


def _bare(found: Match, written: str) -> BareLink | None:
    """Return None for what only looks like a link."""
    slashes = len(found.schema)
    host, slash, _path = found.raw[slashes:].partition("/")
    # In "{site|school.ru}" the part before the bar is the name of a variable; no host contains a
    # bar.
    before = host.rfind("|") + 1 if not slashes else 0
    host = re.split("[:?#]", host[before:], maxsplit=1)[0]
    at = found.index + before
    name, _dot, ending = host.rpartition(".")
    if ending.lower() in {"am", "pm"} and name.replace(".", "").isdecimal():
        return None
    if slash or slashes or re.match(r"www\.", host, re.I):
        is_link = is_known(ending)
    else:
        is_link = ending.lower() in ENDINGS and not _is_prose(name, ending, written, at, len(host))
    return BareLink(found.raw[before:], at, slashes, SCHEME) if is_link else None


def _is_prose(name: str, ending: str, written: str, at: int, length: int) -> bool:
    """Return whether it is a missing space after a full stop, a product, a file or an hour."""
    label = name.rpartition(".")[2]
    small = label.lower()
    return (
        written[:at].endswith(("№", "#"))
        or _looks_joined(label, ending)
        or (label.isdecimal() and (ending.lower() != "ru" or len(label) < 2))
        or (small in _FILES and ending.lower() in _FILE_ENDINGS)
        or (
            ending.lower() in {"me", "am"}
            and ("." not in name)
            and (small in _SAID or label.istitle())
        )
        or (ending in _WORDS and _SHORTENED.fullmatch(small) is not None)
        or (ending in _WORDS and written[at + length : at + length + 1] == ".")
    )


def _looks_joined(label: str, ending: str) -> bool:
    """Return whether it looks like "школа.Онлайн", "Paint.NET", "ASP.NET" or "руб.com"; sites are
    not written so.
    """
    if ending == "NET" or (ending.isascii() and not label.isascii()):
        return True
    usual = ending in {"Ru", "Com", "Org", "РФ"}  # "School.Ru"
    return ending[:1].isupper() and not label.isupper() and not usual


def _punycode(ending: str) -> str:
    try:
        return ending.encode("idna").decode()
    except UnicodeError:
        return ""


@cache
def _every_ending() -> frozenset[str]:
    return frozenset(_punycode(each.lower()) for each in [*TLDS, *ENDINGS])


@cache
def _linkify() -> LinkifyIt:
    """Match links without a scheme too. E-mail addresses are matched so that they are not taken for
    links.
    """
    options = {"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": False}
    return LinkifyIt(options=options).tlds([*TLDS, *ENDINGS])
