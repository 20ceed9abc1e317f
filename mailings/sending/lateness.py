"""A time set was missed: how late a mailing may still begin, and what becomes of one that is later."""

from datetime import datetime, timedelta

from integrations.reasons import Reason
from mailings.models import Batch, Mailing, Policy

from .halt import halt


def missed(mailing: Mailing, planned: datetime, now: datetime) -> bool:
    """Is a time set longer ago than mailings may be late? planned: when this of it was to leave, at
    the soonest."""
    if mailing.starts_at is None:
        return False
    planned = max(planned, mailing.starts_at, mailing.leaves_at or planned)
    late = now - planned
    if late <= timedelta(0):
        return False
    return late > timedelta(minutes=Policy.current().grace_minutes)


def hold_missed(mailing_id: int) -> bool:
    """Pause it, if nothing of it has been handed over; what has begun is brought to its end."""
    if Batch.objects.filter(mailing=mailing_id, claimed_at__isnull=False).exists():
        return False
    running = Mailing.objects.filter(state__in=Mailing.RUNNING)
    return halt(running, mailing_id, Reason.MISSED_TIME)
