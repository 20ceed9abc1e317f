"""Tells smsmail.jobs.due_times when each job of mailings, and the simulator's, has something to do next. Each
query reads a few rows by an index, and none depends on the present time.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from integrations.models import SimulatedSms
from mailings.models import Batch, Mailing, Restoration
from mailings.sending import overdue
from smsmail.jobs.due_times import expect
from smsmail.models import SetAside

from . import on_entry, transitions

State = Mailing.State
Earliest = QuerySet[Any, datetime | None]


def register() -> None:
    """Register the queries of this module."""
    expect("start", to_start)
    expect("prepare", to_prepare)
    expect("watch", to_watch_at_once)
    expect("watch", watched, later=lambda: on_entry.EVERY)
    expect("hand_over", first_waves)
    expect("hand_over", later_waves)
    expect("notify", single_sends)
    expect("ask_books", restored)
    expect("process_receipts", overdue.receipts)
    expect("process_receipts", lambda: tried_again("process_receipts"))
    expect("process_clicks", overdue.clicks)
    expect("process_clicks", lambda: tried_again("process_clicks"))
    expect("settle", to_settle)
    expect("settle", to_sweep)
    expect("judge_waves", to_judge)
    expect("recall", to_recall)
    expect("recover", in_flight, later=lambda: timedelta(seconds=settings.LEASE))
    expect("reconcile", to_look_up)
    expect("simulate", to_report)


def to_start() -> Earliest:
    return _earliest(Mailing.objects.filter(state=State.SCHEDULED), "leaves_at")


def to_prepare() -> Earliest:
    open_ = Mailing.objects.campaigns().filter(
        state__in=[State.PREPARING, State.CANCELLED],
        launched_at__isnull=False,
        prepared_at__isnull=True,
    )
    return _earliest(open_.exclude(when=Mailing.When.ON_ENTRY), "launched_at")


def to_watch_at_once() -> Earliest:
    """Find the mailings that were not looked at yet, or not to the end."""
    watching = Mailing.objects.filter(state=State.WATCHING)
    return _earliest(watching.filter(Q(watched_at=None) | Q(cursor__gt=0)), "created_at")


def watched() -> Earliest:
    return _earliest(Mailing.objects.filter(state=State.WATCHING), "watched_at")


def first_waves() -> Earliest:
    return _first_batch(Mailing.objects.running(), Q(wave=0))


def later_waves() -> Earliest:
    passed = Mailing.objects.running().filter(wave_passed_at__isnull=False)
    return _first_batch(passed, Q(wave__gt=0))


def single_sends() -> Earliest:
    return _first_batch(Mailing.objects.running().single_sends(), Q(wave=0))


def restored() -> Earliest:
    open_ = Restoration.objects.filter(decided_at__isnull=True, asked_at__isnull=True)
    return _earliest(open_, "found_at")


def tried_again(job: str) -> Earliest:
    """Find what was set aside: the query of what is due leaves it out."""
    return _earliest(SetAside.objects.filter(job=job), "next_try_at")


def to_settle() -> Earliest:
    return _earliest(transitions.to_advance(), "created_at")


def to_sweep() -> Earliest:
    waiting = Batch.objects.filter(state=Batch.State.WAITING, mailing__state=State.CANCELLED)
    return _earliest(waiting, "not_before")


def to_judge() -> Earliest:
    open_ = Mailing.objects.running().filter(first_wave__gt=0, wave_passed_at__isnull=True)
    return _earliest(open_, "created_at")


def to_recall() -> Earliest:
    answered = [Batch.State.ANSWERED, Batch.State.SILENT]
    marked = Batch.objects.filter(recall_at__isnull=False, state__in=answered)
    return _earliest(marked, "recall_at")


def in_flight() -> Earliest:
    return _earliest(Batch.objects.filter(state=Batch.State.IN_FLIGHT), "claimed_at")


def to_look_up() -> Earliest:
    asked = Batch.objects.filter(look_up_at__isnull=False, account__isnull=False)
    return _earliest(asked, "look_up_at")


def to_report() -> Earliest:
    return _earliest(SimulatedSms.objects.filter(reported=False), "report_at")


def _first_batch(mailings: "QuerySet[Mailing]", wave: Q) -> Earliest:
    """Find the first waiting batch of these mailings: one read of an index for each of them, however many
    batches it has.
    """
    batches = Batch.objects.filter(wave, mailing=OuterRef("pk"), state=Batch.State.WAITING)
    first = batches.order_by("not_before").values("not_before")[:1]
    found = mailings.annotate(first=Subquery(first)).filter(first__isnull=False)
    return _earliest(found, "first")


def _earliest(rows: "QuerySet[Any]", column: str) -> Earliest:
    return rows.order_by(column).values_list(F(column), flat=True)[:1]
