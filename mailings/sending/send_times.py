"""Decides when a batch may leave: its set time, quiet hours in the zone of its people, its lifetime and
its wave. Send windows are planned when messages are prepared and checked again at the claim, since a batch
may have waited long in between.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Min, QuerySet, Sum
from django.db.models.functions import Greatest
from django.utils import timezone

from integrations.models import Account
from integrations.providers.base import Provider
from mailings.models import Batch, Counters, Mailing, Message, Policy
from smsmail.jobs.moments import beyond
from users.parsing.phone_zones import zone_of

from .timing import QuietHours, zone_named

HELD_AT_ONCE = 500  # batches
LONGEST_NIGHT = timedelta(
    hours=26
)  # quiet hours are shorter than a day, also when the clocks change


class HasZone(Protocol):
    """The fields of a person from which their zone follows."""

    @property
    def phone(self) -> str: ...
    @property
    def time_zone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The columns of a Batch that determine when it leaves."""

    not_before: datetime
    send_at: datetime | None = None
    expires_at: datetime | None = None
    zone: str = ""
    wave: int = 0

    @classmethod
    def of(cls, batch: Batch) -> "SendWindow":
        """Return the send window of a batch, for its messages that are sent again."""
        return cls(batch.not_before, batch.send_at, batch.expires_at, batch.zone, batch.wave)

    @classmethod
    def waiting_here(cls, batch: Batch) -> "SendWindow":
        """Return a send window that arrives at the same time, but waits here and not at the provider."""
        return cls(cls.of(batch).arrives, None, batch.expires_at, batch.zone, batch.wave)

    @property
    def arrives(self) -> datetime:
        """Return the earliest time at which the messages reach the phones."""
        return max(self.not_before, self.send_at or self.not_before)

    @property
    def too_late(self) -> bool:
        """Is the lifetime over before the messages arrive?"""
        return self.expires_at is not None and self.expires_at <= self.arrives


class Plan:
    """Plans the send windows of a mailing's people while it is prepared. Reads only."""

    def __init__(self, mailing: Mailing, now: datetime) -> None:
        self.mailing = mailing
        self.now = now
        self.quiet = quiet_hours(mailing)
        self.begins = max(now, mailing.starts_at or now)
        self.expires_at = None
        if mailing.valid_minutes:
            self.expires_at = self._born + timedelta(minutes=mailing.valid_minutes)
        self.first_left = self._first_left()
        self._known: dict[tuple[str, int], SendWindow] = {}

    def of(self, person: HasZone) -> SendWindow:
        """Return the send window of the next person. A person who would get the message too late does not
        use up a place in the first wave.
        """
        zone = zone_for(person) if self.quiet else ""
        wave = 1 if self.mailing.first_wave and not self.first_left else 0
        send_window = self._send_window(zone, wave)
        if self.first_left and not send_window.too_late:
            self.first_left -= 1
        return send_window

    def _send_window(self, zone: str, wave: int) -> SendWindow:
        if (zone, wave) not in self._known:
            at = awake(self.begins, zone, self.quiet)
            # The provider may keep messages until the set time. Messages that wait only for the end of
            # quiet hours always wait here.
            early = (
                self.mailing.starts_at is not None
                and self.mailing.hand_over == Mailing.HandOver.EARLY
                and at > self.now
            )
            not_before, send_at = (self.now, at) if early else (at, None)
            send_window = SendWindow(not_before, send_at, self.expires_at, zone, wave)
            self._known[zone, wave] = send_window
        return self._known[zone, wave]

    @property
    def _born(self) -> datetime:
        """Return the time from which the lifetime counts. It is the same for all people of a mailing,
        except one that watches its rule: there it is the time at which each person is taken in.
        """
        if self.mailing.when == Mailing.When.ON_ENTRY:
            return self.begins
        left = self.mailing.leaves_at or self.mailing.launched_at or self.now
        return max(left, self.mailing.starts_at or left)

    def _first_left(self) -> int:
        if not self.mailing.first_wave:
            return 0
        counters = Counters.objects.filter(mailing=self.mailing.pk).first()
        return max(self.mailing.first_wave - (counters.to_send if counters else 0), 0)


class Leave(Enum):
    """What a claim does with a batch."""

    GO = "go"
    HELD = "held"  # the batch, and all those like it, may not leave before a later time
    TOO_LATE = "too late"


def may_leave(batch: Batch, provider: Provider, now: datetime) -> Leave:
    """Decide whether a locked batch may leave now, and delay it if not. With GO, batch.send_at is set to
    the time until which the provider is to keep the messages, or to None.
    """
    quiet = _quiet(Policy.current()) if batch.zone else None
    at = awake(max(now, batch.send_at or now), batch.zone, quiet)
    if batch.expires_at is not None and batch.expires_at <= at:
        return Leave.TOO_LATE
    if at <= now:
        batch.send_at = None
    elif batch.send_at is not None and provider.can_schedule(at):
        batch.send_at = at
    else:
        _hold(batch, now, until=at)
        return Leave.HELD
    return Leave.GO


