"""Sets failing items aside: an item that a job cannot process is stored with the reason and tried again after
growing pauses, while the others go on. It is kept in the database, so that all workers know.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple, TypeVar

from django.apps import apps
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from smsmail.models import LONGEST, SetAside

from . import heartbeat

T = TypeVar("T")
logger = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=10)  # doubled after each failure, up to LONGEST


class Thing(NamedTuple):
    """An item that a job processes: its id, and the page that shows its failure."""

    id: int
    about: str = ""


class Work(NamedTuple):
    """Which job sets aside, and which kind of item, as in "prepare", "mailing"."""

    name: str
    kind: str = "mailing"

    def about(self, thing: Thing) -> str:
        return thing.about or f"{self.kind} {thing.id}"


def set_aside_ids(*jobs: str) -> "QuerySet[SetAside, int]":
    """Return the ids of items set aside, as a subquery for another query. It runs no query by
    itself.
    """
    ids: QuerySet[SetAside, int] = SetAside.objects.resting(*jobs).values_list("item_id", flat=True)
    return ids


def one_by_one(job: Work, things: Iterable[Thing], treat: Callable[[int], object | None]) -> bool:
    """Process each item, catching its errors separately. True when any of them has more to do.

    treat manages its own transactions, so that a failing item leaves nothing half done.
    """
    known: dict[int, SetAside] | None = None
    more = False
    for thing in things:
        if known is None:  # one query for all items, none if there are no items
            known = _known(job)
        before = known.get(thing.id)
        if before is not None and _rests(before):
            continue
        more = _treat(job, thing, treat, before) or more
        heartbeat.beat()
    return more


def attempt(job: Work, thing: Thing, treat: Callable[[], T]) -> T | None:
    """Process one item that another query found. None if it was set aside; that query must then exclude
    it with set_aside_ids().
    """
    try:
        return treat()
    except Exception as error:
        if is_outage(error):
            raise
        put(job, thing, error)
        return None


def in_halves(
    job: Work,
    ids: Sequence[int],
    treat: Callable[[Sequence[int]], object],
    about: Callable[[int], str] = lambda _id: "",
) -> None:
    """Process many items in one statement. If that fails, process each half separately, and so on
    down to the failing item, which is set aside. treat runs in its own transaction.
    """
    try:
        treat(ids)
    except Exception as error:
        if is_outage(error):
            raise
        heartbeat.beat()
        if len(ids) == 1:
            put(job, Thing(ids[0], about(ids[0])), error)
        elif ids:
            middle = len(ids) // 2
            in_halves(job, ids[:middle], treat, about)
            in_halves(job, ids[middle:], treat, about)
    else:
        recovered(job, ids)


def recovered(job: Work, ids: Sequence[int]) -> None:
    """These items were processed: clear their entries."""
    treated = set(ids)
    for row in SetAside.objects.filter(job=job.name, kind=job.kind) if treated else ():
        if row.item_id in treated:
            _over(row)


def put(job: Work, thing: Thing, error: Exception) -> SetAside:
    """Set the item aside, again if it is already. Only the first of its kind on a page gets an
    audit event and a traceback in the log, because a thousand may follow it.
    """
    now = timezone.now()
    alone = not _like(job.name, job.about(thing)).exists()
    logger.error(
        "%s failed at %s %s: %s",
        *(job.name, job.kind, thing.id, type(error).__name__),
        exc_info=error if alone else None,
    )
    with transaction.atomic():
        row, new = SetAside.objects.select_for_update().get_or_create(
            job=job.name,
            kind=job.kind,
            item_id=thing.id,
            defaults={
                "about": job.about(thing),
                "error": type(error).__name__,
                "first_at": now,
                "next_try_at": now + FIRST_PAUSE,
            },
        )
        if new and alone:
            _audit("set_aside", row, error=row.error)
        elif not new:
            row.next_try_at = now + min(FIRST_PAUSE * 2 ** min(row.failures, 20), LONGEST)
            row.failures += 1
            row.error = type(error).__name__
            row.save(update_fields=["next_try_at", "failures", "error"])
    return row


def is_outage(error: Exception) -> bool:
    """True if the database failed, not the item. Then the whole job waits and tries again. A statement
    that is too big for the database or exceeds its time limit is the item's own fault.
    """
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or ""
    too_big = state.startswith("54") or state == "57014"  # program limit; query cancelled
    return not (too_big or getattr(cause, "sqlite_errorname", "") == "SQLITE_ERROR")


def _treat(
    job: Work, thing: Thing, treat: Callable[[int], object | None], before: SetAside | None
) -> bool:
    try:
        more = bool(treat(thing.id))
    except Exception as error:
        if is_outage(error):
            raise
        put(job, thing, error)
        return False
    if before is not None:
        _over(before)
    return more


def _known(job: Work) -> dict[int, SetAside]:
    rows = SetAside.objects.filter(job=job.name, kind=job.kind)
    return {row.item_id: row for row in rows}


def _rests(row: SetAside) -> bool:
    return timedelta(0) < row.next_try_at - timezone.now() <= LONGEST


def _over(row: SetAside) -> None:
    with transaction.atomic():
        gone = SetAside.objects.filter(pk=row.pk).delete()[0]
        if gone and not _like(row.job, row.about).exists():
            _audit("set_aside_over", row, failures=row.failures)


def _like(job: str, about: str) -> QuerySet[SetAside]:
    return SetAside.objects.filter(job=job, about=about)


def _audit(what: str, row: SetAside, **details: object) -> None:
    """Does what users.models.audit() does, which this module may not import: it lies below all
    apps.
    """
    events = apps.get_model("users", "AuditEvent")
    told = {"job": row.job, "kind": row.kind, "item": row.item_id, **details}
    events._default_manager.create(by=None, what=what, target=row.about, details=told)
