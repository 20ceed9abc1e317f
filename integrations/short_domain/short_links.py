"""What the URL of a short link looks like: SHORT_URL/r/<token>. mailings/text/tokens.py explains tokens.
Every app uses this module to mask links, so that staff never see one that works.
"""

import re
from typing import NamedTuple

from django.conf import settings

PATH = "/r/"
HIDDEN = "*"  # a GSM-7 character, like the letters it replaces, so the length stays the same
_WORKING = re.compile(r"(https?://[^\s/]+/r/)([0-9A-Za-z]{12,15})(?![0-9A-Za-z])")


class TextPiece(NamedTuple):
    """A run of a sent text; link: True for a short link that works."""

    text: str
    link: bool


def address(token: str) -> str:
    return f"{settings.SHORT_URL}{PATH}{token}"


def pieces(sent: str) -> list[TextPiece]:
    """Split a sent text at its short links."""
    found, done = [], 0
    for link in _WORKING.finditer(sent):
        found += [TextPiece(sent[done : link.start()], False), TextPiece(link[0], True)]
        done = link.end()
    return [*found, TextPiece(sent[done:], False)]


def hidden(sent: str) -> str:
    """Return a sent text with its short links masked: as long as before, but leading nowhere."""
    return _WORKING.sub(lambda found: found[1] + HIDDEN * len(found[2]), sent)
