"""Hashing passwords takes a processor for 0.2 s by design. So that a flood of sign-ins does not hold the
whole machine, few are hashed at once in a process, few wait, and the rest are asked to come again.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher, ScryptPasswordHasher

AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
WAITING = max(1, settings.WEB_THREADS // 2)  # the other threads are for pages
PATIENCE = 5.0  # seconds

_turns = threading.BoundedSemaphore(AT_ONCE)
_places = threading.BoundedSemaphore(AT_ONCE + WAITING)


class Busy(Exception):
    """Too many passwords are being looked at; in so many seconds it may be this one's turn."""

    seconds = 5


@contextmanager
def turn() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise Busy
    try:
        if not _turns.acquire(timeout=PATIENCE):
            raise Busy
        try:
            yield
        finally:
            _turns.release()
    finally:
        _places.release()


class Scrypt(ScryptPasswordHasher):
    """verify() encodes, too."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        with turn():
            return super().encode(*args, **kwargs)


class PBKDF2(PBKDF2PasswordHasher):
    """Of people who were brought from elsewhere."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        with turn():
            return super().encode(*args, **kwargs)
