"""The embedded worker: one thread for each of PERIODIC_JOBS, which runs the job when it is due."""

import logging
import signal
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections, connections
from django.utils.module_loading import import_string

from smsmail.jobs import running
from smsmail.jobs.periodic import PERIODIC_JOBS, Job

logger = logging.getLogger(__name__)
LONGEST_PAUSE = 30.0


class Command(BaseCommand):
    help = "Run the periodic jobs in this process, without Celery and Redis."

    def handle(self, **_options: Any) -> None:
        for job in PERIODIC_JOBS:
            import_string(job.path)  # imported here once, so that a wrong path stops the start
        # These signals are awaited by sigwait() below, not handled: a signal that arrives just before a
        # thread blocks on a lock does not end that wait (seen: 3 of 110 workers that were told to stop while
        # starting stayed).
        asked = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, asked)
        stop = threading.Event()
        running.say_so()
        threads = [
            # Daemon threads: one that outlives the patience below must not keep the process alive.
            threading.Thread(target=repeat, args=(job, stop), name=job.name, daemon=True)
            for job in PERIODIC_JOBS
        ]
        for thread in threads:
            thread.start()
        logger.info("%s jobs by the clock", len(threads))
        signal.sigwait(asked)
        stop.set()
        # A batch in flight may start requests until its deadline, and the last one may take long.
        patience = time.monotonic() + settings.BATCH_DEADLINE + settings.READ_TIMEOUT
        for thread in threads:
            thread.join(max(0.0, patience - time.monotonic()))


def repeat(job: Job, stop: threading.Event) -> None:
    """Run the job until told to stop: again at once while work is left, else when it is due."""
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
                stop.wait(job.every)
    finally:
        connections.close_all()


def pause_after(failures: int, job: Job) -> float:
    """Return the pause after failures: doubled after each one in a row, at most half a minute, but
    never less than the job's interval.
    """
    return max(job.every, min(LONGEST_PAUSE, 0.5 * 2.0 ** min(failures, 10)))
