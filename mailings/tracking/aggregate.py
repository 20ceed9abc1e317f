"""Counts clicks, a thousand at a time: the first click of each message, and the counts of its link, its
hour and its mailing. A thousand clicks are one transaction, so a click is counted once or not yet.

Order of locks: messages by id, then counters by mailing. Links and hours are changed only by code that
holds the counters of their mailing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, F, Q
from django.db.models.functions import TruncHour
from django.utils import timezone

from mailings.models import Click, ClickHour, Link, Message
from mailings.sending import bulk, ledger
from smsmail.jobs.set_aside import Work, in_halves, set_aside_ids

from . import classify

PROCESSING = Work("process_clicks", "click")
AT_ONCE = 1000
Kind = Click.Kind


class RawClick(NamedTuple):
    """A click as it was stored by the redirect."""

    id: int
    message: int
    mailing: int
    position: int
    at: datetime
    kind: str

    @property
    def by_person(self) -> bool:
        return self.kind == Kind.PERSON


@dataclass
class _Sums:
    """The sums that some clicks add to one mailing."""

    clicks: int = 0
    clicked: int = 0
    robots: int = 0
    links: "dict[str, Counter[int]]" = field(
        default_factory=lambda: {name: Counter() for name in ("clicks", "clicked", "robots")}
    )
    hours: "dict[str, Counter[datetime]]" = field(
        default_factory=lambda: {name: Counter() for name in ("clicks", "robots")}
    )


def aggregate_due() -> bool:
    """Periodic job: process up to AT_ONCE clicks. Returns True when there may be more."""
    due = Click.objects.filter(processed_at__isnull=True).exclude(
        id__in=set_aside_ids(PROCESSING.name)
    )
    # Without this query, SQLite would take a write lock every second.
    found = dict(due.order_by("id").values_list("id", "mailing_id")[:AT_ONCE])
    if found:
        in_halves(PROCESSING, list(found), _process_these, lambda click: f"mailing {found[click]}")
    return len(found) == AT_ONCE


def _process_these(ids: Sequence[int]) -> None:
    with transaction.atomic(durable=True):
        rows = Click.objects.filter(id__in=ids, processed_at__isnull=True).order_by("id")
        rows = rows.select_for_update(skip_locked=True, of=("self",), no_key=True)
        columns = ("id", "message_id", "mailing_id", "position", "at", "kind")
        batch = [RawClick(*row) for row in rows.values_list(*columns)]
        _process(batch)
        Click.objects.filter(id__in=[each.id for each in batch]).update(processed_at=timezone.now())


def reclassify(mailing_id: int) -> int:
    """Classify the processed clicks of one mailing again and update its figures. Returns how many clicks
    have changed.
    """
    with transaction.atomic():
        clicks = Click.objects.filter(mailing_id=mailing_id, processed_at__isnull=False)
        said = clicks.values_list("method", "user_agent", "signs", "kind").distinct()
        changes = [
            bulk.Judged(method, agent, signs, kind, now.value)
            for method, agent, signs, kind in said
            if (now := classify.kind_of(method, agent, signs)) != kind
        ]
        if not changes:
            return 0
        messages = sorted(set(clicks.values_list("message_id", flat=True)))
        bulk.lock_messages(messages)
        # Restricted to the locked messages: clicks of others may be processed at the same time.
        changed = bulk.judge_clicks(messages, changes)
        bulk.first_clicks_anew(messages)
        ledger.count_clicks_anew(mailing_id)
        _count_links_and_hours_anew(mailing_id)
    return changed


def count_anew(mailing_id: int) -> None:
    """Count all clicks of a mailing again from their rows. Call it in a transaction."""
    ledger.count_clicks_anew(mailing_id)
    _count_links_and_hours_anew(mailing_id)


def _process(batch: Sequence[RawClick]) -> None:
    """Set the first clicks of the messages, and add the clicks to the sums of their mailings."""
    earliest: dict[int, datetime] = {}
    for each in batch:
        if each.by_person:
            earliest[each.message] = min(each.at, earliest.get(each.message, each.at))
    # The lock waits for another worker that processes clicks of the same message at the same time, so
    # its clicks are seen here.
    held = _locked(earliest)
    known = set(
        Click.objects.filter(
            message_id__in=held, processed_at__isnull=False, kind=Kind.PERSON
        ).values_list("message_id", "position")
    )
    sums: dict[int, _Sums] = {}
    for each in batch:
        of_mailing = sums.setdefault(each.mailing, _Sums())
        pair = (each.message, each.position)
        _add(of_mailing, each, new=each.message in held and pair not in known)
        if each.by_person:
            known.add(pair)
    for mailing, first in held.values():
        sums[mailing].clicked += first is None
    bulk.set_first_clicks(
        [
            bulk.FirstClick(key, earliest[key])
            for key, (_mailing, first) in held.items()
            if first is None or earliest[key] < first
        ]
    )
    for mailing_id in sorted(sums):
        _write(mailing_id, sums[mailing_id])


def _locked(messages: Iterable[int]) -> dict[int, tuple[int, datetime | None]]:
    """Lock the messages in the order of their ids. Maps a message id to its mailing and first click."""
    rows = Message.objects.filter(id__in=messages).order_by("id").select_for_update(no_key=True)
    found = rows.values_list("id", "mailing_id", "first_click_at")
    return {key: (mailing, first) for key, mailing, first in found}


def _add(sums: _Sums, each: RawClick, *, new: bool) -> None:
    hour = each.at.replace(minute=0, second=0, microsecond=0)
    if not each.by_person:
        sums.robots += 1
        sums.links["robots"][each.position] += 1
        sums.hours["robots"][hour] += 1
        return
    sums.clicks += 1
    sums.links["clicks"][each.position] += 1
    sums.hours["clicks"][hour] += 1
    if new:
        sums.links["clicked"][each.position] += 1


def _write(mailing_id: int, sums: _Sums) -> None:
    """Add the sums to the counters, links and hours of the mailing."""
    # The counters come first, since their lock covers the links and hours. None: the mailing is gone.
    added_up = {"clicks": sums.clicks, "clicked": sums.clicked, "robots": sums.robots}
    if not ledger.count_clicks(mailing_id, **added_up):
        return
    for position in sorted(sums.links["clicks"] | sums.links["robots"]):
        added = {name: F(name) + counts[position] for name, counts in sums.links.items()}
        Link.objects.filter(mailing_id=mailing_id, position=position).update(**added)
    hours = sorted(sums.hours["clicks"] | sums.hours["robots"])
    ClickHour.objects.bulk_create(
        [ClickHour(mailing_id=mailing_id, hour=hour) for hour in hours], ignore_conflicts=True
    )
    for hour in hours:
        added = {name: F(name) + counts[hour] for name, counts in sums.hours.items()}
        ClickHour.objects.filter(mailing_id=mailing_id, hour=hour).update(**added)


def _count_links_and_hours_anew(mailing_id: int) -> None:
    rows = Click.objects.filter(mailing_id=mailing_id, processed_at__isnull=False)
    for link in Link.objects.filter(mailing_id=mailing_id).order_by("position"):
        of_link = rows.filter(position=link.position)
        by_people = of_link.filter(kind=Kind.PERSON)
        link.clicks = by_people.count()
        link.clicked = by_people.values("message").distinct().count()
        link.robots = of_link.exclude(kind=Kind.PERSON).count()
        link.save(update_fields=["clicks", "clicked", "robots"])
    ClickHour.objects.filter(mailing_id=mailing_id).delete()
    ClickHour.objects.bulk_create(
        ClickHour(mailing_id=mailing_id, hour=hour, clicks=clicks, robots=every - clicks)
        for hour, clicks, every in rows.annotate(hour=TruncHour("at", tzinfo=UTC))
        .order_by()
        .values("hour")
        .annotate(clicks=Count("pk", filter=Q(kind=Kind.PERSON)), every=Count("pk"))
        .values_list("hour", "clicks", "every")
    )
