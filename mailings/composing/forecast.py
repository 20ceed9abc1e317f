"""Forecasts for the pages of a draft when a mailing would leave: the scheduled time, quiet hours by
time zone, and whether the provider would hold it. Read-only.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Max, Min
from django.db.models.functions import Substr
from django.utils import timezone

from integrations.providers.base import Provider
from integrations.routing import routing
from mailings.audience import audience
from mailings.audience.spec import AudienceSpec
from mailings.models import Mailing, Policy
from mailings.sending import send_times
from mailings.sending.timing import QuietHours, forms_at, zone_named, zone_words
from users.parsing.phone_zones import LONGEST, SHORTEST, tells, zone_of
from users.segments.big_queries import TakesLong, over_everybody
from users.segments.rules import BadRule

from .preview import Preview

RECENT = 30  # seconds for which the zones of people are cached
SOON = timedelta(minutes=2)
DEEPER = (SHORTEST, SHORTEST + 1, SHORTEST + 3, LONGEST)  # lengths of phone prefixes

State = Mailing.State


@dataclass(frozen=True, slots=True)
class Later:
    """People for whom it is night at the scheduled time, and when they get it."""

    at: datetime
    people: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """The effect of quiet hours on a mailing."""

    hours: QuietHours
    now: int  # people who get it at its time
    later: list[Later] = field(default_factory=list)
    too_late: int = 0  # its lifetime ends before their quiet hours do
    guessed: int = 0  # neither profile nor phone tells their zone: the account's applies
    guessed_zone: str = ""


class Schedule:
    """What would happen if the mailing were launched now, for templates."""

    def __init__(self, mailing: Mailing, spec: AudienceSpec, will_receive: int) -> None:
        self.mailing = mailing
        self.now = timezone.now()
        self.policy = Policy.current()
        self.countdown = self.policy.countdown
        self.starts_at = mailing.starts_at
        early = timedelta(hours=self.policy.early_hours)
        seconds = timedelta(seconds=self.countdown)
        self.forms_at = forms_at(self.now, seconds, mailing.starts_at, early)
        self.early_hours = self.policy.early_hours
        provider = provider_now()
        self.keeps = keeps(mailing, provider, self.now)
        self.validity = provider.validity if provider else None
        self.quiet = self._quiet(spec, will_receive)
        # Approximate: a person who shares a phone with people in other zones may still get it.
        self.receivers = max(will_receive - (self.quiet.too_late if self.quiet else 0), 0)
        self.price = Decimal(0)  # for the receivers; schedule_of() sets it

    @property
    def watches(self) -> bool:
        return self.mailing.when == Mailing.When.ON_ENTRY

    @property
    def zone(self) -> str:
        return zone_words(self.starts_at or self.now, timezone.get_current_timezone())

    @property
    def passed(self) -> bool:
        return self.starts_at is not None and self.starts_at <= self.now

    @property
    def late(self) -> bool:
        """Return whether less time is left than a big mailing may take."""
        if self.starts_at is None or self.passed:
            return False
        return self.starts_at - self.now < timedelta(hours=self.early_hours)

    @property
    def in_waves(self) -> bool:
        return bool(self.mailing.first_wave or self.mailing.first_percent)

    @property
    def too_short(self) -> int:
        """Return the provider's shortest lifetime in minutes, if it is longer than the one wanted;
        else 0.
        """
        minutes = self.mailing.valid_minutes
        return self.validity[0] if self.validity and minutes and minutes < self.validity[0] else 0

    @property
    def no_lifetime(self) -> bool:
        return bool(self.mailing.valid_minutes) and self.validity is None

    def _quiet(self, spec: AudienceSpec, will_receive: int) -> Quiet | None:
        hours = send_times.quiet_hours(self.mailing)
        if hours is None or self.watches or not will_receive:
            return None
        try:
            with over_everybody(spec.patience):
                zones = people_by_zone(spec)
        except TakesLong:
            return None
        begins = max(self.now, self.starts_at or self.now)
        ends = None
        if self.mailing.valid_minutes:
            ends = begins + timedelta(minutes=self.mailing.valid_minutes)
        later: Counter[datetime] = Counter()
        too_late = 0
        for zone, people in zones.items():
            at = send_times.awake(begins, zone or settings.TIME_ZONE, hours)
            if ends is not None and at >= ends:
                too_late += people
            elif at > begins:
                later[at] += people
        waiting = sum(later.values()) + too_late
        return Quiet(
            hours,
            now=max(will_receive - waiting, 0),
            later=[Later(at, people) for at, people in sorted(later.items())],
            too_late=too_late,
            guessed=zones.get("", 0),
            guessed_zone=settings.TIME_ZONE,
        )


def schedule_of(mailing: Mailing, preview: Preview) -> Schedule:
    """Return the schedule for the people of the preview."""
    schedule = Schedule(mailing, preview.spec, preview.people)
    schedule.price = preview.price
    if schedule.receivers < preview.people:  # messages that would be too late cost nothing
        schedule.price *= Decimal(schedule.receivers) / preview.people
    return schedule


def people_by_zone(spec: AudienceSpec) -> dict[str, int]:
    """Return zone -> number of people who get the mailing; '' if nothing tells the zone. It takes a
    few queries, whatever the number of people: by the zone of the profile, then by phone prefixes.
    """
    key = spec.key("zones")
    found: dict[str, int] | None = cache.get(key)
    if found is None:
        try:
            found = dict(_counted(spec))
        except BadRule:
            found = {}
        cache.set(key, found, RECENT)
    return found


def _counted(spec: AudienceSpec) -> Counter[str]:
    people: Counter[str] = Counter()
    fit = audience.eligible(spec).order_by()
    untold = []
    for zone, n in fit.values_list("time_zone").annotate(Count("phone", distinct=True)):
        if zone_named(zone):
            people[zone] += n
        else:
            untold.append(zone)
    if not untold:
        return people
    rest = fit.filter(time_zone__in=untold)
    for length in DEEPER:
        begun = rest.annotate(begin=Substr("phone", 1, length)).values_list("begin")
        deeper = []
        for begin, n, least, greatest in begun.annotate(
            Count("phone", distinct=True), Min("phone"), Max("phone")
        ):
            if length == LONGEST or tells(begin, least, greatest):
                people[zone_of(least)] += n
            else:
                deeper.append(begin)
        if not deeper:
            break
        rest = rest.annotate(**{f"to_{length}": Substr("phone", 1, length)}).filter(
            **{f"to_{length}__in": deeper}
        )
    return people


def keeps(mailing: Mailing, provider: Provider | None, now: datetime) -> bool:
    """Return whether the provider will hold it until the scheduled time."""
    if mailing.starts_at is None or provider is None:
        return False
    early = mailing.hand_over == Mailing.HandOver.EARLY
    return early and provider.can_schedule(max(mailing.starts_at, now))


def provider_now() -> Provider | None:
    account = routing.current()
    return routing.provider_of(account) if account else None
