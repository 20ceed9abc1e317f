"""Counts recent attempts over all processes: in Redis if there is one, else in a table. While
counting fails, nothing is counted and nobody is turned away.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils.crypto import salted_hmac

from smsmail.models import Tried

T = TypeVar("T")

PATIENCE = 2000  # milliseconds; a locked table must not delay a request that is only counted
SLICE = 5000
_COUNT = """
    INSERT INTO smsmail_tried (key, count, until) VALUES (%s, 1, %s)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN smsmail_tried.until > %s THEN smsmail_tried.count + 1 ELSE 1 END,
        until = CASE WHEN smsmail_tried.until > %s THEN smsmail_tried.until ELSE excluded.until END
    RETURNING count
"""
_HOLD = """
    INSERT INTO smsmail_tried (key, count, until) VALUES (%s, 1, %s)
    ON CONFLICT (key) DO UPDATE SET until = excluded.until
"""


def named(*parts: str) -> str:
    """Return a key that reveals nothing: no e-mail or network is stored in the table or in Redis."""
    return salted_hmac("smsmail.web.rate_limit", "\0".join(parts), algorithm="sha256").hexdigest()[
        :40
    ]


def tries(key: str, seconds: int) -> int:
    """Count one attempt and return the count, this one included. It restarts `seconds` after the
    first.
    """
    if settings.REDIS_URL:
        return _count_in_redis(key, seconds)
    return _surely(lambda: _count(key, seconds), 1)


def hold(key: str, seconds: int) -> None:
    """Hold the key for this many seconds."""
    until = time.time() + seconds
    if settings.REDIS_URL:
        cache.set(key, until, seconds)
        return
    _surely(lambda: _write_down(key, until), None)


def held(keys: Iterable[str]) -> dict[str, float]:
    """Return the keys that are held, and until when (seconds since 1970)."""
    wanted, now = list(keys), time.time()
    if settings.REDIS_URL:
        found = cache.get_many(wanted)
    else:
        rows = Tried.objects.filter(key__in=wanted).values_list("key", "until")
        found = _surely(lambda: dict(rows), {})
    return {key: until for key, until in found.items() if until > now}


def forget(keys: Iterable[str]) -> None:
    wanted = list(keys)
    if settings.REDIS_URL:
        cache.delete_many(wanted)
        return
    _surely(lambda: Tried.objects.filter(key__in=wanted).delete(), None)


def forget_old() -> bool:
    """Delete a slice of expired counts; True when there may be more."""
    old = Tried.objects.filter(until__lt=time.time()).order_by("until")
    keys = list(old.values_list("key", flat=True)[:SLICE])
    Tried.objects.filter(key__in=keys, until__lt=time.time()).delete()
    return len(keys) == SLICE


def _count_in_redis(key: str, seconds: int) -> int:
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key)
    except ValueError:  # the key expired in between, or Redis is away
        return 1


def _count(key: str, seconds: int) -> int:
    now = time.time()
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [key, now + seconds, now, now])
        return int(cursor.fetchone()[0])


def _write_down(key: str, until: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [key, until])


def _surely(ask: Callable[[], T], otherwise: T) -> T:
    """Return the result, or `otherwise` if the database fails or takes long. Each call is one
    statement: inside a caller's transaction, a savepoint keeps a failure from spoiling it.
    """
    alone = not connection.in_atomic_block
    try:
        with _patience(), nullcontext() if alone else transaction.atomic():
            return ask()
    except (DatabaseError, InterfaceError):
        return otherwise


@contextmanager
def _patience() -> Iterator[None]:
    """Shorten SQLite's wait of 20 s for whoever locks the file. PostgreSQL locks only the row."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE}")
        try:
            yield
        finally:
            usual = connection.settings_dict["OPTIONS"].get("timeout", 5)
            cursor.execute(f"PRAGMA busy_timeout = {int(usual * 1000)}")
