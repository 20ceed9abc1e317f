"""Claim a batch: the last moment at which anything is left out or held, and a transaction of its own. What
is claimed holds all that the hand-over (worker.py) needs, without the database.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Case, CharField, Exists, OuterRef, Q, Value, When
from django.utils import timezone

from integrations.models import Account
from integrations.providers.base import Provider, Sms
from integrations.reasons import Reason
from integrations.routing import cooldown, logins, rate_limit, routing
from mailings.models import Batch, Mailing, Message
from mailings.text import markers
from mailings.text.sealed import opened
from smsmail.jobs import steady_clock
from smsmail.jobs.moments import beyond
from smsmail.jobs.set_aside import Thing, Work, held, is_outage
from smsmail.uptime import clock
from users.consent import consent

from . import clock_repair, epoch, lateness, ledger, witnesses
from .ledger import Move
from .send_times import Departure, Leave, may_leave

Status = Message.Status
HANDING_OVER = Work("hand_over", "batch")
# A pause of the pace that is waited out; for a longer one the clock comes again soon enough.
LONGEST_PAUSE = 1.2
# A batch handed over this long ago can have no request under way: it holds no place any more,
# though only the lease decides what became of it.
BUSY = timedelta(seconds=settings.BATCH_DEADLINE + settings.READ_TIMEOUT)


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A claimed Batch: all that the hand-over needs, without the database."""

    batch_id: int
    mailing_id: int
    account_id: int
    reference: str
    provider: Provider
    messages: tuple[Sms, ...]
    part_price: Decimal | None  # of the account, for services that do not say
    claimed: float  # http.clock()
    tick: int = 0  # of the epoch

    @property
    def deadline(self) -> float:
        return self.claimed + settings.BATCH_DEADLINE


