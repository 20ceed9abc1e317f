"""The periodic jobs, defined once for both deployment shapes: Celery beat posts PERIODIC_JOBS as
tasks, and `manage.py runworker` calls the same functions. nudge() wakes a worker before a job is
due.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from . import steady_clock, wake_up

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A function without arguments that does a slice of work and returns whether more is left."""

    name: str
    path: str  # dotted path of a function () -> bool; True when there is more to do at once
    every: float  # seconds
    network: bool = False  # waits for a provider, so it must not hold up other jobs
    # A priority queue: other jobs must not hold it up, so it has its own queue and workers.
    lane: bool = False
    by_the_hour: bool = False  # makes irreversible decisions by the clock (steady_clock.py)
    asks: bool = False  # one run may talk to a provider for long, without a heartbeat
    # It has something to do only while others have; then it goes by its clock (pace.py).
    with_others: bool = False
    rests_at_most: float = 0.0  # seconds; 0: as long as any other (pace.py)

    @property
    def task(self) -> str:
        """The name of its Celery task (mailings.tasks)."""
        return f"smsmail.{self.name}"

    @property
    def queue(self) -> str:
        if self.lane:
            return "lane"
        return "network" if self.network else "rows"

    @property
    def silent_after(self) -> float:
        """Seconds without a heartbeat after which the job counts as not running."""
        longest = settings.TASK_LIMIT if self.asks else 0
        return settings.SILENT_AFTER + 2 * self.every + longest

    def run(self) -> bool:
        if steady_clock.sample():
            logger.warning("the clock of this machine was set")
            # First of all, store the clock's new time and repair what was written by the old one.
            cast(Callable[[], bool], import_string(BY_NAME["mend"].path))()
        if self.by_the_hour and not steady_clock.holds():
            return False
        return cast(Callable[[], bool], import_string(self.path))()

    def run_watched(self) -> bool:
        """Run the job as the schedule does, and leave a heartbeat (heartbeat.py)."""
        # Imported here because it has a model, and Celery's beat imports this module before Django
        # is set up.
        from . import heartbeat

        return heartbeat.watched(self.name, self.run)


PERIODIC_JOBS = (
    Job("start", "mailings.lifecycle.start.start_due", 1, by_the_hour=True),
    Job("prepare", "mailings.sending.prepare.prepare_due", 1),
    Job("watch", "mailings.lifecycle.on_entry.watch_due", 2, by_the_hour=True),
    Job("hand_over", "mailings.sending.worker.hand_over_due", 1, network=True),
    Job("notify", "mailings.sending.worker.notify_due", 1, network=True, lane=True),
    # A machine that joins waits 20 s for the number to grow (epoch.JOIN).
    Job(
        "advance_epoch", "mailings.sending.epoch.advance_due", 5, with_others=True, rests_at_most=10
    ),
    Job("ask_books", "mailings.restoration.books.ask_due", 5, network=True, asks=True),
    Job("process_receipts", "mailings.sending.receipts.process_due", 1),
    Job("process_clicks", "mailings.tracking.aggregate.aggregate_due", 1),
    Job("settle", "mailings.lifecycle.transitions.settle_due", 2),
    Job("judge_waves", "mailings.lifecycle.staged.judge_due", 5, by_the_hour=True),
    Job(
        "recall",
        "mailings.lifecycle.recall.recall_due",
        5,
        network=True,
        asks=True,
        by_the_hour=True,
    ),
    Job("mend", "mailings.sending.clock_repair.mend_due", 2, with_others=True),
    Job("recover", "mailings.sending.worker.recover_due", 5, by_the_hour=True),
    Job(
        "reconcile",
        "mailings.sending.reconciliation.reconcile_due",
        5,
        network=True,
        asks=True,
        by_the_hour=True,
    ),
    Job("simulate", "integrations.providers.simulator.report_due", 1),
    Job(
        "refresh_balances",
        "integrations.routing.balances.refresh_balances",
        600,
        network=True,
        asks=True,
    ),
    Job("forget", "integrations.routing.retention.forget_old", 3600, by_the_hour=True),
    Job("forget_messages", "mailings.lifecycle.retention.forget_due", 3600, by_the_hour=True),
    Job("forget_sessions", "smsmail.web.cleanup.forget_due", 600, by_the_hour=True),
)
BY_NAME = {job.name: job for job in PERIODIC_JOBS}


def nudge(name: str) -> None:
    """Wake a worker for the job once this transaction commits. Never fails: the job runs on schedule
    anyway.
    """
    job = BY_NAME[name]
    transaction.on_commit(lambda: post(job))


def post(job: Job) -> None:
    """Wake a worker for the job now: through the broker if there is one, else through the database."""
    try:
        if settings.REDIS_URL:
            current_app.send_task(job.task, queue=job.queue, expires=60, retry=False)
        else:
            wake_up.send(job.name)
    except Exception as error:  # no error of the broker or the database must reach the caller
        logger.warning("no wake-up for %s, the clock will come: %s", job.name, type(error).__name__)
