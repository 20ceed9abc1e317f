"""Fingerprints that tell whether a text in a provider's records is the one that we wrote, without
storing the text. They ignore quotes, dashes and spaces, which providers replace, and the token of a
short link, which differs in every message. Pure functions.
"""

import hashlib
import re
import unicodedata

from integrations.short_domain import short_links

from . import markers
from .sealed import opened


def of_stored(body: str) -> str:
    """Return the fingerprint of a message's text as it is stored, with marks in place of its links."""
    return _of(markers.masked(opened(body)))


def of_sent(text: str) -> str:
    """Return the fingerprint of a text as the provider shows it; '' if it shows none (its records
    may have lost the text).
    """
    return _of(short_links.hidden(text)) if text.strip() else ""


def _of(text: str) -> str:
    whole = unicodedata.normalize("NFKC", text)
    letters = re.sub(r"[\W_]+", "", whole)
    return hashlib.sha256((letters or whole.strip()).encode("utf-8", "replace")).hexdigest()[:32]
