"""How often something was tried lately, over all processes: in Redis where there is one, else in a
table. What cannot be counted at this moment is not counted; nobody is turned away for that.
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

PATIENCE = 2000  # milliseconds: a locked table holds up nobody who is only counted
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
    """A key that tells nothing: e-mails and networks do not stand in the table or in Redis."""
    return salted_hmac("smsmail.web.rate_limit", "\0".join(parts), algorithm="sha256").hexdigest()[
        :40
    ]


def tries(key: str, seconds: int) -> int:
    """This one included; counted anew when so many seconds have passed since the first."""
    if settings.REDIS_URL:
        return _count_in_redis(key, seconds)
    return _surely(lambda: _count(key, seconds), 1)


def hold(key: str, seconds: int) -> None:
    """Not again before so many seconds have passed."""
    until = time.time() + seconds
    if settings.REDIS_URL:
        cache.set(key, until, seconds)
        return
    _surely(lambda: _write_down(key, until), None)


def held(keys: Iterable[str]) -> dict[str, float]:
    """Those that hold, and until when (seconds since 1970)."""
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
    """A slice of what counts no more; True when there may be more of it."""
    old = Tried.objects.filter(until__lt=time.time()).order_by("until")
    keys = list(old.values_list("key", flat=True)[:SLICE])
    Tried.objects.filter(key__in=keys, until__lt=time.time()).delete()
    return len(keys) == SLICE


def _count_in_redis(key: str, seconds: int) -> int:
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key)
    except ValueError:  # it ended between the two, or Redis is away
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
    """Without an error, whatever the database does, and not after long. One statement each: inside a
    transaction of others a savepoint keeps a failure from spoiling it.
    """
    alone = not connection.in_atomic_block
    try:
        with _patience(), nullcontext() if alone else transaction.atomic():
            return ask()
    except (DatabaseError, InterfaceError):
        return otherwise


@contextmanager
def _patience() -> Iterator[None]:
    """SQLite would wait for 20 s for whoever holds the file. PostgreSQL locks no more than the row."""
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
