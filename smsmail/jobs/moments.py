"""Moments that were written down for later, and which of them a wrong clock has written. Pure.

A clock that is an hour or a day fast for half a minute (an NTP step, a machine that was asleep) leaves
moments behind that lie further ahead than anybody ever waits. Whoever waits for a moment asks here with
the longest wait that there is, so that what was written meanwhile holds nothing up for that hour or day.
"""

from datetime import datetime, timedelta

from django.utils import timezone

SKEW = timedelta(seconds=10)  # by which the clocks of two good machines may differ


def beyond(moment: datetime | None, longest: timedelta, now: datetime | None = None) -> bool:
    """Does it lie further ahead than anybody waits? Then a wrong clock wrote it."""
    if moment is None:
        return False
    return moment > (now or timezone.now()) + longest + SKEW


def believed(
    moment: datetime | None, longest: timedelta, now: datetime | None = None
) -> datetime | None:
    """The moment; None for one that a wrong clock wrote: there is nothing to wait for."""
    return None if beyond(moment, longest, now) else moment
