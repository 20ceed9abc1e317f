"""Removes the messages and clicks of mailings that ended long ago (KEEP_MESSAGES_DAYS; without it, nothing). The
counters stay, and the mailing tells since when its people can no longer be listed.
"""

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from mailings.audience.conditions import asked_about
from mailings.models import Click, Mailing, Message
from mailings.sending import epoch
from smsmail.jobs import heartbeat
from smsmail.jobs.set_aside import Thing, Work, one_by_one, set_aside_ids
from smsmail.uptime import clock
from users.models import Segment, audit

State = Mailing.State
FORGETTING = Work("forget_messages")
AT_ONCE = 5  # mailings in one run, which the time limit of a task must not end
# Rows in one transaction, which takes 29 ms on PostgreSQL, and 75 ms on SQLite, where others wait to write for
# as long (medians of 500,000 rows on a loaded machine).
SLICE = 5000
RUN = 5.0  # seconds for which one run goes on with one mailing


def forget_due() -> bool:
    """Periodic job: remove some slices of each mailing that ended long enough ago. Returns True when one
    has more. A restored copy removes nothing: what was sent is compared with it.

    The messages of notifications stay: their keys keep an event from being sent twice.
    """
    if not settings.KEEP_MESSAGES_DAYS or epoch.is_held():
        return False
    ids = list(_due().order_by("finished_at", "id").values_list("id", flat=True)[:AT_ONCE])
    return one_by_one(FORGETTING, map(Thing, ids), _remove_some)


def _due() -> "QuerySet[Mailing]":
    """Leave out mailings that a rule asks about: without its messages, "was not sent the mailing" would
    be true of everybody.
    """
    written = [*Segment.objects.values_list("rule", flat=True)]
    running = Mailing.objects.exclude(state__in=[State.DONE, State.CANCELLED])
    written += running.filter(rule__isnull=False).values_list("rule", flat=True)
    named, days = asked_about(written)
    before = timezone.now() - timedelta(days=max(settings.KEEP_MESSAGES_DAYS, days + 1))
    ended = Mailing.objects.campaigns().filter(
        state__in=[State.DONE, State.CANCELLED], finished_at__lt=before
    )
    left = Exists(_messages(OuterRef("pk"))) | Exists(_clicks(OuterRef("pk")))
    ended = ended.filter(Q(messages_removed_at__isnull=True) | left)
    return ended.exclude(id__in=named).exclude(id__in=set_aside_ids(FORGETTING.name))


def _remove_some(mailing_id: int) -> bool:
    """Remove slices for RUN seconds, each in a transaction of its own, and pause for as long as each has
    taken, so that others come to write. Returns True when there is more.
    """
    _mark(mailing_id)
    until = clock() + RUN
    for rows in (_clicks(mailing_id), _messages(mailing_id)):
        # Each slice begins where the last one ended: from the start, the index would lead over all that was
        # removed before.
        last: int | None = 0
        while last is not None:
            if clock() > until:
                return True
            began = clock()
            last = _remove_slice(rows, after=last)
            heartbeat.beat()
            time.sleep(clock() - began)
    return False


def _mark(mailing_id: int) -> None:
    """From now on its counters are not compared with its rows any more, and pages say why."""
    with transaction.atomic(durable=True):
        unmarked = Mailing.objects.filter(id=mailing_id, messages_removed_at__isnull=True)
        if unmarked.update(messages_removed_at=timezone.now()):
            audit(None, "messages_removed", f"mailing {mailing_id}")


def _remove_slice(rows: "QuerySet[Any]", after: int) -> int | None:
    """Remove the next SLICE rows. Returns the id of the last one; None when there are no more."""
    rest = rows.filter(id__gt=after).order_by("id")
    with transaction.atomic(durable=True):
        last: int | None = rest.values_list("id", flat=True)[SLICE - 1 : SLICE].first()
        (rest if last is None else rest.filter(id__lte=last)).order_by().delete()
    return last


def _messages(mailing: Any) -> "QuerySet[Message]":
    return Message.objects.filter(mailing=mailing, status__in=Message.FINAL)


def _clicks(mailing: Any) -> "QuerySet[Click]":
    return Click.objects.filter(mailing=mailing, processed_at__isnull=False)