class CannotClaim(Exception):
    """Something is wrong with this batch: the others are to go on. Its cause is the error."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch.id)
        self.thing = Thing(batch.id, f"mailing {batch.mailing_id}")


@contextmanager
def blaming(batch: Batch) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise
        raise CannotClaim(batch) from error


def claim(*, lane: bool = False) -> ClaimedBatch | None:
    """Take one waiting batch for the account that sends now; None when there is nothing to do now.
    lane: of notifications and tests alone.

    Late refusals, and whose message has outlived its time, are left out here, the last moment before
    the hand-over.
    """
    if epoch.is_held():
        return None
    batch = _claim(lane=lane)
    # On disk outside the database before anything leaves: so a copy from before it is known for one.
    if batch is not None and not epoch.note(batch.tick):
        raise epoch.NoPlace  # the lease will find the batch, and the service is asked
    return batch


def _claim(*, lane: bool) -> ClaimedBatch | None:
    with transaction.atomic(durable=True):
        account, places = _free_account(lane=lane)
        if account is None:
            return None
        provider = routing.provider_of(account)
        # Of several places, the last is kept free for a notification.
        waiting = _waiting_batch(provider, lane=lane or places == 1 < account.parallel)
        if waiting is None:
            return None
        batch, too_late = waiting
        with blaming(batch):
            return _claimed(batch, account, provider, too_late=too_late)


def _claimed(
    batch: Batch, account: Account, provider: Provider, *, too_late: bool
) -> ClaimedBatch | None:
    """None: a copy of the database has been put back, and the claim is rolled back."""
    messages = _fit_messages(batch, too_late=too_late)
    rate_limit.reserve(account, len(messages))
    batch.state = Batch.State.HANDING if messages else Batch.State.ANSWERED
    batch.account = account
    batch.claimed_at = timezone.now()
    batch.login = logins.fingerprint(account.provider, account.credentials)
    batch.witness = witnesses.reference_for(account, batch.login)
    batch.save(update_fields=["state", "account", "claimed_at", "send_at", "login", "witness"])
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
    """The account that sends now, locked, if its hands are not full and its pace allows a batch; and
    how many places it has left.

    The lock makes both hold over all workers; a claim keeps it for a few milliseconds.
    """
    sender = routing.sender()
    if sender is None:
        return None, 0
    # Looked at again: while we waited for the lock it may have gone to rest, or been disconnected.
    account = Account.objects.select_for_update(no_key=True).get(id=sender.id)
    pause = rate_limit.wait_of(account)
    # A longer one is of a batch that was written before the pace was set: the lane does not wait for it.
    paused = 0 < pause <= LONGEST_PAUSE if lane else pause > 0
    if cooldown.is_on(account) or not account.connected or paused:
        return None, 0
    now = timezone.now()
    in_hand = Batch.objects.filter(
        account=account, state=Batch.State.HANDING, claimed_at__gt=now - BUSY
    )
    claimed = list(in_hand.values_list("claimed_at", flat=True))
    if any(beyond(at, timedelta(), now) for at in claimed):
        clock_repair.mend_claims(in_hand, now)
    places = account.parallel - len(claimed)
    return (account if places > 0 else None), places


def _waiting_batch(provider: Provider, *, lane: bool) -> tuple[Batch, bool] | None:
    """A batch that leaves now, or whose messages have outlived their time (True).

    Of a notification or test before mailings (lane: of those alone); among mailings by chance, so that
    a million messages of one do not hold up a hundred of another.
    """
    now = timezone.now()
    waiting = Batch.objects.filter(state=Batch.State.WAITING, not_before__lte=now)
    if not steady_clock.holds():  # what no hour is set for goes on
        waiting = waiting.filter(zone="", send_at=None, expires_at=None, mailing__starts_at=None)
    waiting = waiting.exclude(id__in=held(HANDING_OVER.name))
    of_it = waiting.filter(mailing=OuterRef("pk"))
    mailings = Mailing.objects.filter(
        # The second wave when the first has passed.
        Exists(of_it.filter(wave=0))
        | Q(Exists(of_it.filter(wave__gt=0)), wave_passed_at__isnull=False),
        state__in=Mailing.RUNNING,
    )
    if lane:
        mailings = mailings.exclude(kind=Mailing.Kind.MAILING)
    running = list(mailings)
    random.shuffle(running)
    running.sort(key=lambda mailing: mailing.kind == Mailing.Kind.MAILING)
    for mailing in running:
        batches = waiting.filter(mailing=mailing)
        if mailing.wave_passed_at is None:
            batches = batches.filter(wave=0)
        batches = batches.select_for_update(skip_locked=True, no_key=True).order_by("id")
        while (batch := batches.first()) is not None:
            planned = Departure.of(batch).arrives
            if lateness.missed(mailing, planned, now) and lateness.hold_missed(mailing.id):
                break
            with blaming(batch):
                leave = may_leave(batch, provider, now)
            if leave is not Leave.HELD:
                return batch, leave is Leave.TOO_LATE
    return None


def _fit_messages(batch: Batch, *, too_late: bool) -> tuple[Sms, ...]:
    """The messages still waiting in the batch, less those who refused in between; none of a batch whose
    lifetime is over.
    """
    rows = list(
        batch.messages.filter(status=Status.WAITING)
        # In the same query: asked with lists of 500 ids and phones, this was half of a claim's time.
        .annotate(why_not=why_refused(Reason.TOO_LATE.value if too_late else ""))
        .order_by("id")
        .values_list("id", "phone", "text", "why_not")
    )
    late = [Move(key, Status.SKIPPED, reason) for key, _, _, reason in rows if reason]
    ledger.move(late)
    at, until = batch.send_at, batch.expires_at
    return tuple(
        Sms(key, phone, markers.filled(opened(body), key), at, until)
        for key, phone, body, why in rows
        if not why
    )


def why_refused(otherwise: str = "") -> Case:
    """For queries over messages: why nothing may be sent to this person or phone now."""
    return Case(
        When(consent.forbidden("user_id"), then=Value(Reason.FORBIDDEN)),
        When(consent.opted_out("phone"), then=Value(Reason.OPTED_OUT)),
        default=Value(otherwise),
        output_field=CharField(),
    )
