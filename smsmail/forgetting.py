"""Rows that nobody will read again: sessions that have ended, and counts that hold no more."""

from django.contrib.sessions.models import Session
from django.utils import timezone

from . import tries

SLICE = 5000


def forget_due() -> bool:
    """Clock job: a small slice of each at a time; True while there is more."""
    over = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    keys = list(over.values_list("session_key", flat=True)[:SLICE])
    Session.objects.filter(session_key__in=keys, expire_date__lt=timezone.now()).delete()
    return tries.forget_old() or len(keys) == SLICE
