"""Put right what a wrong clock has written: moments that lie further ahead than anybody waits.

Everybody who waits for such a moment does not believe it (smsmail.jobs.moments), or comes here first. What
cannot be told from its column alone - when to look up, when the night is over - is planned anew as soon as
a clock shows less than another, or the same one, has shown before: one of the two was wrong.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from integrations.models import Account
from integrations.routing import cooldown, rate_limit
from mailings.models import Batch, ClockReading, Mailing
from smsmail.jobs.moments import SKEW, beyond
from smsmail.jobs.set_aside import Thing, Work, held, in_halves, one_by_one

from . import send_times

logger = logging.getLogger(__name__)

# So much earlier than it looks may a batch have been handed over that a wrong clock has claimed: books are
# read from then on, for reading too far back costs time, and not far enough costs a second SMS.
UNSURE = timedelta(days=2)
NONE = timedelta()
FURTHEST = 50  # batches
# Parts of the job "mend".
ACCOUNTS, BATCHES = Work("mend", "account"), Work("mend_batches", "batch")
DEPARTURES = Work("mend_departures")


def mend_due() -> bool:
    """Clock job: a few small questions, and nothing is written while all is well."""
    now = timezone.now()
    _mend_accounts(now)
    _mend_claims(now)
    _mend_recalls(now)
    set_back = _set_back(now) or _answered_to_come(now)
    if set_back:
        logger.warning(
            "a clock was set back, or another was fast: moments to wait for are set anew"
        )
        _look_up_anew(now)
    _mend_departures(now, all_of_them=set_back)
    return False


def mend_claims(batches: QuerySet[Batch], now: datetime) -> int:
    """Batches in hand since a time to come: the lease, and the place that they hold, count from now on."""
    ahead = batches.filter(state=Batch.State.HANDING, claimed_at__gt=now + SKEW)
    if not ahead.exists():  # without the look, SQLite would lock for writing
        return 0
    return ahead.update(claimed_at=now, books_since=now - UNSURE)


def _mend_claims(now: datetime) -> None:
    ahead = Batch.objects.filter(state=Batch.State.HANDING, claimed_at__gt=now + SKEW)
    _each(ahead, lambda batches: mend_claims(batches, now))


def _mend_accounts(now: datetime) -> None:
    accounts = Account.objects.filter(
        Q(cooldown_until__gt=now + SKEW) | Q(next_free_at__gt=now + SKEW) | Q(balance_at__gt=now)
    ).in_bulk()
    things = [Thing(each.pk, f"account {each.provider}") for each in accounts.values()]
    one_by_one(ACCOUNTS, things, lambda key: _mend_account(accounts[key], now))


def _mend_account(account: Account, now: datetime) -> None:
    pause = rate_limit.longest_wait(account)
    waits = {  # the longest that anybody waits, and how long from now on where it is longer
        "cooldown_until": (cooldown.longest(), cooldown.present_length(account)),
        "next_free_at": (pause, pause),
        "balance_at": (NONE, NONE),
    }
    for name, (longest, instead) in waits.items():
        written = getattr(account, name)
        if beyond(written, longest, now):
            # Only what we have read: somebody else may have written a good one since.
            same = Account.objects.filter(id=account.id, **{name: written})
            same.update(**{name: now + instead})


def _mend_recalls(now: datetime) -> None:
    late = Batch.objects.filter(recall_at__gt=now + timedelta(seconds=settings.LEASE) + SKEW)
    _each(late, lambda batches: batches.update(recall_at=now))


def _each(batches: QuerySet[Batch], mend: Callable[[QuerySet[Batch]], object]) -> None:
    """All of them in one statement; those that cannot be mended are set aside."""
    found = batches.exclude(id__in=held(BATCHES.name)).order_by().values_list("id", "mailing_id")
    mailings = dict(found)

    def some(ids: Sequence[int]) -> None:
        mend(batches.filter(id__in=ids))

    if mailings:
        in_halves(BATCHES, list(mailings), some, lambda batch: f"mailing {mailings[batch]}")


def _set_back(now: datetime) -> bool:
    """Does this clock show less than the latest that was ever written down? One worker hears yes."""
    row, _made = ClockReading.objects.get_or_create(id=ClockReading.ONLY, defaults={"latest": now})
    if row.latest > now + SKEW:
        mine = ClockReading.objects.filter(id=row.pk, latest__gt=now + SKEW)
        return bool(mine.update(latest=now))
    ClockReading.objects.filter(id=row.pk, latest__lt=now).update(latest=now)
    return False


def _answered_to_come(now: datetime) -> bool:
    """Is there a batch that was handed over, or answered, at a time to come? Only those are read whose look-up
    is furthest ahead: a clock that was wrong for less than a moment may have left nothing else behind.
    """
    furthest = Batch.objects.filter(look_up_at__gt=now).order_by("-look_up_at")
    latest = [
        max(filter(None, times), default=now)
        for times in furthest.values_list("claimed_at", "answered_at")[:FURTHEST]
    ]
    return any(beyond(each, NONE, now) for each in latest)


def _look_up_anew(now: datetime) -> None:
    """Whatever was heard of the books meanwhile does not count: the wrong clock may have asked too early.
    The next look comes after a lease, which no provider's books lag behind.
    """
    open_ = Batch.objects.filter(look_up_at__isnull=False)
    open_.filter(look_ups__gt=0).update(look_ups=0)
    soon = now + timedelta(seconds=settings.LEASE)
    open_.filter(Q(send_at=None) | Q(send_at__lte=now), look_up_at__gt=soon).update(look_up_at=soon)
    # In hand or not: waiting for receipts counts from then on, too.
    open_.filter(claimed_at__gt=now + SKEW).update(claimed_at=now, books_since=now - UNSURE)
    open_.filter(answered_at__gt=now + SKEW).update(answered_at=now)


def _mend_departures(now: datetime, *, all_of_them: bool) -> None:
    """Waiting batches that are held for longer than the time set, or the night there, can make them wait."""
    running = Mailing.objects.filter(state__in=[*Mailing.RUNNING, Mailing.State.PAUSED]).in_bulk()

    def mend(key: int) -> None:
        mailing = running[key]
        batches = mailing.batches.filter(state=Batch.State.WAITING, not_before__gt=now + SKEW)
        latest = batches.order_by("-not_before").values_list("not_before", flat=True).first()
        if latest is None:
            return
        planned = max(now, mailing.starts_at or now)
        night = send_times.LONGEST_NIGHT if send_times.quiet_hours(mailing) else NONE
        if all_of_them or beyond(latest, planned - now + night, now):
            send_times.plan_anew(batches, mailing, now)

    one_by_one(DEPARTURES, map(Thing, running), mend)
