"""Do the clock's jobs run? Whoever runs one says so in the database, every few seconds at most; pages and
/health/ready/ read it (health.py). A heartbeat that cannot be written never harms the job.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from smsmail.models import Heartbeat

logger = logging.getLogger(__name__)

_here = threading.local()  # .job: what this thread is at
_lock = threading.Lock()
_written: dict[str, float] = {}  # job -> when this process wrote its last beat
_failed: dict[str, int] = {}  # job -> failures in a row that are not written down yet


def period() -> float:
    """Seconds between two beats of one job."""
    return settings.SILENT_AFTER / 6


def watched(name: str, run: Callable[[], bool]) -> bool:
    """Run the job, and write down that it ran, or what kept it from running."""
    _here.job = name
    try:
        more = run()
    except Exception as error:
        _write_failure(name, error)
        raise
    finally:
        _here.job = ""
    _write(name, ok=True)
    return more


def beat() -> None:
    """From inside of a job that takes long: it is still at it."""
    name = getattr(_here, "job", "")
    if name:
        _write(name, ok=False)


def _write(name: str, *, ok: bool) -> None:
    """The process remembers when it wrote; a long run that ends well writes at its end again only when
    it is time, or when a failure is to be taken back.
    """
    with _lock:
        now = time.monotonic()
        due = now - _written.get(_key(name, ok), -1e9) >= period()
        healed = ok and name in _failed
        if not due and not healed:
            return
        _written[_key(name, ok)] = now
        if ok:
            _written[_key(name, False)] = now
            _failed.pop(name, None)
    values: dict[str, object] = {"beat_at": Now()}
    if ok:
        values |= {"ok_at": Now(), "failures": 0, "failing_since": None, "error": ""}
    _save(name, values)


def _write_failure(name: str, error: Exception) -> None:
    """The first at once, those that follow when it is time."""
    with _lock:
        first = name not in _failed
        _failed[name] = _failed.get(name, 0) + 1
        now = time.monotonic()
        if not first and now - _written.get(_key(name, False), -1e9) < period():
            return
        count, _failed[name] = _failed[name], 0
        _written[_key(name, False)] = now
    _save(
        name,
        {
            "beat_at": Now(),
            "failed_at": Now(),
            "failing_since": Coalesce(F("failing_since"), Now()),
            "failures": F("failures") + count,
            "error": type(error).__name__,
        },
    )


def _save(name: str, values: dict[str, object]) -> None:
    try:
        try:
            _upsert(name, values)
        except Error:  # a connection that was lost: once more with a new one
            if connection.in_atomic_block:
                raise
            connection.close()
            _upsert(name, values)
    except Exception as error:  # noqa: BLE001 - the database may be away: that is the job's to notice
        logger.warning("no heartbeat of %s: %s", name, type(error).__name__)


def _upsert(name: str, values: dict[str, object]) -> None:
    rows = Heartbeat.objects.filter(job=name)
    if not rows.update(**values):
        Heartbeat.objects.get_or_create(job=name)
        rows.update(**values)


def _key(name: str, ok: bool) -> str:
    return f"{name} ok" if ok else name
