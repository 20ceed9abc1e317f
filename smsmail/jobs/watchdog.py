"""Checks whether the periodic jobs are done, from their heartbeats and from what is due. Used by the banner
on every staff page (templatetags/work.py) and by /health/ready/. Only reads.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet, Subquery
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone

from smsmail.models import Heartbeat

from .periodic import PERIODIC_JOBS, Job

# When this process started: before a first heartbeat, silence counts from then.
STARTED = time.monotonic()
MANY = 3  # failures in a row; an outage of a second is over sooner
# How long something may be due although its job runs, in multiples of SILENT_AFTER: a mailing starts at once,
# receipts may come faster than they are processed. Jobs that a rate limit or a slow provider holds up may
# wait for hours and are left out.
WAITS_AT_MOST = {"start": 1, "process_receipts": 10, "process_clicks": 10}
SENDING = frozenset({"start", "prepare", "hand_over"})

# Returns since when the oldest item of a job has been due: a query of one column and at most one
# row.
Due = Callable[[], "QuerySet[Any, datetime]"]
_due: dict[str, Due] = {}


def ask_about_due(job: str, due: Due) -> None:
    """Register the query for what is due. An app calls this for a job of its own."""
    _due[job] = due


@dataclass(frozen=True, slots=True)
class UndoneJob:
    """A job that is not done."""

    job: str
    since: datetime | None  # its last heartbeat, or since when it fails; None: never seen
    error: str = ""  # the error it fails with; '': it does not run
    waits: bool = False  # it runs, but something has been due for long


@dataclass(frozen=True, slots=True)
class WorkState:
    """Which periodic jobs are not done."""

    troubles: list[UndoneJob] = field(default_factory=list)
    now: datetime = field(default_factory=timezone.now)  # by the database's clock

    @property
    def silent(self) -> list[UndoneJob]:
        return [each for each in self.troubles if not each.error and not each.waits]

    @property
    def failing(self) -> list[UndoneJob]:
        return [each for each in self.troubles if each.error]

    @property
    def waiting(self) -> list[UndoneJob]:
        return [each for each in self.troubles if each.waits]

    @property
    def since(self) -> datetime | None:
        """The last heartbeat of all silent jobs."""
        seen = [each.since for each in self.silent if each.since is not None]
        return max(seen, default=None)

    @property
    def nobody(self) -> bool:
        """True if no job runs at all."""
        return len(self.silent) == len(PERIODIC_JOBS)

    @property
    def nothing_is_sent(self) -> bool:
        return any(each.job in SENDING for each in self.silent + self.failing)


def state_of_work() -> WorkState:
    """Return the state with one query; a few more while a job has never been seen."""
    due = {f"due_{job}": Subquery(_due[job]()) for job in WAITS_AT_MOST if job in _due}
    found: dict[str, Any] = {row.job: row for row in Heartbeat.objects.annotate(now=Now(), **due)}
    waiting = oldest_due() if any(job.name not in found for job in PERIODIC_JOBS) else {}
    now = next((row.now for row in found.values()), timezone.now())
    troubles = [
        _of(job, found[job.name], now)
        if job.name in found
        else _never_seen(job, waiting.get(job.name), now)
        for job in PERIODIC_JOBS
    ]
    return WorkState([each for each in troubles if each is not None], now)


def states(found: WorkState) -> dict[str, str]:
    """Return one word for each job: ok, silent, failing or waiting."""
    words = dict.fromkeys((job.name for job in PERIODIC_JOBS), "ok")
    for each in found.troubles:
        words[each.job] = "failing" if each.error else "waiting" if each.waits else "silent"
    return words


def state_for(request: HttpRequest | None) -> WorkState:
    """Return the state, read only once for each request."""
    if request is None:
        return state_of_work()
    found: WorkState | None = getattr(request, "_verdict", None)
    if found is None:
        found = state_of_work()
        request._verdict = found  # type: ignore[attr-defined]
    return found


def oldest_due() -> dict[str, datetime]:
    """Map each job to since when its oldest item has been due; jobs with nothing to do are left out."""
    found = {job: due().first() for job, due in _due.items()}
    return {job: at for job, at in found.items() if at is not None}


def _of(job: Job, row: Any, now: datetime) -> UndoneJob | None:
    age = now - row.beat_at
    if age > timedelta(seconds=job.silent_after):
        return UndoneJob(job.name, row.beat_at)
    # A time in the future was written before the clock was set back; a live worker replaces it in a
    # moment.
    if age < -_limit():
        return UndoneJob(job.name, None)
    if row.failures >= MANY:
        return UndoneJob(job.name, row.failing_since, row.error)
    due = getattr(row, f"due_{job.name}", None)
    if due is not None and now - due > WAITS_AT_MOST[job.name] * _limit():
        return UndoneJob(job.name, due, waits=True)
    return None


def _never_seen(job: Job, due: datetime | None, now: datetime) -> UndoneJob | None:
    up = time.monotonic() - STARTED
    waits = due is not None and now - due > _limit()
    return UndoneJob(job.name, None) if waits or up > job.silent_after else None


def _limit() -> timedelta:
    return timedelta(seconds=settings.SILENT_AFTER)
