"""Has the clock of this machine been set a moment ago? Then nothing is decided by it for a while.

Seconds since the start of the machine cannot be set. Where the clock does not keep step with them,
somebody has set it, rightly or wrongly: which of the two, nobody can tell from inside. What is sent, and
what is learnt, goes on; what an hour decides and nobody can take back waits until the clock has stood for
as long as a lease: beginning with a mailing set for later, calling it missed or a batch too late, taking a
live worker for dead, believing that a service never had a message.
"""

import threading
import time

from django.conf import settings

from smsmail.uptime import clock

STEP = 10.0  # seconds; less is no harm


class Steadiness:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead: float | None = None  # of the clock, before the seconds that cannot be set
        self._set_at = float("-inf")  # those seconds when it was last found set

    def sample(self) -> bool:
        """Has it been set since the last time?"""
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
sample = _of_this_process.sample  # by every job of the clock, before it runs
holds = _of_this_process.holds  # True as well where nobody has sampled
