"""The tokens of short links: the message, the position of the link in it, and a signature. Tokens
are derived and never stored. Their width is fixed, so an SMS can be counted before it has one. Pure
functions, except that they read the keys in the settings.

    message (6) + position (1) + signature (5 to count a click, 8 to sign in), base62
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from django.conf import settings

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VALUES = {char: value for value, char in enumerate(ALPHABET)}
BASE = len(ALPHABET)
MESSAGE = 6  # characters: enough for 56 billion messages
PAYLOAD = MESSAGE + 1
POSITIONS = BASE
NEWEST = BASE**MESSAGE - 1


class Purpose(StrEnum):
    """What a link is for. Each purpose has its own key and its own length, so a token for one is
    never valid for the other.
    """

    CLICK = "click"
    SIGN_IN = "sign-in"


SIGNATURE = {Purpose.CLICK: 5, Purpose.SIGN_IN: 8}  # characters: 29.8 and 47.6 bits
WIDTH = {purpose: PAYLOAD + signature for purpose, signature in SIGNATURE.items()}
_BY_WIDTH = {width: purpose for purpose, width in WIDTH.items()}


@dataclass(frozen=True, slots=True)
class Token:
    """The content of a token whose signature was verified."""

    message: int
    position: int
    purpose: Purpose


def make(message: int, position: int, purpose: Purpose) -> str:
    """Return the token. Raises ValueError for a message id or a position that does not fit."""
    if not (0 <= message <= NEWEST and 0 <= position < POSITIONS):
        raise ValueError("a message or a position that no token has room for")
    payload = spelt(message, MESSAGE) + ALPHABET[position]
    return payload + _signature(settings.SECRET_KEY, purpose, payload)


def read(token: str) -> Token | None:
    """Return None unless make() made the token with one of our keys. Every outcome takes the same
    work.
    """
    purpose = _BY_WIDTH.get(len(token)) if token.isascii() and token.isalnum() else None
    # A malformed token is checked all the same, as a sign-in token whose signature never matches.
    whole = token if purpose else "0" * PAYLOAD + "-" * SIGNATURE[Purpose.SIGN_IN]
    payload, signature = whole[:PAYLOAD], whole[PAYLOAD:]
    believed = False
    for key in _keys():
        expected = _signature(key, purpose or Purpose.SIGN_IN, payload)
        believed |= hmac.compare_digest(expected.encode(), signature.encode())
    if purpose is None or not believed:
        return None
    return Token(number(payload[:MESSAGE]), VALUES[payload[MESSAGE]], purpose)


def spelt(value: int, width: int) -> str:
    """Return the last `width` digits of a number in base62."""
    chars = []
    for _ in range(width):
        value, rest = divmod(value, BASE)
        chars.append(ALPHABET[rest])
    return "".join(reversed(chars))


def number(chars: str) -> int:
    value = 0
    for char in chars:
        value = value * BASE + VALUES[char]
    return value


def _keys() -> Iterable[str]:
    """The first key signs; all of them verify."""
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def _signature(key: str, purpose: Purpose, payload: str) -> str:
    digest = hmac.digest(_derived(key, purpose), payload.encode(), "sha256")
    return spelt(int.from_bytes(digest, "big"), SIGNATURE[purpose])


@lru_cache(maxsize=16)
def _derived(key: str, purpose: Purpose) -> bytes:
    return hmac.digest(key.encode(), f"mailings.text.tokens {purpose.value}".encode(), "sha256")
