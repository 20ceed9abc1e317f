"""The Celery application. Beat posts clock.JOBS; a message in the broker says only "look"."""

import os
from logging.config import dictConfig

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")

app = Celery("smsmail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect  # type: ignore[untyped-decorator]  # celery has no types
def post_the_jobs(sender: Celery, **_kwargs: object) -> None:
    """Beat's schedule. A wake-up nobody took before the next one is due expires: no pile-up."""
    from .clock import JOBS

    for job in JOBS:
        sender.add_periodic_task(
            job.every,
            sender.signature(job.task),
            name=job.name,
            expires=job.every,
            queue=job.queue,
        )


@setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
def log_as_everywhere(**_kwargs: object) -> None:
    """Celery's own set-up would write the messages of errors, which may quote a person's data."""
    from django.conf import settings

    dictConfig(settings.LOGGING)
