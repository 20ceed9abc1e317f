"""The frequency cap: how many SMS of mailings one phone may get in so many days (Policy). Reads only.

What counts is what reached a phone or may still: handed over in the days before the mailing's
moment, or waiting in another mailing's batch that leaves within as many days. Tests and notifications
count never, nor does the mailing itself: it would cut its own audience while it is prepared. Two
mailings prepared at once see each other's messages (prepare.py takes turns), so that no phone gets
more than the cap whichever comes first.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from mailings.models import Batch, Mailing, Message, Policy
from smsmail.jobs.set_aside import held

Status = Message.Status
COUNTS = (
    Status.WAITING,
    Status.ACCEPTED,
    Status.DELIVERED,
    Status.NO_RECEIPT,
    Status.UNKNOWN,
)


@dataclass(frozen=True, slots=True)
class Cap:
    """No more than `messages` in `days`, seen from the moment of one mailing."""

    messages: int
    days: int
    moment: datetime
    mailing: int | None  # whose own messages do not count

    def full(self, phone: str) -> Exists:
        """A condition for queries over whatever has a phone in the column `phone`: no room left.
        For few rows at a time; over all people `phones()` is quicker.
        """
        return Exists(self.phones().filter(phone=OuterRef(phone)))

    def phones(self) -> "QuerySet[Message, str]":
        """The phones without room."""
        counting = self._counting()
        if self.messages == 1:
            return counting.values_list("phone", flat=True)
        return (
            counting.values("phone")
            .annotate(had=Count("id"))
            .filter(had__gte=self.messages)
            .values_list("phone", flat=True)
        )

    def _counting(self) -> QuerySet[Message]:
        span = timedelta(days=self.days)
        batches = Batch.objects.filter(
            Q(claimed_at__gte=self.moment - span)
            | Q(state=Batch.State.WAITING, not_before__lt=self.moment + span)
            & ~Q(mailing__state=Mailing.State.CANCELLED),
            mailing__kind=Mailing.Kind.MAILING,
        ).exclude(mailing=self.mailing)
        return Message.objects.filter(batch__in=batches, status__in=COUNTS).order_by()


def cap_of(mailing: Mailing | None, policy: Policy | None = None) -> Cap | None:
    """What holds for this mailing, or for one that is not saved yet; None: no cap is set."""
    policy = policy or Policy.current()
    if not policy.cap_messages:
        return None
    moment = _moment(mailing) if mailing else timezone.now()
    return Cap(policy.cap_messages, policy.cap_days, moment, mailing.pk if mailing else None)


def its_turn(mailing: Mailing) -> bool:
    """May the next chunk be prepared now, in this transaction? With a cap, one chunk at a time,
    and the mailing that was launched first before the others: what a funnel said at the launch
    stays true. A paused one holds up nobody.
    """
    # Locked until the commit: two chunks that do not see each other would both find room.
    policy = Policy.objects.select_for_update(no_key=True).first()
    if policy is None or not policy.cap_messages or mailing.state != Mailing.State.PREPARING:
        return True
    unprepared = Mailing.objects.filter(state=Mailing.State.PREPARING, prepared_at__isnull=True)
    # One that cannot be prepared now holds up nobody either.
    unprepared = unprepared.exclude(launched_at=None).exclude(id__in=held("prepare"))
    first = unprepared.order_by("launched_at", "id").first()
    return first is None or first.id == mailing.id


def _moment(mailing: Mailing) -> datetime:
    """Fixed from the launch on, so that a long preparation looks at the same days throughout: when
    it was launched, or the later time it is set for. Who comes under a rule is looked at as they come.
    """
    now = timezone.now()
    if mailing.when == Mailing.When.ON_ENTRY:
        return now
    launched = mailing.launched_at or now
    return max(launched, mailing.starts_at) if mailing.starts_at else launched
