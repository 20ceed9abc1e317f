"""Changes a text at one click: plain characters, Latin letters, repaired links, or a saved text
added.
"""

from mailings.text import bare_links, link_check, substitutions

from . import saved_texts


def fixed(written: str, how: str) -> str:
    """Return the text changed as `how` says: "signs", "sign:«", "latin", "links", "mend:htp://a.ru"
    or "saved:5". Anything else leaves it unchanged.
    """
    what, _colon, which = how.partition(":")
    match what:
        case "signs":
            return substitutions.plain(written)
        case "sign" if which:
            return substitutions.plain(written, only=which)
        case "latin":
            return substitutions.latin(written)
        case "links":
            return bare_links.repaired(written)
        case "mend" if which:
            return link_check.mended(written, which)
        case "saved":
            return saved_texts.added_to(written, which)
        case _:
            return written
