"""Notices that this machine's clock was set, and suspends decisions by it for a while.

Seconds since boot cannot be set. If the clock does not keep step with them, somebody has set it, rightly or
wrongly; from inside nobody can tell which. Submitting and processing reports go on. Decisions by the clock
that cannot be undone wait until it has run undisturbed for as long as a lease: starting a scheduled mailing,
calling it missed or a batch too late, taking a live worker for dead, concluding that a provider never had a
message.
"""

import threading
import time

from django.conf import settings

from smsmail.uptime import clock

STEP = 10.0  # seconds; smaller steps do no harm


class Steadiness:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead: float | None = None  # the clock minus the seconds since boot
        self._set_at = float("-inf")  # seconds since boot when a change was last noticed

    def sample(self) -> bool:
        """True if the clock was set since the last call."""
        with self._lock:
            seconds = clock()
            ahead = time.time() - seconds
            was_set = self._ahead is not None and abs(ahead - self._ahead) > STEP
            if was_set:
                self._set_at = seconds
            self._ahead = ahead
        return was_set

    def holds(self) -> bool:
        return clock() - self._set_at >= settings.LEASE


_of_this_process = Steadiness()
sample = _of_this_process.sample  # called by every periodic job before it runs
holds = _of_this_process.holds  # also True if sample() was never called
