"""A secret word in a message: what is stored names it without telling it. It is opened when the
message leaves and hidden wherever it is shown. Pure; which words are secret is notifications/send.py's.

So no copy of the database, no page and no log holds a code, and a worker that is killed at any point
loses nothing: the same word is worked out again, for the hand-over as for the questions after it.
"""

import re
from collections.abc import Callable

from users.consent.confirmation import code_of

OPENS, CLOSES = "\ue000", "\ue001"  # private characters: nobody types them, and values keep them
HIDDEN = "••••••"
_SEALED = re.compile(f"{OPENS}([0-9A-Za-z]{{1,40}}){CLOSES}")


def sealed(nonce: str) -> str:
    """To stand in a text for the code of this nonce."""
    return f"{OPENS}{nonce}{CLOSES}"


def opened(text: str) -> str:
    """As the recipient reads it."""
    return _each(text, lambda found: code_of(found[1]))


def hidden(text: str) -> str:
    """As anybody may see it."""
    return _each(text, lambda _found: HIDDEN)


def _each(text: str, word: Callable[[re.Match[str]], str]) -> str:
    return _SEALED.sub(word, text) if OPENS in text else text
