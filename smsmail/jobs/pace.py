"""The pace of the jobs in the embedded worker. A job that has something to do runs by its clock. The others
rest: one statement for all of them, every second or every few, says when one has something to do (due_times.py),
and a wake-up brings it at once (wake_up.py).
"""

import logging
import threading
import time
from collections.abc import Iterable

from django.conf import settings
from django.db import connection
from django.utils import timezone

from . import due_times, wake_up
from .periodic import Job

logger = logging.getLogger(__name__)

# Seconds between two statements: while anything was due or woken in the last minute, and after that. Each
# takes 0.3 ms of ours, and what nobody wakes a worker for comes so much later.
LOOK, LATER_LOOK = 1.0, 2.0
QUIET_AFTER = 60.0
# The shortest time between two statements, while wake-ups come one after the other.
LEAST = 0.2
# Seconds for which a job goes on by its clock after it had something to do: what one job does, another
# goes on with. Longer than LATER_LOOK.
STAYS = 10.0
# A resting job runs this often nevertheless (seconds), so that its heartbeat shows that it can, and so that
# a mistake in its query delays nothing for ever. All of them do so at the same moments: each heartbeat is a
# commit, after which SQLite is looked at.
RESTS_AT_MOST = 30.0


class Pace:
    """When one job runs next."""

    def __init__(self, job: Job, *, may_rest: bool) -> None:
        self.job = job
        self._may_rest = may_rest
        self._woken = threading.Event()
        self._busy_until = time.monotonic() + STAYS

    def wake(self) -> None:
        """Have it run at once."""
        self.go_on()
        self._woken.set()

    def go_on(self) -> None:
        """Have it run by its clock."""
        self._busy_until = time.monotonic() + STAYS

    def rest(self) -> None:
        """Wait until it is to run again."""
        self._woken.wait(self._pause())
        self._woken.clear()

    def _pause(self) -> float:
        if not self._may_rest or time.monotonic() < self._busy_until:
            return self.job.every
        longest = self.job.rests_at_most or min(RESTS_AT_MOST, settings.SILENT_AFTER / 2)
        return max(self.job.every, longest - time.monotonic() % longest)


class Paces:
    """The paces of all jobs of this process. look_out() keeps them, in a thread of its own."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        resting = due_times.jobs()
        self.of = {
            job.name: Pace(job, may_rest=job.name in resting or job.with_others) for job in jobs
        }
        self._due: set[str] = set()  # what was due at the last look
        self._busy_at = self._looked_at = time.monotonic()
        self._by_the_clock = False  # the last look failed: this was logged

    def wake(self, name: str) -> None:
        """A nudge for the job. Names that this process does not know come from another version."""
        if name in self.of:
            self.of[name].wake()
            self._something_to_do()

    def wake_all(self) -> None:
        for pace in self.of.values():
            pace.wake()

    def look_out(self, stop: threading.Event) -> None:
        """Wake jobs until told to stop. While the database cannot be asked, all of them go by their clocks."""
        wake_up.answer_to(self.wake)
        try:
            while not stop.is_set():
                try:
                    self._look_out(stop)
                except Exception as error:  # noqa: BLE001 - whatever it is, the jobs must run
                    self._go_by_the_clock(error)
                    connection.close()
                    stop.wait(LOOK)
        finally:
            wake_up.no_longer(self.wake)
            connection.close()

    def _look_out(self, stop: threading.Event) -> None:
        listener = wake_up.listener()
        while not stop.is_set():
            pause = self.look()
            for name in listener.wait(pause, stop):
                self.wake(name)
            self._least_pause(stop)

    def look(self) -> float:
        """Wake the jobs that have something to do since the last look. Returns the seconds until the next."""
        self._looked_at = time.monotonic()
        times = due_times.due_times()
        self._by_the_clock = False
        now = timezone.now()
        due = {name for name, at in times.items() if at <= now}
        for name in due - self._due:
            self.of[name].wake()
        for name in due:
            self.of[name].go_on()
        self._due = due
        if due:
            self._something_to_do()
        lively = time.monotonic() - self._busy_at < QUIET_AFTER
        pause = LOOK if lively else LATER_LOOK
        to_come = (at for at in times.values() if at > now)
        next_at = min(to_come, default=None)
        return min(pause, (next_at - now).total_seconds()) if next_at else pause

    def _go_by_the_clock(self, error: Exception) -> None:
        if not self._by_the_clock:
            logger.warning("the jobs go by the clock: %s", type(error).__name__)
            self.wake_all()
        self._by_the_clock = True
        for pace in self.of.values():
            pace.go_on()

    def _something_to_do(self) -> None:
        self._busy_at = time.monotonic()
        for pace in self.of.values():
            if pace.job.with_others:
                pace.go_on()

    def _least_pause(self, stop: threading.Event) -> None:
        left = self._looked_at + LEAST - time.monotonic()
        if left > 0:
            stop.wait(left)
