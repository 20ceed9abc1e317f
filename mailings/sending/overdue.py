"""Tells smsmail.jobs.watchdog how long the oldest item of each job of this package has been due. Each
query reads one row by an index. Items that are set aside are excluded: the page shows them separately.
"""

from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from integrations.models import Receipt
from mailings.models import Batch, Click, Mailing
from smsmail.jobs.watchdog import ask_about_due
from smsmail.models import SetAside

State = Mailing.State
Oldest = QuerySet[Any, datetime]


def register() -> None:
    """Register the queries of this module with the watchdog."""
    ask_about_due("start", to_start)
    ask_about_due("prepare", to_prepare)
    ask_about_due("hand_over", to_hand_over)
    ask_about_due("process_receipts", receipts)
    ask_about_due("process_clicks", clicks)
    ask_about_due("reconcile", to_look_up)


def to_start() -> Oldest:
    """Find the scheduled mailing that has been due for longest."""
    due = Mailing.objects.scheduled().filter(leaves_at__lte=timezone.now())
    return _oldest("start", due.order_by("leaves_at"), "leaves_at")


def to_prepare() -> Oldest:
    """Find the mailing that has waited longest for the end of its preparation."""
    due = Mailing.objects.to_prepare()
    since = due.annotate(due_at=Coalesce("leaves_at", "launched_at"))
    return _oldest("prepare", since.order_by("due_at"), "due_at")


def to_hand_over() -> Oldest:
    """Find the waiting batch that could have left first."""
    due = Batch.objects.waiting().filter(
        not_before__lte=timezone.now(), mailing__state__in=Mailing.RUNNING
    )
    return _oldest("hand_over", due.order_by("not_before"), "not_before")


def receipts() -> Oldest:
    """Find the oldest receipt that is not processed."""
    return _oldest("process_receipts", Receipt.objects.order_by("id"), "received_at")


def clicks() -> Oldest:
    """Find the oldest click that is not processed."""
    return _oldest(
        "process_clicks", Click.objects.filter(processed_at__isnull=True).order_by("id"), "at"
    )


def to_look_up() -> Oldest:
    """Find the batch whose look-up has been due for longest."""
    due = Batch.objects.filter(look_up_at__lte=timezone.now(), account__isnull=False)
    return _oldest("reconcile", due.order_by("look_up_at"), "look_up_at")


def _oldest(job: str, due: "QuerySet[Any]", column: str) -> Oldest:
    aside = SetAside.objects.filter(job=job).values("item_id")
    return due.exclude(id__in=aside).values_list(F(column), flat=True)[:1]
