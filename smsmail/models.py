"""Records of the periodic jobs (that they run, and what they could not process), and counts of recent
attempts for all processes where there is no Redis (rate_limit.py).
"""

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class Heartbeat(models.Model):
    """One row for each job, written by whoever runs it. All times are the database's, because that
    is the only clock that the machines of workers and pages share.
    """

    job = models.CharField(max_length=32, primary_key=True)
    beat_at = models.DateTimeField(db_default=Now())  # when somebody last worked on it
    ok_at = models.DateTimeField(null=True, blank=True)  # when it last ran without an error
    failed_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    # Failures in a row, as far as they were stored.
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=80, blank=True)  # the class, never the message

    def __str__(self) -> str:
        return self.job


class SetAsideQuerySet(models.QuerySet["SetAside"]):
    def resting(self, *jobs: str) -> "SetAsideQuerySet":
        """Items whose next try is still to come. A time further ahead than the longest pause was
        written by a wrong clock and is ignored.
        """
        now = timezone.now()
        return self.filter(job__in=jobs, next_try_at__gt=now, next_try_at__lte=now + LONGEST)

    def current(self) -> "SetAsideQuerySet":
        """For pages: without items that were not tried again long after their time, because they
        are no longer due.
        """
        return self.filter(next_try_at__gt=timezone.now() - STALE)


LONGEST = timedelta(hours=1)
STALE = timedelta(minutes=10)


class SetAside(models.Model):
    """An item that a job could not process: the others go on, and it is tried again later. The row
    is deleted once it has been processed.
    """

    job = models.CharField(max_length=32)
    kind = models.CharField(max_length=16)  # "mailing", "batch", "receipt", ...
    item_id = models.BigIntegerField()
    about = models.CharField(max_length=80)  # the page that shows it: "mailing 5", "account smsc"
    failures = models.PositiveIntegerField(default=1)
    error = models.CharField(max_length=80)  # the class, never the message: it may quote a person
    first_at = models.DateTimeField()
    next_try_at = models.DateTimeField()

    objects: ClassVar = SetAsideQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "kind", "item_id"], name="set_aside_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["about"], name="set_aside_about")]

    def __str__(self) -> str:
        return f"{self.job}: {self.kind} {self.item_id}"


class Tried(models.Model):
    """A count and until when it is remembered; for a hold, until when it lasts."""

    key = models.CharField(max_length=80, primary_key=True)
    count = models.PositiveIntegerField()
    until = models.FloatField()  # seconds since 1970, so that one statement works on both databases

    class Meta:
        indexes: ClassVar = [models.Index(fields=["until"], name="tried_until")]

    def __str__(self) -> str:
        return self.key
