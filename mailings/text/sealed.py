"""Secret words in messages. A stored text holds a nonce in place of the word; the word is computed
when the message is submitted and hidden wherever the text is shown. Pure functions;
notifications/send.py decides which words are secret.

So no copy of the database, no page and no log contains a code. A worker that is killed at any point
loses nothing, because the same word is computed again, to submit the message as well as to look it
up later.
"""

import re
from collections.abc import Callable

from users.consent.confirmation import code_of

# private-use characters: nobody types them, and values keep them
OPENS, CLOSES = "\ue000", "\ue001"
HIDDEN = "••••••"
_SEALED = re.compile(f"{OPENS}([0-9A-Za-z]{{1,40}}){CLOSES}")


def sealed(nonce: str) -> str:
    """Return the placeholder for the code of this nonce."""
    return f"{OPENS}{nonce}{CLOSES}"


def opened(text: str) -> str:
    """Return the text as the recipient reads it."""
    return _each(text, lambda found: code_of(found[1]))


def hidden(text: str) -> str:
    """Return the text as anybody may see it."""
    return _each(text, lambda _found: HIDDEN)


def _each(text: str, word: Callable[[re.Match[str]], str]) -> str:
    return _SEALED.sub(word, text) if OPENS in text else text
