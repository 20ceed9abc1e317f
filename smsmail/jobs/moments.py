"""Detects stored times that a wrong clock wrote. Pure.

A clock that is an hour or a day fast for half a minute (an NTP step, a machine that was asleep) stores times
further ahead than anybody ever waits. Code that waits for a stored time asks here, with the longest possible
wait, so that such a time delays nothing.
"""

from datetime import datetime, timedelta

from django.utils import timezone

SKEW = timedelta(seconds=10)  # how far the clocks of two good machines may differ


def beyond(moment: datetime | None, longest: timedelta, now: datetime | None = None) -> bool:
    """True if the time lies further ahead than anybody waits: a wrong clock wrote it."""
    if moment is None:
        return False
    return moment > (now or timezone.now()) + longest + SKEW


def believed(
    moment: datetime | None, longest: timedelta, now: datetime | None = None
) -> datetime | None:
    """Return the time, or None if a wrong clock wrote it: then there is nothing to wait for."""
    return None if beyond(moment, longest, now) else moment
