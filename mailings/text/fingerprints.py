"""Whether a text in a service's books is the one that we wrote, without keeping it: services swap quotes,
dashes and spaces, and the token of a short link is another one for every message. Pure.
"""

import hashlib
import re
import unicodedata

from integrations.short_domain import short_links

from . import markers
from .sealed import opened


def of_stored(body: str) -> str:
    """Of a message's text as it is stored, with marks in place of its links."""
    return _of(markers.masked(opened(body)))


def of_sent(text: str) -> str:
    """Of the text as a service shows it; '' when it shows none (texts may be deleted from its books)."""
    return _of(short_links.hidden(text)) if text.strip() else ""


def _of(text: str) -> str:
    whole = unicodedata.normalize("NFKC", text)
    letters = re.sub(r"[\W_]+", "", whole)
    return hashlib.sha256((letters or whole.strip()).encode("utf-8", "replace")).hexdigest()[:32]
