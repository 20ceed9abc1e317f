"""The Celery application. Beat posts clock.JOBS; a message in the broker says only "look"."""

import os

from celery import Celery

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
            job.every, sender.signature(job.task), name=job.name, expires=job.every
        )
