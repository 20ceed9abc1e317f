"""The embedded worker: one thread for each of PERIODIC_JOBS, which runs the job when it is due, and one that
lets them rest while there is nothing to do (smsmail/jobs/pace.py).
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections, connections
from django.utils.module_loading import import_string

from smsmail.jobs import collector, running
from smsmail.jobs.pace import Paces
from smsmail.jobs.periodic import PERIODIC_JOBS, Job

logger = logging.getLogger(__name__)
LONGEST_PAUSE = 30.0


class Command(BaseCommand):
    help = "Run the periodic jobs in this process, without Celery and Redis."

    def handle(self, **_options: Any) -> None:
        for job in PERIODIC_JOBS:
            import_string(job.path)  # imported here once, so that a wrong path stops the start
        collector.tune()
        # These signals are awaited by sigwait() below, not handled: a signal that arrives just before a
        # thread blocks on a lock does not end that wait (seen: 3 of 110 workers that were told to stop while
        # starting stayed).
        asked = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, asked)
        stop = threading.Event()
        running.say_so()
        # The threads keep their connections while they rest: to open one takes as long as a job that finds
        # nothing. On PostgreSQL they are checked before they are used again.
        connections.settings["default"]["CONN_MAX_AGE"] = None
        paces = Paces(PERIODIC_JOBS)
        threads = [
            # Daemon threads: one that outlives the patience below must not keep the process alive.
            threading.Thread(
                target=repeat, args=(job, stop, paces.of[job.name].rest), name=job.name, daemon=True
            )
            for job in PERIODIC_JOBS
        ]
        lookout = threading.Thread(target=paces.look_out, args=(stop,), name="pace", daemon=True)
        threads.append(lookout)
        for thread in threads:
            thread.start()
        logger.info("%s jobs by the clock", len(PERIODIC_JOBS))
        signal.sigwait(asked)
        stop.set()
        paces.wake_all()
        # A batch in flight may start requests until its deadline, and the last one may take long.
        patience = time.monotonic() + settings.BATCH_DEADLINE + settings.READ_TIMEOUT
        for thread in threads:
            thread.join(max(0.0, patience - time.monotonic()))


def repeat(job: Job, stop: threading.Event, rest: Callable[[], object] | None = None) -> None:
    """Run the job until told to stop: again at once while work is left, else after `rest`, which is the
    job's interval if it is not given.
    """
    rest = rest or (lambda: stop.wait(job.every))
    failures = 0
    try:
        while not stop.is_set():
            try:
                more = job.run_watched()
            except Exception:
                failures += 1
                logger.exception("%s failed", job.name)
                connections.close_all()
                stop.wait(pause_after(failures, job))
                continue
            failures = 0
            if not more:
                close_old_connections()
                rest()
    finally:
        connections.close_all()


def pause_after(failures: int, job: Job) -> float:
    """Return the pause after failures: doubled after each one in a row, at most half a minute, but
    never less than the job's interval.
    """
    return max(job.every, min(LONGEST_PAUSE, 0.5 * 2.0 ** min(failures, 10)))
