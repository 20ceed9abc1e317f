"""The Celery application. Beat posts PERIODIC_JOBS; a message in the broker only says "look for
work".
"""

import os
from logging.config import dictConfig

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")

SELDOM = 60  # seconds

app = Celery("smsmail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect  # type: ignore[untyped-decorator]  # celery has no types
def post_the_jobs(sender: Celery, **_kwargs: object) -> None:
    """Set up beat's schedule. A wake-up that no worker took expires when the next is due, so none
    pile up.
    """
    from .jobs.periodic import PERIODIC_JOBS

    for job in PERIODIC_JOBS:
        sender.add_periodic_task(
            job.every,
            sender.signature(job.task),
            name=job.name,
            expires=job.every,
            queue=job.queue,
        )


@beat_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def begin_with_what_is_seldom_done(**_kwargs: object) -> None:
    """Post the infrequent jobs once at the start. Beat counts their minutes or hours from its own
    start, so after a day off they would seem neglected until then.
    """
    from .jobs.periodic import PERIODIC_JOBS, post

    for job in PERIODIC_JOBS:
        if job.every >= SELDOM:
            post(job)


@worker_process_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def tune_the_collector(**_kwargs: object) -> None:
    from .jobs import collector

    collector.tune()


@setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
def log_as_everywhere(**_kwargs: object) -> None:
    """Replace Celery's own set-up, which would log the messages of errors, and these may quote a
    person's data.
    """
    from django.conf import settings

    dictConfig(settings.LOGGING)
