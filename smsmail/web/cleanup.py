"""Deletes rows that nobody reads any more: expired sessions and counts."""

from collections.abc import Sequence
from zlib import crc32

from django.contrib.sessions.models import Session
from django.utils import timezone

from smsmail.jobs.set_aside import Work, in_halves, set_aside_ids

from . import rate_limit

SLICE = 5000
SESSIONS = Work("forget_sessions", "session")  # identified by a number derived from the session key


def forget_due() -> bool:
    """Periodic job: delete a small slice of each. True while there may be more."""
    over = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    found = list(over.values_list("session_key", flat=True)[:SLICE])
    aside = set(set_aside_ids(SESSIONS.name))
    keys = {number: key for key in found if (number := crc32(key.encode())) not in aside}

    def forget(numbers: Sequence[int]) -> None:
        ended = Session.objects.filter(session_key__in=[keys[each] for each in numbers])
        ended.filter(expire_date__lt=timezone.now()).delete()

    if keys:
        in_halves(SESSIONS, list(keys), forget, lambda _number: "forget ")
    return rate_limit.forget_old() or len(keys) == SLICE
