"""Decides whether a mailing has missed its set time, and pauses one that is too late to begin."""

from datetime import datetime, timedelta

from integrations.reasons import Reason
from mailings.models import Batch, Mailing, Policy

from .halt import halt


def missed(mailing: Mailing, planned: datetime, now: datetime) -> bool:
    """Is the set time longer ago than Policy.grace_minutes allows? planned: the earliest time at which
    this batch, or the whole mailing, was to leave.
    """
    if mailing.starts_at is None:
        return False
    planned = max(planned, mailing.starts_at, mailing.leaves_at or planned)
    late = now - planned
    if late <= timedelta(0):
        return False
    return late > timedelta(minutes=Policy.current().grace_minutes)


def hold_missed(mailing_id: int) -> bool:
    """Pause the mailing if none of its batches was ever claimed; one that has begun goes on to its end.
    Returns True if it was paused.
    """
    if Batch.objects.filter(mailing=mailing_id, claimed_at__isnull=False).exists():
        return False
    running = Mailing.objects.running()
    return halt(running, mailing_id, Reason.MISSED_TIME)
