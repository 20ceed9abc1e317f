"""Celery tasks, one for each of clock.JOBS: each wakes the function up, and again while work is left."""

from collections.abc import Callable

from smsmail.celery import app
from smsmail.clock import JOBS, Job, nudge


def _task_for(job: Job) -> Callable[[], None]:
    @app.task(name=job.task)  # type: ignore[untyped-decorator]  # celery has no types
    def run() -> None:
        if job.run():
            nudge(job.name)

    return run  # type: ignore[no-any-return]


TASKS = tuple(_task_for(job) for job in JOBS)
