"""How the address of a short link looks: SHORT_URL/r/<token>. What a token is, mailings/tokens.py
knows; here is what every room may know: that nobody is shown one that works.
"""

import re

from django.conf import settings

PATH = "/r/"
HIDDEN = "*"  # in GSM-7, as the letters are that it stands for: it costs the same
_WORKING = re.compile(r"(https?://[^\s/]+/r/)([0-9A-Za-z]{12,15})(?![0-9A-Za-z])")


def address(token: str) -> str:
    return f"{settings.SHORT_URL}{PATH}{token}"


def hidden(sent: str) -> str:
    """A text as it was sent, its short links as long as before and leading nowhere."""
    return _WORKING.sub(lambda found: found[1] + HIDDEN * len(found[2]), sent)
