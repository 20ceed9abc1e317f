"""Shows whether processes of this installation run on this machine: each holds a lock on one file as long as
it lives, so that nobody restores a backup under them.
"""

import fcntl
import os

from django.conf import settings

NAME = "running"
_held: list[int] = []  # open for as long as the process lives


def say_so() -> None:
    """Mark this process as running. If the file cannot be written, nothing is marked."""
    try:
        settings.STATE_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(settings.STATE_DIR / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return
    _held.append(descriptor)


def somebody_does() -> bool:
    try:
        descriptor = os.open(settings.STATE_DIR / NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
