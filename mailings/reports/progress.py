"""The progress of a launched mailing, for its page: until when it can be stopped, what waits where, and
what its messages have become. Reads only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from integrations.routing import routing
from integrations.routing.status import title_of
from mailings.audience import funnel
from mailings.audience.funnel import Funnel
from mailings.composing.forecast import SOON, keeps, provider_now
from mailings.composing.preview import service
from mailings.lifecycle import recall
from mailings.lifecycle.unknown_reasons import explanations
from mailings.models import Mailing
from mailings.restoration import decision
from mailings.sending import send_times
from mailings.sending.send_times import Waiting
from mailings.sending.timing import zone_words

from . import entry_figures, figures

State = Mailing.State


@dataclass(frozen=True, slots=True)
class Clock:
    """Until when a mailing can be stopped, and which messages wait where."""

    zone: str
    until: datetime | None  # everything can be taken back until then
    left: timedelta | None
    starts_at: datetime | None  # the set time, while it lies in the future
    holds: bool  # the messages wait here until that time, and not at the provider
    here: Waiting
    there: Waiting
    service: str
    recall: recall.RecallProgress
    can_recall: bool
    wave: bool  # the later waves wait for the result of the first
    funnel: Funnel | None  # as long as there are no messages

    @property
    def seconds_left(self) -> int | None:
        """The seconds until the mailing starts, if that is within SOON."""
        return int(self.left.total_seconds()) + 1 if self.left and self.left <= SOON else None

    @property
    def minutes_left(self) -> int | None:
        """The minutes until it starts, if that is later than SOON but within 12 hours."""
        if self.left is None or self.left <= SOON or self.left > timedelta(hours=12):
            return None
        return int(self.left.total_seconds()) // 60

    @property
    def soon(self) -> bool:
        """Is the start so near that the page must count seconds, or soon will?"""
        return self.left is not None and self.left <= SOON + timedelta(seconds=30)


NOTHING = Waiting(0, None, None)


def clock_of(mailing: Mailing) -> Clock:
    """Return the Clock of a launched mailing."""
    now = timezone.now()
    scheduled = mailing.state == State.SCHEDULED
    until = mailing.leaves_at if scheduled else None
    to_come = mailing.starts_at if mailing.starts_at and mailing.starts_at > now else None
    # A provider keeps messages only of mailings with a set time.
    timed = mailing.starts_at is not None and mailing.state != State.SCHEDULED
    there = _bounded(send_times.scheduled_at_provider(mailing), mailing) if timed else NOTHING
    here = send_times.waiting_here(mailing) if mailing.state in Mailing.RUNNING else NOTHING
    account = routing.current()
    return Clock(
        zone=zone_words(until or to_come or now, timezone.get_current_timezone()),
        until=until,
        left=max(until - now, timedelta(0)) if until else None,
        starts_at=to_come,
        holds=to_come is not None and not keeps(mailing, provider_now(), now),
        here=here,
        there=there,
        service=title_of(account) if account else "",
        recall=recall.progress(mailing) if timed else recall.RecallProgress(),
        can_recall=bool(there.messages) and recall.can_recall(mailing),
        wave=_waits_for_wave(mailing),
        funnel=funnel.recent(mailing) if scheduled else None,
    )


def _waits_for_wave(mailing: Mailing) -> bool:
    if not mailing.first_wave or mailing.wave_passed_at or mailing.state not in Mailing.RUNNING:
        return False
    return mailing.batches.waiting().filter(wave__gt=0).exists()


def _bounded(scheduled: Waiting, mailing: Mailing) -> Waiting:
    """Limit the number to the messages that are still open: others of the batches were refused, or given
    back.
    """
    counters = mailing.counters
    messages = min(scheduled.messages, counters.accepted + counters.unknown)
    return Waiting(messages, scheduled.first, scheduled.last)


def progress(row: Mailing) -> dict[str, Any]:
    """Return the template context of the live part of the page."""
    counters, clock = row.counters, clock_of(row)
    told = explanations(row) if counters.unknown else []
    return {
        "counters": counters,
        "questions": sum(each.count for each in told if each.decide),
        "asking": sum(each.count for each in told if not each.decide),
        "explanations": told,
        "figures": figures.figures(counters, scheduled=clock.there.messages),
        "share": figures.percent(counters.gone, counters.to_send),
        "over": figures.is_over(row),
        "trouble": row.trouble_about,
        "held": decision.notice().held,
        "watching": entry_figures.watching(row) if row.watches else None,
        "clock": clock,
        **why(row),
        **service(),
    }


def why(row: Mailing) -> dict[str, Any]:
    """Return the reasons of failed and skipped messages, as template context."""
    counters = row.counters
    return {
        "errors": figures.reasons(row, figures.ERROR) if counters.failed else [],
        "skipped": figures.reasons(row, figures.SKIPPED) if counters.skipped else [],
    }
