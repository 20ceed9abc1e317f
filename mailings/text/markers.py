"""Marks for short links inside a stored text, two characters each. A stored text never contains a
token. The token is filled in when the message is submitted, and every reader sees as many asterisks
instead. Pure functions.
"""

import re

from integrations.short_domain import short_links

from . import tokens
from .tokens import Purpose

# Control characters: template.py removes them from texts and from people's values.
MARKS = {Purpose.CLICK: "\x1a", Purpose.SIGN_IN: "\x1b"}
_PURPOSES = {mark: purpose for purpose, mark in MARKS.items()}
_MARKED = re.compile("([\x1a\x1b])([0-9A-Za-z])")
_HIDDEN = {purpose: short_links.HIDDEN * width for purpose, width in tokens.WIDTH.items()}


def mark(position: int, purpose: Purpose) -> str:
    return MARKS[purpose] + tokens.ALPHABET[position]


def masked(body: str) -> str:
    """Return the text at its final length, with links that do not work: for counting, and for every
    page.
    """
    if "\x1a" not in body and "\x1b" not in body:
        return body
    return _MARKED.sub(lambda found: short_links.address(_HIDDEN[_PURPOSES[found[1]]]), body)


def filled(body: str, message: int) -> str:
    """Return the text as the person gets it. Used only to submit it, and to find it again in a
    provider's records.
    """
    if "\x1a" not in body and "\x1b" not in body:
        return body
    return _MARKED.sub(
        lambda found: short_links.address(
            tokens.make(message, tokens.VALUES[found[2]], _PURPOSES[found[1]])
        ),
        body,
    )
