"""Shows that the periodic jobs run: whoever runs one records it in the database, at most every few seconds;
pages and /health/ready/ read it (health.py). A failed heartbeat never harms the job.
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

_here = threading.local()  # .job: the job that this thread is running
_lock = threading.Lock()
_written: dict[str, float] = {}  # job -> when this process wrote its last beat
_failed: dict[str, int] = {}  # job -> failures in a row not yet stored


def period() -> float:
    """Return the seconds between two heartbeats of one job."""
    return settings.SILENT_AFTER / 6


def watched(name: str, run: Callable[[], bool]) -> bool:
    """Run the job and record that it ran, or what error it raised. Raises that error again."""
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
    """Called from inside a long job to show that it is still running."""
    name = getattr(_here, "job", "")
    if name:
        _write(name, ok=False)


def _write(name: str, *, ok: bool) -> None:
    """Store a heartbeat if one is due. At the end of a good run, also store one if an earlier failure
    has to be cleared.
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
    """Store the first failure at once, later ones when a heartbeat is due."""
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
        except Error:  # the connection may be lost: try once more with a new one
            if connection.in_atomic_block:
                raise
            connection.close()
            _upsert(name, values)
    except Exception as error:  # noqa: BLE001 - the database may be away; the job will notice
        logger.warning("no heartbeat of %s: %s", name, type(error).__name__)


def _upsert(name: str, values: dict[str, object]) -> None:
    rows = Heartbeat.objects.filter(job=name)
    if not rows.update(**values):
        Heartbeat.objects.get_or_create(job=name)
        rows.update(**values)


def _key(name: str, ok: bool) -> str:
    return f"{name} ok" if ok else name
