"""Limits how many passwords are hashed at once. Hashing one takes 0.2 s of a processor by design, so a flood
of sign-ins would occupy the whole machine. Each process hashes a few passwords at once and lets a few
requests wait; all others are asked to come again later.
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
    """Too many passwords are being checked. Try again after `seconds`."""

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
    """Django's hasher with a limit on encode(), which verify() calls as well."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        with turn():
            return super().encode(*args, **kwargs)


class PBKDF2(PBKDF2PasswordHasher):
    """The hasher for people who were imported from another system."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        with turn():
            return super().encode(*args, **kwargs)
