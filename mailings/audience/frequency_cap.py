"""The frequency cap: how many SMS of mailings one phone may get in so many days (Policy).
Read-only.

It counts what reached a phone or may still reach it: messages submitted in the days before the
mailing's moment, and messages in waiting batches of other mailings that leave within as many days.
Tests and notifications never count. Nor does the mailing itself, which would reduce its own
audience while it is prepared. Two mailings prepared at once see each other's messages (prepare.py
takes turns), so no phone gets more than the cap, whichever comes first.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from mailings.models import Batch, Mailing, Message, Policy
from smsmail.jobs.set_aside import set_aside_ids

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
    """At most `messages` in `days`, seen from the moment of one mailing."""

    messages: int
    days: int
    moment: datetime
    mailing: int | None  # whose own messages do not count

    def full(self, phone: str) -> Exists:
        """Return a condition for queries over rows with a phone in the column `phone`: the cap is
        reached. It suits few rows; over all people `phones()` is quicker.
        """
        return Exists(self.phones().filter(phone=OuterRef(phone)))

    def phones(self) -> "QuerySet[Message, str]":
        """Return the phones that have reached the cap."""
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
        batches = (
            Batch.objects.of_campaigns()
            .filter(
                Q(claimed_at__gte=self.moment - span)
                | Q(state=Batch.State.WAITING, not_before__lt=self.moment + span)
                & ~Q(mailing__state=Mailing.State.CANCELLED)
            )
            .exclude(mailing=self.mailing)
        )
        return Message.objects.filter(batch__in=batches, status__in=COUNTS).order_by()


def cap_of(mailing: Mailing | None, policy: Policy | None = None) -> Cap | None:
    """Return the cap for this mailing, or for one that is not saved yet; None if no cap is set."""
    policy = policy or Policy.current()
    if not policy.cap_messages:
        return None
    moment = _moment(mailing) if mailing else timezone.now()
    return Cap(policy.cap_messages, policy.cap_days, moment, mailing.pk if mailing else None)


def its_turn(mailing: Mailing) -> bool:
    """Return whether the next chunk may be prepared now, in this transaction. With a cap, mailings
    prepare one chunk at a time in the order of their launches, so the counts shown at the launch
    stay valid. Paused mailings are skipped.
    """
    # Locked until the commit: two chunks that do not see each other would both stay under the cap.
    policy = Policy.objects.select_for_update(no_key=True).first()
    if policy is None or not policy.cap_messages or mailing.state != Mailing.State.PREPARING:
        return True
    unprepared = Mailing.objects.to_prepare()
    # A mailing that cannot be prepared now is skipped too.
    unprepared = unprepared.exclude(launched_at=None).exclude(id__in=set_aside_ids("prepare"))
    first = unprepared.order_by("launched_at", "id").first()
    return first is None or first.id == mailing.id


def _moment(mailing: Mailing) -> datetime:
    """Return the moment of the cap. It is fixed at the launch, so that a long preparation counts
    the same days throughout: the launch, or the later scheduled time. For an on-entry mailing it is
    now.
    """
    now = timezone.now()
    if mailing.when == Mailing.When.ON_ENTRY:
        return now
    launched = mailing.launched_at or now
    return max(launched, mailing.starts_at) if mailing.starts_at else launched
