"""Claims a batch for sending, in a transaction of its own. This is the last place that skips
messages or delays a batch. A ClaimedBatch holds everything that worker.py needs to submit it
without the database.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from integrations.models import Account
from integrations.providers.base import Provider
from integrations.providers.contract import Sms
from integrations.reasons import Reason
from integrations.routing import cooldown, logins, rate_limit, routing
from mailings.models import Batch, Mailing, Message
from mailings.models.mailing import BatchQuerySet
from mailings.text import markers
from mailings.text.sealed import opened
from smsmail.compiled_query import CompiledQuery, CompiledUpdate
from smsmail.jobs import steady_clock
from smsmail.jobs.moments import beyond
from smsmail.jobs.set_aside import Thing, Work, is_outage
from smsmail.models import LONGEST, SetAside
from smsmail.uptime import clock
from users.consent import consent

from . import clock_repair, epoch, lateness, ledger, witnesses
from .ledger import Move
from .send_times import Leave, SendWindow, may_leave

Status = Message.Status
SUBMITTING = Work("hand_over", "batch")
# Seconds. A worker waits out a pause of the rate limit up to this long; after a longer one, the
# next run of the periodic job continues soon enough.
LONGEST_PAUSE = 1.2
# After this long no request of a batch can be running, so the batch no longer counts against
# `parallel`. Its result is still decided at the end of the lease.
BUSY = timedelta(seconds=settings.BATCH_DEADLINE + settings.READ_TIMEOUT)


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A claimed batch, with everything that is needed to submit it without the database."""

    batch_id: int
    mailing_id: int
    account_id: int
    reference: str
    provider: Provider
    messages: tuple[Sms, ...]
    part_price: Decimal | None  # the account's price per segment, for providers that report none
    claimed: float  # the time of the claim, in seconds of smsmail.uptime.clock()
    tick: int = 0  # the number of the epoch at the claim

    @property
    def deadline(self) -> float:
        """Return the time after which no request may start, in smsmail.uptime.clock() seconds."""
        return self.claimed + settings.BATCH_DEADLINE


