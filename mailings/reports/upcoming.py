"""Collects what is going to be sent: mailings with a time, by day, mailings that watch their rule, and
mailings that wait for a person. Reads only. It sums up batches, so a few queries are enough for any
number of messages.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from integrations.reasons import About, Reason
from mailings.models import Batch, Mailing
from mailings.models.mailing import MailingQuerySet

State = Mailing.State
OPEN = [*Mailing.STOPPABLE, State.SETTLING, State.CANCELLED]
LIMIT = 300  # lines of each kind; a longer calendar is of no use


@dataclass(frozen=True, slots=True)
class UpcomingSend:
    """Messages of a mailing that leave at one time. count: how many of them exist; None if the list
    is not formed yet. at_service: they were submitted, and the provider keeps them until then.
    """

    at: datetime
    mailing: Mailing
    count: int | None = None
    at_service: bool = False


@dataclass(frozen=True, slots=True)
class SendDay:
    """A day of the calendar."""

    day: date
    lines: list[UpcomingSend]


@dataclass(frozen=True, slots=True)
class PausedMailing:
    """A paused mailing, with the reason if it was paused automatically."""

    mailing: Mailing
    about: About | None


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Everything that is going to be sent."""

    days: list[SendDay]
    watching: list[Mailing]
    awaiting: list[Mailing]
    paused: list[PausedMailing]

    @property
    def empty(self) -> bool:
        """Is nothing going to be sent?"""
        return not (self.days or self.watching or self.awaiting or self.paused)


def upcoming() -> Upcoming:
    """Collect what is going to be sent, at most LIMIT lines of each kind."""
    rows = Mailing.objects.listed().order_by("id")
    return Upcoming(
        days=_by_day([*_to_begin(rows), *_batches()]),
        watching=list(_with_people(rows.watching())[:LIMIT]),
        awaiting=list(rows.filter(state=State.AWAITING).select_related("asked_by")[:LIMIT]),
        paused=[_paused(each) for each in rows.filter(state=State.PAUSED)[:LIMIT]],
    )


def _with_people(rows: QuerySet[Mailing]) -> QuerySet[Mailing]:
    """Prefetch what the template to_whom.html uses."""
    return rows.select_related("segment").prefetch_related("groups")


def _to_begin(rows: MailingQuerySet) -> Iterable[UpcomingSend]:
    """Yield a line for each mailing whose list is not formed yet: at its set time, or at the end of the
    countdown.
    """
    waiting = rows.scheduled().exclude(starts_at=None, leaves_at=None)
    for mailing in waiting[:LIMIT]:
        at = mailing.starts_at or mailing.leaves_at
        if at is not None:
            yield UpcomingSend(at, mailing)


def _batches() -> Iterable[UpcomingSend]:
    """Yield lines for batches that leave later, by mailing and time: held here, or kept by the
    provider.
    """
    now = timezone.now()
    batches = Batch.objects.of_campaigns()
    waiting = batches.waiting().filter(Q(not_before__gt=now) | Q(send_at__gt=now))
    waiting = waiting.exclude(mailing__state__in=[State.PAUSED, State.CANCELLED])
    moment = Greatest("not_before", Coalesce("send_at", "not_before"))
    yield from _lines(waiting.annotate(moment=moment), at_service=False)
    # The provider keeps nothing of a finished mailing. This condition narrows the search, since batches
    # have no index on send_at.
    scheduled = batches.scheduled_at_provider().filter(
        mailing__state__in=OPEN, mailing__finished_at__isnull=True
    )
    yield from _lines(scheduled.annotate(moment=F("send_at")), at_service=True)


def _lines(batches: "QuerySet[Any]", *, at_service: bool) -> Iterable[UpcomingSend]:
    sums: Any = batches.values("mailing", "moment").annotate(n=Sum("size")).order_by("moment")
    found = list(sums[:LIMIT])
    by_id = Mailing.objects.in_bulk({each["mailing"] for each in found})
    for each in found:
        yield UpcomingSend(each["moment"], by_id[each["mailing"]], each["n"], at_service)


def _by_day(lines: list[UpcomingSend]) -> list[SendDay]:
    """Group the lines by day, in the default time zone."""
    lines.sort(key=lambda line: (line.at, line.mailing.pk))
    return [SendDay(day, list(some)) for day, some in groupby(lines, key=_day)]


def _day(line: UpcomingSend) -> date:
    return timezone.localdate(line.at, timezone.get_default_timezone())


def _paused(mailing: Mailing) -> PausedMailing:
    known = mailing.trouble in set(Reason)
    return PausedMailing(mailing, Reason(mailing.trouble).about if known else None)
