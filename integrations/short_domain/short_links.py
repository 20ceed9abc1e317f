"""How the address of a short link looks: SHORT_URL/r/<token>. What a token is, mailings/text/tokens.py
knows; here is what every room may know: that nobody is shown one that works.
"""

import re
from typing import NamedTuple

from django.conf import settings

PATH = "/r/"
HIDDEN = "*"  # in GSM-7, as the letters are that it stands for: it costs the same
_WORKING = re.compile(r"(https?://[^\s/]+/r/)([0-9A-Za-z]{12,15})(?![0-9A-Za-z])")


class TextPiece(NamedTuple):
    """A run of a sent text; link: a short link that works."""

    text: str
    link: bool


def address(token: str) -> str:
    return f"{settings.SHORT_URL}{PATH}{token}"


def pieces(sent: str) -> list[TextPiece]:
    """A text as it was sent, cut at its short links."""
    found, done = [], 0
    for link in _WORKING.finditer(sent):
        found += [TextPiece(sent[done : link.start()], False), TextPiece(link[0], True)]
        done = link.end()
    return [*found, TextPiece(sent[done:], False)]


def hidden(sent: str) -> str:
    """A text as it was sent, its short links as long as before and leading nowhere."""
    return _WORKING.sub(lambda found: found[1] + HIDDEN * len(found[2]), sent)
