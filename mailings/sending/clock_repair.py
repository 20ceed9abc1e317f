"""Repairs times that a wrong clock has written: times further ahead than anything ever waits.

Code that waits for such a time ignores it (smsmail.jobs.moments) or calls this module first. For
some times (the next look-up, the end of quiet hours) the column alone does not show that they are
wrong. Those are planned again as soon as a clock shows an earlier time than some clock has shown
before: one of the two was wrong.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from integrations.models import Account
from integrations.routing import cooldown, rate_limit
from mailings.models import Batch, ClockReading, Mailing
from mailings.models.mailing import BatchQuerySet
from smsmail.jobs.moments import SKEW, beyond
from smsmail.jobs.set_aside import Thing, Work, in_halves, one_by_one, set_aside_ids

from . import send_times

logger = logging.getLogger(__name__)

# A batch that was claimed under a wrong clock may have been submitted this much earlier. The
# provider's records are read from that time on: reading too far back costs time, not far enough a
# second SMS.
UNSURE = timedelta(days=2)
NONE = timedelta()
FURTHEST = 50  # batches
# Parts of the job "mend".
ACCOUNTS, BATCHES = Work("mend", "account"), Work("mend_batches", "batch")
SEND_WINDOWS = Work("mend_send_windows")


def mend_due() -> bool:
    """Periodic job: a few small queries. As long as no time is wrong, it repairs nothing."""
    now = timezone.now()
    _mend_accounts(now)
    _mend_claims(now)
    _mend_recalls(now)
    set_back = _set_back(now) or _answered_to_come(now)
    if set_back:
        logger.warning("a clock was set back, or another was fast: times to wait for are set again")
        _look_up_anew(now)
    _mend_send_windows(now, all_of_them=set_back)
    return False


def mend_claims(batches: BatchQuerySet, now: datetime) -> int:
    """Repair batches in flight that were claimed in the future; return how many. Their lease, and
    the place that they take up in the account, count from `now` on.
    """
    ahead = batches.in_flight().filter(claimed_at__gt=now + SKEW)
    if not ahead.exists():  # without this check, SQLite would take a write lock
        return 0
    return ahead.update(claimed_at=now, books_since=now - UNSURE)


def _mend_claims(now: datetime) -> None:
    ahead = Batch.objects.in_flight().filter(claimed_at__gt=now + SKEW)
    _each(ahead, lambda batches: mend_claims(batches, now))


def _mend_accounts(now: datetime) -> None:
    accounts = Account.objects.filter(
        Q(cooldown_until__gt=now + SKEW) | Q(next_free_at__gt=now + SKEW) | Q(balance_at__gt=now)
    ).in_bulk()
    things = [Thing(each.pk, f"account {each.provider}") for each in accounts.values()]
    one_by_one(ACCOUNTS, things, lambda key: _mend_account(accounts[key], now))


def _mend_account(account: Account, now: datetime) -> None:
    pause = rate_limit.longest_wait(account)
    # The longest wait that is possible, and the wait from now on that replaces a longer one.
    waits = {
        "cooldown_until": (cooldown.longest(), cooldown.present_length(account)),
        "next_free_at": (pause, pause),
        "balance_at": (NONE, NONE),
    }
    for name, (longest, instead) in waits.items():
        written = getattr(account, name)
        if beyond(written, longest, now):
            # Change only the value that we have read: somebody else may have written a good one
            # since.
            same = Account.objects.filter(id=account.id, **{name: written})
            same.update(**{name: now + instead})


def _mend_recalls(now: datetime) -> None:
    late = Batch.objects.filter(recall_at__gt=now + timedelta(seconds=settings.LEASE) + SKEW)
    _each(late, lambda batches: batches.update(recall_at=now))


def _each(batches: BatchQuerySet, mend: Callable[[BatchQuerySet], object]) -> None:
    """Repair all the batches in one statement; batches that cannot be repaired are set aside."""
    found = (
        batches.exclude(id__in=set_aside_ids(BATCHES.name))
        .order_by()
        .values_list("id", "mailing_id")
    )
    mailings = dict(found)

    def some(ids: Sequence[int]) -> None:
        mend(batches.filter(id__in=ids))

    if mailings:
        in_halves(BATCHES, list(mailings), some, lambda batch: f"mailing {mailings[batch]}")


def _set_back(now: datetime) -> bool:
    """Does this clock show less than the latest reading on record? Only one worker gets True."""
    row, _made = ClockReading.objects.get_or_create(id=ClockReading.ONLY, defaults={"latest": now})
    if row.latest > now + SKEW:
        mine = ClockReading.objects.filter(id=row.pk, latest__gt=now + SKEW)
        return bool(mine.update(latest=now))
    ClockReading.objects.filter(id=row.pk, latest__lt=now).update(latest=now)
    return False


def _answered_to_come(now: datetime) -> bool:
    """Was any batch claimed or answered in the future? Only the FURTHEST batches are read, those
    with the latest look-up time: a clock that was wrong for a moment may have left no other trace.
    """
    furthest = Batch.objects.filter(look_up_at__gt=now).order_by("-look_up_at")
    latest = [
        max(filter(None, times), default=now)
        for times in furthest.values_list("claimed_at", "answered_at")[:FURTHEST]
    ]
    return any(beyond(each, NONE, now) for each in latest)


def _look_up_anew(now: datetime) -> None:
    """Plan all look-ups again. Look-ups made so far no longer count, since the wrong clock may have
    made them too early. The next one comes after a lease, and no provider's records lag longer.
    """
    open_ = Batch.objects.filter(look_up_at__isnull=False)
    open_.filter(look_ups__gt=0).update(look_ups=0)
    soon = now + timedelta(seconds=settings.LEASE)
    open_.filter(Q(send_at=None) | Q(send_at__lte=now), look_up_at__gt=soon).update(look_up_at=soon)
    # Waiting for receipts counts from now on, too, whether a batch is in flight or not.
    open_.filter(claimed_at__gt=now + SKEW).update(claimed_at=now, books_since=now - UNSURE)
    open_.filter(answered_at__gt=now + SKEW).update(answered_at=now)


def _mend_send_windows(now: datetime, *, all_of_them: bool) -> None:
    """Plan waiting batches again if their send window is later than the set time and the quiet hours
    of their zone allow. all_of_them: plan every batch that waits for a time in the future.
    """
    running = Mailing.objects.filter(state__in=[*Mailing.RUNNING, Mailing.State.PAUSED]).in_bulk()

    def mend(key: int) -> None:
        mailing = running[key]
        batches = mailing.batches.waiting().filter(not_before__gt=now + SKEW)
        latest = batches.order_by("-not_before").values_list("not_before", flat=True).first()
        if latest is None:
            return
        planned = max(now, mailing.starts_at or now)
        night = send_times.LONGEST_NIGHT if send_times.quiet_hours(mailing) else NONE
        if all_of_them or beyond(latest, planned - now + night, now):
            send_times.plan_anew(batches, mailing, now)

    one_by_one(SEND_WINDOWS, map(Thing, running), mend)
