"""Checks the links of a text: where each leads, what keeps it from working, and the repair if there
is only one. Pure functions: they do not ask whether a site answers.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import idna
from django.utils.translation import gettext as _

from . import bare_links, template, unseen
from . import wrapping as links
from .plain_signs import ALIKE
from .wrapping import Wrapping

_NO_WRAPPING = Wrapping()
# Text that was meant as a link and became none. A second word belongs to it where the first is only
# the beginning of a link.
_MEANT = re.compile(
    r"(?<![^\W_])(?:https?(?=\s?[:;：/\\])|www(?=\s?[.,]\s?\w))(?:[^\s\w]*\s+(?=[\w-]*[.,]\w))?[^\s<>\"«»“”]*",
    re.I,
)
# What follows a link that has no path: the rest of its host name, cut off by a typing error.
_CUT_OFF = re.compile(
    r"(?:,|\.\.+|\s?\.\s?)(?P<ending>[^\W\d_]{2,})(?![^\W_])[^\s,;]*|\.(?=[/?#])[^\s,;]*"
)
# Endings of sites that are never ordinary words.
_SURE = frozenset(["ru", "рф", "com", "org", "net", "su", "kz", "by", "ua", "uz", "kg"])
_GLUED = re.compile(r"(?P<right>[a-z]{2,})(?P<dash>-?)(?P<word>[^\W\d_a-zA-Z][\w-]*)$")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LATIN_ONLY = frozenset(["ru", "su", "by", "ua", "uz", "kg", "md", "am", "ge"])
_OTHER_ALPHABETS = ("CYRILLIC", "GREEK", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "CHEROKEE")
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class CheckedLink:
    """A link as it stands in the text. `to` is its host as phones request it, `decoded` the same
    host as people read it, where that differs. `faults` says in words why the link cannot work, and
    `right` what to write.
    """

    start: int
    end: int
    written: str
    url: str = ""  # as wrapping.py finds it; '' if it became no link
    to: str = ""
    decoded: str = ""
    faults: tuple[str, ...] = ()
    right: str = ""


def lines(written: str, wrapping: Wrapping = _NO_WRAPPING) -> list[CheckedLink]:
    """Return each link once, in the order of the text, and all text that was meant as a link."""
    found: dict[str, CheckedLink] = {}
    for line in _every(template.clean(written), wrapping):
        found.setdefault(line.written, line)
    return list(found.values())


def faulty(written: str, wrapping: Wrapping = _NO_WRAPPING) -> list[CheckedLink]:
    """Return the links that cannot work."""
    return [line for line in lines(written, wrapping) if line.faults]


def mended(written: str, wrong: str) -> str:
    """Return the text with the link `wrong` repaired wherever it stands."""
    written = template.clean(written)
    done, pieces = 0, []
    for line in _every(written, _NO_WRAPPING):
        if line.written == wrong and line.right:
            pieces += [written[done : line.start], line.right]
            done = line.end
    return "".join([*pieces, written[done:]])


def _every(written: str, wrapping: Wrapping) -> list[CheckedLink]:
    found: list[CheckedLink] = []
    taken = bytearray(len(written) + 1)
    for line in _in_order(written, wrapping):
        if not any(taken[line.start : line.end]):
            taken[line.start : line.end] = b"1" * (line.end - line.start)
            found.append(line)
    return sorted(found, key=lambda each: each.start)


def _in_order(written: str, wrapping: Wrapping) -> Iterator[CheckedLink]:
    """Yield links with mistyped schemes before the links inside them."""
    bare = bare_links.found_in(written)
    for slip in (each for each in bare if each.wrong > len("//")):
        stands = written[slip.at : slip.at + len(slip.raw)]
        yield _line(
            slip.at, stands, [_("Its beginning is mistyped.")], slip.scheme + stands[slip.wrong :]
        )
    for found in links.find(written):
        yield _of_link(written, found, wrapping)
    without = {at for each in bare for at in range(each.at, each.at + len(each.raw))}  # not faults
    for meant in _MEANT.finditer(written):
        if meant.start() in without:
            continue
        stands = meant[0].rstrip(".,!?)")
        more = _CUT_OFF.match(written, meant.start() + len(stands))
        if more and (more["ending"] or "").lower() in _SURE:
            stands += more[0].rstrip(".,:;!?)")
        yield _line(meant.start(), stands, [_why_none(stands)], _certain(stands))


def _line(start: int, stands: str, faults: list[str], right: str) -> CheckedLink:
    right = right if right != stands and not faulty_alone(right) else ""
    return CheckedLink(start, start + len(stands), stands, faults=tuple(faults), right=right)


def faulty_alone(link: str) -> bool:
    """Return whether the text is anything but one healthy link."""
    found = links.find(link)
    whole = len(found) == 1 and (found[0].start, found[0].end) == (0, len(link))
    return not whole or bool(_faults(found[0].url, _NO_WRAPPING))


def _of_link(written: str, found: links.FoundLink, wrapping: Wrapping) -> CheckedLink:
    end = found.end
    faults = _faults(found.url, wrapping)
    if cut := _cut_off(written, found):
        end = found.end + len(cut.rstrip(".,:;!?)"))
        faults = [_why_none(written[found.start : end])]
    stands = written[found.start : end]
    hidden = unseen.places(stands)
    if hidden and not wrapping.purpose_of(found.url):
        faults.append(_("There is a sign in it that nobody sees."))
    to, decoded = _site(found.url)
    right = _certain(stands)
    if right == stands or _faults_left(right, wrapping) >= len(faults):
        right = ""
    return CheckedLink(found.start, end, stands, found.url, to, decoded, tuple(faults), right)


def _faults_left(right: str, wrapping: Wrapping) -> int:
    """Count the faults after the repair. A word that was glued to the link may follow it now."""
    found = links.find(right)
    whole = len(found) == 1 and (right + " ").startswith(found[0].url + " ")
    return len(_faults(found[0].url, wrapping)) if whole else len(right)


def _cut_off(written: str, found: links.FoundLink) -> str:
    """Return ",ru/a" for the link "https://my.school" in "https://my.school,ru/a": .school and .ru
    both exist.
    """
    name = found.url.partition("://")[2]
    cut = None if re.search("[/?#]", name) else _CUT_OFF.match(written, found.end)
    if cut is None or cut["ending"] is None:
        return cut[0] if cut else ""
    ending = name.rpartition(".")[2].lower()
    return cut[0] if cut["ending"].lower() in _SURE and ending not in _SURE else ""


def _faults(url: str, wrapping: Wrapping) -> list[str]:
    if links.host_of(url) in wrapping.ours:
        return _faults_of_the_rest(url)
    return [*_faults_of_the_site(url), *_faults_of_the_rest(url)]


def _faults_of_the_site(url: str) -> list[str]:
    name, port = _name_and_port(url)
    if "{" in name:
        return []  # the host differs from person to person
    faults = []
    if port and (len(port) > len(str(HIGHEST_PORT)) or not 0 < int(port) <= HIGHEST_PORT):
        faults.append(_("There is no port %(port)s.") % {"port": port})
    if name != "localhost" and not name.startswith("["):
        faults += filter(None, [_fault_of_the_name(name)])
    return faults


def _fault_of_the_name(name: str) -> str:
    labels = name.split(".")
    ending = labels[-1].lower()
    if len(labels) < 2:
        return _("The name of the site has no ending, like .com.")
    if all(label.isdecimal() for label in labels):
        right = len(labels) == 4 and all(len(label) < 4 and int(label) < 256 for label in labels)
        return "" if right else _("No site can have this name.")
    if any(_mixed(label) for label in labels):
        return _("The name of the site has letters of two alphabets.")
    if ending.isascii() and any(_latin(label) != label for label in labels):
        return _("The name of the site has letters that only look Latin.")
    if not bare_links.is_known(ending):
        return _("No site ends in .%(ending)s.") % {"ending": labels[-1]}
    wrong_alphabet = (
        not labels[-2].isascii()
        if ending in _LATIN_ONLY
        else (ending == "рф" and labels[-2].isascii() and not labels[-2].lower().startswith("xn--"))
    )
    return _("No site can have this name.") if wrong_alphabet or not _can_exist(name) else ""


def _faults_of_the_rest(url: str) -> list[str]:
    faults = []
    if "&amp;" in url:
        faults.append(_("“&amp;” is from the code of a page; in a link it is “&”."))
    if _LONE_PERCENT.search(re.sub(r"\{[^{}]*\}", "", url)):
        faults.append(_("A lone percent sign breaks the address."))
    return faults


def _why_none(stands: str) -> str:
    """Explain why it became no link, or not the link that was meant."""
    site = re.sub(r"(?i)^(https?|www)[^\w\s]*", "", stands)
    site = re.split("[/?#]", site, maxsplit=1)[0]
    if re.search(r"\s", stands):
        return _("There is a space in it.")
    if ".." in site:
        return _("There are two dots one after the other.")
    if "," in site:
        return _("There is a comma where a dot belongs.")
    if site.endswith("."):
        return _("There is a dot too many behind the name of the site.")
    if site and "." not in site:
        return _("The name of the site has no ending, like .com.")
    return _("It became no link.")


def _certain(stands: str) -> str:
    """Return the repaired link; unchanged where there is more than one possible repair."""
    right = unseen.without(stands).replace("&amp;", "&")
    scheme, colon, rest = right.partition("://")
    site, tail = re.match(r"([^/?#]*)(.*)", rest, re.S).groups("")  # type: ignore[union-attr]
    site = re.sub(r"\s*[.,](?:\s*[.,])*\s*(?=[^\W_])|\s+(?=\.)", ".", site).rstrip(".")
    site = ".".join(_latin(label) for label in site.split("."))
    glued = _GLUED.search(site)
    if glued and not tail and bare_links.is_known(glued["right"]):
        between = " - " if glued["dash"] else " "
        site = site[: glued.start()] + glued["right"] + between + glued["word"]
    return scheme + colon + site + tail


def _latin(label: str) -> str:
    """Replace letters that only look Latin, if the whole label becomes Latin by that."""
    changed = "".join(ALIKE.get(char, char) for char in label)
    return changed if changed.isascii() else label


def _mixed(label: str) -> bool:
    names = [unicodedata.name(char, "") for char in label if char.isalpha()]
    latin = any(name.startswith("LATIN") for name in names)
    return latin and any(name.startswith(_OTHER_ALPHABETS) for name in names)


def _can_exist(name: str) -> bool:
    try:
        idna.encode(name.replace("_", ""), uts46=True)
    except idna.IDNAError:
        return False
    return True


def _name_and_port(url: str) -> tuple[str, str]:
    authority = re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
    found = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d+))?", authority)
    return (found[1], found[2] or "") if found else (authority, "")


def _site(url: str) -> tuple[str, str]:
    """Return the host as phones request it, and as people read it where that differs (else '')."""
    name, port = _name_and_port(url)
    behind = f":{port}" if port else ""
    try:
        asked = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
        read = idna.decode(asked) if "xn--" in asked else asked
    except idna.IDNAError:
        return name + behind, ""
    return asked + behind, read + behind if read != asked else ""