def _hold(batch: Batch, now: datetime, until: datetime) -> None:
    """Delay the batch, and up to HELD_AT_ONCE others that are held for the same reason. Otherwise claim
    after claim would delay them one by one.
    """
    like_it = Batch.objects.waiting().filter(
        mailing=batch.mailing_id,
        zone=batch.zone,
        send_at=batch.send_at,
        not_before__lte=now,
    )
    # Batches that another worker has locked are left to the next claim.
    locked = like_it.select_for_update(skip_locked=True, of=("self",), no_key=True).order_by("id")
    ids = {batch.id, *locked.values_list("id", flat=True)[:HELD_AT_ONCE]}
    Batch.objects.filter(id__in=ids).update(not_before=until)


def keep_here(mailing_id: int) -> None:
    """Hold waiting batches of the mailing here until their set time, because the provider does not take
    it: up to HELD_AT_ONCE of them, and not one by one. Batches that another worker has locked get the
    same answer from the provider.
    """
    timed = Batch.objects.waiting().filter(mailing=mailing_id, send_at__isnull=False)
    with transaction.atomic():
        locked = timed.select_for_update(skip_locked=True, of=("self",), no_key=True)
        ids = list(locked.order_by("id").values_list("id", flat=True)[:HELD_AT_ONCE])
        Batch.objects.filter(id__in=ids).update(
            not_before=Greatest("not_before", "send_at"), send_at=None
        )


def plan_anew(batches: QuerySet[Batch], mailing: Mailing, now: datetime) -> None:
    """Bring forward waiting batches that leave later than the set time and the quiet hours of their zone
    require: a wrong clock may have planned them.
    """
    quiet = _quiet(Policy.current())
    kinds = batches.order_by().values_list("zone", "send_at", "not_before").distinct()
    for zone, send_at, not_before in list(kinds):
        begins = max(now, mailing.starts_at or now, send_at or now)
        latest = awake(begins, zone, quiet if zone else None)
        if beyond(not_before, latest - now, now):
            like_it = batches.filter(zone=zone, send_at=send_at, not_before=not_before)
            like_it.update(not_before=latest)


# --- quiet hours ------------------------------------------------------------------------------
def quiet_hours(mailing: Mailing) -> QuietHours | None:
    """Return the quiet hours that apply to this mailing. Urgent mailings have none, nor have tests and
    notifications, which are answers and come at any hour.
    """
    if mailing.urgent or not mailing.is_campaign:
        return None
    return _quiet(Policy.current())


def _quiet(policy: Policy) -> QuietHours | None:
    if policy.quiet_from is None or policy.quiet_until is None:
        return None
    return QuietHours(policy.quiet_from, policy.quiet_until)


def awake(at: datetime, zone: str, quiet: QuietHours | None) -> datetime:
    """Return the first time from `at` on that is outside quiet hours in the zone. An empty or unknown
    zone has no quiet hours.
    """
    place = zone_named(zone)
    return quiet.over(at, place) if quiet and place else at


def own_zone(person: HasZone) -> str:
    """Return the zone of the profile, or else the zone of the phone if its number belongs to exactly one;
    '' if there is neither.
    """
    return person.time_zone if zone_named(person.time_zone) else zone_of(person.phone)


def zone_for(person: HasZone) -> str:
    """Return the person's own zone, or else settings.TIME_ZONE."""
    return own_zone(person) or settings.TIME_ZONE


# --- for the pages ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages that leave later: their number, the first and the last time."""

    messages: int
    first: datetime | None
    last: datetime | None


def waiting_here(mailing: Mailing) -> Waiting:
    """Count messages that wait here for a time in the future; they can be stopped until then."""
    batches = mailing.batches.waiting().filter(not_before__gt=timezone.now())
    return _waiting(batches, "not_before")


def scheduled_at_provider(mailing: Mailing) -> Waiting:
    """Count messages submitted for a time in the future, by the sizes of their batches. Refused and
    recalled messages are included. count_scheduled_at_provider() is exact, and slower.
    """
    return _waiting(mailing.batches.scheduled_at_provider(), "send_at")


def count_scheduled_at_provider(mailing: Mailing) -> int:
    """Count exactly the messages that the provider keeps until a time in the future."""
    batches = mailing.batches.scheduled_at_provider().values("id")
    return Message.objects.awaiting_receipt().filter(batch__in=batches).count()


def scheduled_with(account: Account) -> Waiting:
    """Count what one provider keeps of all mailings, in the same way as scheduled_at_provider()."""
    batches = Batch.objects.scheduled_at_provider().filter(account=account)
    return _waiting(batches, "send_at")


def _waiting(batches: QuerySet[Batch], moment: str) -> Waiting:
    found = batches.aggregate(messages=Sum("size"), first=Min(moment), last=Max(moment))
    return Waiting(found["messages"] or 0, found["first"], found["last"])
