"""What the clock's jobs leave behind of themselves (that they run, and what they could not do), and what
was tried lately, counted for all processes when there is no Redis (rate_limit.py).
"""

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class Heartbeat(models.Model):
    """One row for each job, written by whoever runs it. All times are the database's: the one clock
    that the machines of workers and of pages have in common.
    """

    job = models.CharField(max_length=32, primary_key=True)
    beat_at = models.DateTimeField(db_default=Now())  # somebody was at it
    ok_at = models.DateTimeField(null=True, blank=True)  # its last run without an error
    failed_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row, as far as they were written down
    error = models.CharField(max_length=80, blank=True)  # the class, never the message

    def __str__(self) -> str:
        return self.job


class SetAsideQuerySet(models.QuerySet["SetAside"]):
    def held(self, *jobs: str) -> "SetAsideQuerySet":
        """Those whose next try is still to come. A time further ahead than any pause can reach was
        written by a clock that was wrong: it holds nothing.
        """
        now = timezone.now()
        return self.filter(job__in=jobs, next_try_at__gt=now, next_try_at__lte=now + LONGEST)

    def current(self) -> "SetAsideQuerySet":
        """For pages. What was not tried again long after its time is not due any more."""
        return self.filter(next_try_at__gt=timezone.now() - STALE)


LONGEST = timedelta(hours=1)
STALE = timedelta(minutes=10)


class SetAside(models.Model):
    """One thing that one job could not treat: the others go on, and it is tried again later. The row
    goes when it has been treated.
    """

    job = models.CharField(max_length=32)
    kind = models.CharField(max_length=16)  # "mailing", "batch", "receipt", ...
    item_id = models.BigIntegerField()
    about = models.CharField(max_length=80)  # on whose page it stands: "mailing 5", "account smsc"
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
    """How often, and until when it is remembered; for a hold, until when it holds."""

    key = models.CharField(max_length=80, primary_key=True)
    count = models.PositiveIntegerField()
    until = models.FloatField()  # seconds since 1970: one statement of both databases compares them

    class Meta:
        indexes: ClassVar = [models.Index(fields=["until"], name="tried_until")]

    def __str__(self) -> str:
        return self.key
