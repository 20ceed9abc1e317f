"""Links written without http or https: phones may not open them, and nothing counts their clicks. Pure."""

from functools import cache

from linkify_it import LinkifyIt
from linkify_it.main import Match

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
    ]
)


def bare_links(written: str) -> list[str]:
    """As they stand in the text, each once."""
    return list(dict.fromkeys(found.raw for found in _found(written)))


def repaired(written: str) -> str:
    """With https:// before each."""
    done, kept = 0, []
    for found in _found(written):
        kept += [written[done : found.index], SCHEME]
        done = found.index
    return "".join([*kept, written[done:]])


def _found(written: str) -> list[Match]:
    matches = _linkify().match(written) or []
    return [each for each in matches if each.schema == "" and _is_link(each.raw)]


def _is_link(raw: str) -> bool:
    host, slash, _path = raw.partition("/")
    ending = host.rpartition(".")[2].partition(":")[0].lower()
    return ending in ENDINGS or (bool(slash) and ending.isalpha() and len(ending) > 1)


@cache
def _linkify() -> LinkifyIt:
    """Links without a scheme too; e-mail addresses are no links here."""
    options = {"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": False}
    return LinkifyIt(options=options).tlds(sorted(ENDINGS), keep_old=True)
