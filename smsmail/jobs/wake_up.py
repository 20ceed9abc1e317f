"""Wakes idle workers of this database before they look by themselves: by NOTIFY and LISTEN on PostgreSQL; on
SQLite they notice whatever is committed. A wake-up that is lost costs seconds, for the database is the queue.
"""

import select
import threading
import time
from collections.abc import Callable
from typing import Protocol

from django.db import connection

CHANNEL = "smsmail"
# Seconds between two looks at SQLite's counter of commits. Each takes a thread 0.17 ms to wake up for.
PROBE = 0.25
# Seconds after which a listener to PostgreSQL looks whether it is to stop.
STOPS_WITHIN = 1.0
# Seconds. A worker wakes its own jobs; it tells the other workers of each job at most once in this time,
# because a busy one prepares and sends several batches a second.
AMONG_WORKERS = 1.0

Ring = Callable[[str], None]
_rings: list[Ring] = []  # of the worker in this process
_lock = threading.Lock()
_sent: dict[str, float] = {}  # job -> when this process last told others


def send(job: str) -> None:
    """Wake the job now, in this process and in others. Call it outside a transaction. Raises Error."""
    for ring in list(_rings):
        ring(job)
    if connection.vendor == "postgresql" and _may_tell(job, AMONG_WORKERS if _rings else 0.0):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, job])


def _may_tell(what: str, pause: float) -> bool:
    now = time.monotonic()
    if pause and now - _sent.get(what, float("-inf")) < pause:
        return False
    with _lock:
        _sent[what] = now
    return True


def answer_to(ring: Ring) -> None:
    """Have send() in this process call `ring` with the job."""
    _rings.append(ring)


def no_longer(ring: Ring) -> None:
    _rings.remove(ring)


class Listener(Protocol):
    def wait(self, seconds: float, stop: threading.Event) -> set[str]:
        """Wait for a wake-up, at most so long. Returns the jobs that were woken, if it is known which."""


def listener() -> Listener:
    """Return the listener for the connection of this thread. Raises Error."""
    connection.ensure_connection()
    return _Notified() if connection.vendor == "postgresql" else _Committed()


class _Notified:
    """LISTEN. The connection serves nothing else while it waits."""

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def wait(self, seconds: float, stop: threading.Event) -> set[str]:
        until = time.monotonic() + seconds
        heard = self._heard()
        while not heard and not stop.is_set() and (left := until - time.monotonic()) > 0:
            # psycopg's own wait looks ten times a second whether it was interrupted.
            select.select([connection.connection], [], [], min(STOPS_WITHIN, left))
            heard = self._heard()
        return heard

    def _heard(self) -> set[str]:
        return {each.payload for each in connection.connection.notifies(timeout=0)}


class _Committed:
    """PRAGMA data_version changes when any other connection has committed, in any process."""

    def __init__(self) -> None:
        self._seen = self._version()

    def wait(self, seconds: float, stop: threading.Event) -> set[str]:
        until = time.monotonic() + seconds
        while self._version() == self._seen and (left := until - time.monotonic()) > 0:
            if stop.wait(min(PROBE, left)):
                break
        self._seen = self._version()
        return set()

    def _version(self) -> int:
        [version] = connection.connection.execute("PRAGMA data_version").fetchone()
        return int(version)
