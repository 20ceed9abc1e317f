"""Celery tasks, one for each of PERIODIC_JOBS (smsmail.jobs.periodic). Each runs the job, and again
while work is left.
"""

import logging
from collections.abc import Callable

from smsmail.celery import app
from smsmail.jobs.periodic import PERIODIC_JOBS, Job, nudge

logger = logging.getLogger(__name__)


def _task_for(job: Job) -> Callable[[], None]:
    @app.task(name=job.task)  # type: ignore[untyped-decorator]  # celery has no types
    def run() -> None:
        try:
            more = job.run_watched()
        # Celery would log the exception's message, which may quote a person's data.
        except Exception:
            logger.exception("%s failed", job.name)
            return
        if more:
            nudge(job.name)

    return run  # type: ignore[no-any-return]


TASKS = tuple(_task_for(job) for job in PERIODIC_JOBS)