class CannotClaim(Exception):
    """A batch failed to be claimed, and the other batches go on. The cause is the original error."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch.id)
        self.thing = Thing(batch.id, f"mailing {batch.mailing_id}")


@contextmanager
def blaming(batch: Batch) -> Iterator[None]:
    """Turn an error in the block into CannotClaim for this batch; a database outage passes through."""
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise
        raise CannotClaim(batch) from error


def claim(*, lane: bool = False) -> ClaimedBatch | None:
    """Claim one waiting batch for the account that sends now; None when there is nothing to do now.

    lane: claim only batches of notifications and tests. People who have opted out since, and
    messages whose lifetime is over, are skipped here, at the last moment before submission. Raises
    CannotClaim for a batch that fails, and epoch.NoPlace when STATE_DIR cannot be written.
    """
    if epoch.is_held():
        return None
    batch = _claim(lane=lane)
    # The number is on disk, outside the database, before anything leaves. So a copy of the database
    # that was made before this claim is recognised as one.
    if batch is not None and not epoch.note(batch.tick):
        raise epoch.NoPlace  # when the lease is over, recover_due() has the provider asked
    return batch


def _claim(*, lane: bool) -> ClaimedBatch | None:
    with transaction.atomic(durable=True):
        account, places = _free_account(lane=lane)
        if account is None:
            return None
        provider = routing.provider_of(account)
        # Where an account has several places, the last one is kept free for a notification.
        waiting = _waiting_batch(provider, lane=lane or places == 1 < account.parallel)
        if waiting is None:
            return None
        batch, too_late = waiting
        with blaming(batch):
            return _claimed(batch, account, provider, too_late=too_late)


def _claimed(
    batch: Batch, account: Account, provider: Provider, *, too_late: bool
) -> ClaimedBatch | None:
    """Write the claim down. None when the epoch is held (the database is or may be a restored
    copy): the claim is then rolled back.
    """
    messages = _fit_messages(batch, too_late=too_late)
    rate_limit.reserve(account, len(messages))
    batch.state = Batch.State.IN_FLIGHT if messages else Batch.State.ANSWERED
    batch.account = account
    batch.claimed_at = timezone.now()
    batch.login = logins.fingerprint(account.provider, account.credentials)
    batch.witness = witnesses.reference_for(account, batch.login)
    _WRITE_CLAIM.run(
        key=batch.id,
        state=batch.state.value,
        account=account.id,
        claimed_at=batch.claimed_at,
        send_at=batch.send_at,
        login=batch.login,
        witness=batch.witness,
    )
    tick = epoch.advance()
    if tick is None:
        transaction.set_rollback(True)
        return None
    return ClaimedBatch(
        batch_id=batch.id,
        mailing_id=batch.mailing_id,
        account_id=account.id,
        reference=batch.reference,
        provider=provider,
        messages=messages,
        part_price=account.price or None,
        claimed=clock(),
        tick=tick,
    )


def _free_account(*, lane: bool) -> tuple[Account | None, int]:
    """Return the account that sends now, locked, and how many places it has left. The account is
    None if all its places are taken, or if its cooldown or its rate limit does not allow a batch
    now.

    The lock makes both limits hold across all workers; a claim keeps it for a few milliseconds.
    """
    sender = routing.sender()
    if sender is None:
        return None, 0
    # Read again: while we waited for the lock, a cooldown may have begun, or somebody disconnected
    # it.
    [account] = _LOCKED_ACCOUNT.instances(key=sender.id)
    pause = rate_limit.wait_of(account)
    # The lane ignores longer pauses: they come from batches built before the rate limit was
    # lowered.
    paused = 0 < pause <= LONGEST_PAUSE if lane else pause > 0
    if cooldown.is_on(account) or not account.connected or paused:
        return None, 0
    now = timezone.now()
    claimed = [at for (at,) in _IN_HAND.rows(account=account.id, since=now - BUSY)]
    if any(beyond(at, timedelta(), now) for at in claimed):
        clock_repair.mend_claims(_in_hand(account.id, now - BUSY), now)
    places = account.parallel - len(claimed)
    return (account if places > 0 else None), places


def _waiting_batch(provider: Provider, *, lane: bool) -> tuple[Batch, bool] | None:
    """Return a locked batch, and whether the lifetime of its messages is over; None if there is
    none.

    Notifications and tests come before mailings (lane: only those come). Mailings take turns at
    random, so that a million messages of one do not delay a hundred messages of another.
    """
    now = timezone.now()
    steady = steady_clock.holds()
    running = _RUNNING[lane, steady].instances(now=now, horizon=now + LONGEST)
    random.shuffle(running)
    running.sort(key=lambda mailing: mailing.is_campaign)
    for mailing in running:
        first = _FIRST_BATCH[mailing.wave_passed_at is not None, steady]
        while batches := first.instances(mailing=mailing.id, now=now, horizon=now + LONGEST):
            [batch] = batches
            planned = SendWindow.of(batch).arrives
            if lateness.missed(mailing, planned, now) and lateness.hold_missed(mailing.id):
                break
            with blaming(batch):
                leave = may_leave(batch, provider, now)
            if leave is not Leave.HELD:
                return batch, leave is Leave.TOO_LATE
    return None


def _fit_messages(batch: Batch, *, too_late: bool) -> tuple[Sms, ...]:
    """Return the messages of the batch that still wait, and skip those of people who have opted out
    meanwhile. With too_late, all of them are skipped.
    """
    # Who may not be sent to is found by the same query: a query with lists of 500 ids and phones took
    # half of a claim's time.
    rows = _FIT[too_late].rows(batch=batch.id)
    late = [Move(key, Status.SKIPPED, reason) for key, _, _, reason in rows if reason]
    ledger.move(late)
    at, until = batch.send_at, batch.expires_at
    return tuple(
        Sms(key, phone, markers.filled(opened(body), key), at, until)
        for key, phone, body, why in rows
        if not why
    )


def why_refused(otherwise: str = "") -> Case:
    """Return an expression for queries over messages: the Reason why nothing may be sent to this
    person or phone now; `otherwise` where there is none.
    """
    return Case(
        When(consent.forbidden("user_id"), then=Value(Reason.FORBIDDEN)),
        When(consent.opted_out("phone"), then=Value(Reason.OPTED_OUT)),
        default=Value(otherwise),
        output_field=CharField(),
    )


# --- what runs for every batch ------------------------------------------------------------------


def _in_hand(account: int, since: datetime) -> BatchQuerySet:
    """The batches of the account whose requests may be running."""
    return Batch.objects.filter(account=account, state=Batch.State.IN_FLIGHT, claimed_at__gt=since)


def _waiting(now: datetime, horizon: datetime, *, steady: bool) -> "QuerySet[Batch]":
    """The batches that may leave now, but for those that were set aside. horizon: see SetAside.held()."""
    waiting = Batch.objects.filter(state=Batch.State.WAITING, not_before__lte=now)
    if not steady:  # batches that depend on no time of day go on
        waiting = waiting.filter(zone="", send_at=None, expires_at=None, mailing__starts_at=None)
    resting = SetAside.objects.filter(
        job=SUBMITTING.name, next_try_at__gt=now, next_try_at__lte=horizon
    )
    return waiting.exclude(id__in=resting.values("item_id"))


def _running(now: datetime, horizon: datetime, *, lane: bool, steady: bool) -> "QuerySet[Mailing]":
    of_it = _waiting(now, horizon, steady=steady).filter(mailing=OuterRef("pk"))
    mailings = Mailing.objects.running().filter(
        # Later waves leave only after the first one has passed.
        Exists(of_it.filter(wave=0))
        | Q(Exists(of_it.filter(wave__gt=0)), wave_passed_at__isnull=False)
    )
    return mailings.single_sends() if lane else mailings


def _first_batch(
    mailing: int, now: datetime, horizon: datetime, *, all_waves: bool, steady: bool
) -> "QuerySet[Batch]":
    batches = _waiting(now, horizon, steady=steady).filter(mailing=mailing)
    if not all_waves:
        batches = batches.filter(wave=0)
    return batches.select_for_update(skip_locked=True, no_key=True).order_by("id")[:1]


def _fit(batch: int, *, otherwise: str) -> "QuerySet[Message, Any]":
    waiting = Message.objects.filter(batch=batch, status=Status.WAITING)
    refused = waiting.annotate(why_not=why_refused(otherwise)).order_by("id")
    return refused.values_list("id", "phone", "text", "why_not")


BOTH = (False, True)
_LOCKED_ACCOUNT = CompiledQuery(
    Account, lambda key: Account.objects.select_for_update(no_key=True).filter(id=key)
)
_IN_HAND = CompiledQuery(
    Batch, lambda account, since: _in_hand(account, since).values_list("claimed_at")
)
_RUNNING = {
    (lane, steady): CompiledQuery(Mailing, partial(_running, lane=lane, steady=steady))
    for lane in BOTH
    for steady in BOTH
}
_FIRST_BATCH = {
    (all_waves, steady): CompiledQuery(
        Batch, partial(_first_batch, all_waves=all_waves, steady=steady)
    )
    for all_waves in BOTH
    for steady in BOTH
}
_FIT = {
    too_late: CompiledQuery(
        Message, partial(_fit, otherwise=Reason.TOO_LATE.value if too_late else "")
    )
    for too_late in BOTH
}
_WRITE_CLAIM = CompiledUpdate(
    lambda key, **changes: (
        Batch.objects.filter(id=key),
        {
            "state": changes["state"],
            "account": changes["account"],
            "claimed_at": changes["claimed_at"],
            "send_at": changes["send_at"],
            "login": changes["login"],
            "witness": changes["witness"],
        },
    ),
    moments=["send_at"],
)
