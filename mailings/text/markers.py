"""Short links inside a stored text: a mark of two characters each. A stored text never holds a token;
one is put in when the message is handed over, and the same number of asterisks for whoever looks.
Pure.
"""

import re

from integrations.short_domain import short_links

from . import tokens
from .tokens import Purpose

# Control characters: template.py lets them through neither in a text nor in a person's value.
MARKS = {Purpose.CLICK: "\x1a", Purpose.SIGN_IN: "\x1b"}
_PURPOSES = {mark: purpose for purpose, mark in MARKS.items()}
_MARKED = re.compile("([\x1a\x1b])([0-9A-Za-z])")
_HIDDEN = {purpose: short_links.HIDDEN * width for purpose, width in tokens.WIDTH.items()}


def mark(position: int, purpose: Purpose) -> str:
    return MARKS[purpose] + tokens.ALPHABET[position]


def masked(body: str) -> str:
    """As long as it will be, with links that work nowhere: for counting, and for every page."""
    return _MARKED.sub(lambda found: short_links.address(_HIDDEN[_PURPOSES[found[1]]]), body)


def filled(body: str, message: int) -> str:
    """As the person gets it. Only for handing over, and to find it again in a service's books."""
    return _MARKED.sub(
        lambda found: short_links.address(
            tokens.make(message, tokens.VALUES[found[2]], _PURPOSES[found[1]])
        ),
        body,
    )
