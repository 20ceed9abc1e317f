"""Hand batches over, and find those that nobody answered for.

claim() and record() (claim.py, record.py) are transactions of their own; between them no
transaction is open, and the request is made in a pool thread that never touches the database: what it
must know at the last moment, this thread looks up for it (last_look.py).
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from integrations.providers.base import Outcome, SendResult
from integrations.reasons import Reason
from integrations.routing import rate_limit, routing
from mailings.models import Batch, Message
from smsmail.jobs import heartbeat, set_aside
from smsmail.jobs.set_aside import Thing, Work, one_by_one
from smsmail.uptime import clock

from . import claim, ledger, record
from .claim import LONGEST_PAUSE, ClaimedBatch
from .last_look import Gatekeeper
from .ledger import Move

logger = logging.getLogger(__name__)

Status = Message.Status
# Seconds for which one call of the clock job goes on claiming: the last batch has all its time after that,
# and the limit of a task must not come before (checks.py).
SLICE = min(10.0, settings.BATCH_DEADLINE / 6)
# The lane of notifications looks for new ones so often while it waits for answers, and goes on for so
# long; what it claims last is answered, or given up, in time for the limit of a task.
LANE_LOOK = 0.3
RECOVERED_AT_ONCE = 100  # batches; one that cannot be recovered is looked at with the others
LANE_SLICE = max(SLICE, settings.TASK_LIMIT - settings.BATCH_DEADLINE - settings.READ_TIMEOUT - 5)


def hand_over_due() -> bool:
    """Clock job: claim, hand over and record for SLICE seconds; True when batches are left."""
    return _hand_over()


def notify_due() -> bool:
    """Clock job: the same for notifications and tests alone, with threads of its own: a mailing that
    fills the others, or whose service is slow, does not hold them up.
    """
    return _hand_over(lane=True)


def _hand_over(*, lane: bool = False) -> bool:
    began = clock()
    until = began + SLICE
    air = _Air(began, lane=lane)
    claimed: list[int] = []
    more = True
    try:
        while air.batches or (more and clock() < until):
            if lane and air.batches:  # an answer that is long in coming keeps nobody waiting
                until = began + LANE_SLICE
            while more and len(air.batches) < settings.HAND_OVER_THREADS and clock() < until:
                batch = _claim(lane=lane)
                more = batch is not None
                if batch is not None:
                    claimed.append(batch.batch_id)
                    air.take(batch)
                air.keeper.look()
            heartbeat.beat()
            pause = 0.0 if more or clock() >= until else _pause()
            if air.batches:
                air.land(LANE_LOOK if lane else pause or heartbeat.period())
                more = True  # a place is free again
            elif 0 < pause < LONGEST_PAUSE:
                time.sleep(pause)
                more = True
    finally:
        air.land_all()  # whatever broke, what is in the air must be written down
    set_aside.recovered(claim.HANDING_OVER, claimed)
    return more


def _claim(*, lane: bool) -> claim.ClaimedBatch | None:
    """The next one; those with which something is wrong are set aside."""
    while True:
        try:
            batch = claim.claim(lane=lane)
        except claim.CannotClaim as broken:
            set_aside.put(claim.HANDING_OVER, broken.thing, _cause(broken))
        else:
            return batch


def _cause(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error


class _Air:
    """The batches that one call of the clock job has in the air."""

    def __init__(self, began: float, *, lane: bool) -> None:
        self.began = began
        self.pool = _pool(lane=lane)
        self.keeper = Gatekeeper()
        self.batches: dict[Future[list[SendResult]], ClaimedBatch] = {}

    def take(self, batch: ClaimedBatch) -> None:
        self.keeper.attend(batch)
        future = self.pool.submit(hand_over, batch)
        self.batches[future] = batch
        future.add_done_callback(lambda _: self.keeper.bell.set())

    def land(self, timeout: float | None = None) -> None:
        """Wait for the next answers and record them; those who ask at a gate are answered meanwhile."""
        end = None if timeout is None else clock() + timeout
        while not (landed := [future for future in self.batches if future.done()]):
            if end is not None and clock() >= end:
                return
            self.keeper.bell.wait(None if end is None else max(0.0, end - clock()))
            self.keeper.bell.clear()
            self.keeper.look()
        self._record(landed)

    def land_all(self) -> None:
        """Raises the first error when each of them has had its turn."""
        errors: list[Exception] = []
        while self.batches:
            try:
                self.land()
            except Exception as error:  # noqa: BLE001 - one batch's trouble must not lose the others' answers
                errors.append(error)
        if errors:
            raise errors[0]

    def _record(self, landed: Sequence[Future[list[SendResult]]]) -> None:
        errors: list[Exception] = []
        for future in landed:
            batch = self.batches.pop(future)
            self.keeper.dismiss(batch)
            try:
                record_surely(batch, future.result(), until=_patience(batch, self.began))
            except Exception as error:  # noqa: BLE001 - as in land_all()
                logger.error("batch %s is not recorded: %s", batch.reference, type(error).__name__)
                errors.append(error)
        if errors:
            raise errors[0]


def _patience(batch: ClaimedBatch, began: float) -> float:
    """Until when an answer may wait for the database: as long as the lease, where nothing ends this
    process before; Celery ends it with the limit of its task.
    """
    lease = batch.claimed + settings.LEASE - 5
    return min(lease, began + settings.TASK_LIMIT - 5) if settings.REDIS_URL else lease


def _pause() -> float:
    """Seconds until the pace of the account that sends allows the next batch."""
    sender = routing.sender()
    return rate_limit.wait_of(sender) if sender else 0.0


def hand_over(batch: ClaimedBatch) -> list[SendResult]:
    """One result per message, whatever happens. No database here."""
    if not batch.messages:
        return []
    try:
        results = batch.provider.send(batch.reference, batch.messages, batch.deadline)
    except Exception as error:  # noqa: BLE001 - a provider's mistake must not lose a batch: it may have gone
        logger.error(
            "%s failed on %s: %s", batch.provider.slug, batch.reference, type(error).__name__
        )
        results = []
    answered = {result.key: result for result in results}
    return [
        answered.get(sms.key) or SendResult(sms.key, Outcome.UNKNOWN, reason=Reason.NO_ANSWER)
        for sms in batch.messages
    ]


def record_surely(
    batch: ClaimedBatch, results: Sequence[SendResult], until: float | None = None
) -> None:
    """recording.record(), again and again while the database is away, as long as the lease allows: what the
    provider has said would otherwise have to be asked for. until: http.clock() seconds.
    """
    until = _patience(batch, batch.claimed) if until is None else until
    while True:
        try:
            record.record(batch, results)
        except (OperationalError, InterfaceError):
            if clock() > until:
                raise
            connection.close()
            time.sleep(0.5)
        else:
            return


def recover_due() -> bool:
    """Clock job: a batch still in hand after the lease belongs to a dead worker. What it did not
    record may have gone: unknown, and the provider is asked.
    """
    over = timezone.now() - timedelta(seconds=settings.LEASE)
    late = Batch.objects.filter(state=Batch.State.HANDING, claimed_at__lt=over)
    due = late.order_by("claimed_at").values_list("id", "mailing_id")[:RECOVERED_AT_ONCE]
    batches = [Thing(batch, f"mailing {mailing}") for batch, mailing in due]
    return one_by_one(Work("recover", "batch"), batches, _recover)


def _recover(key: int) -> bool:
    with transaction.atomic(durable=True):
        batch = (
            Batch.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .filter(id=key, state=Batch.State.HANDING)
            .first()
        )
        if batch is None:
            return False
        left = batch.messages.filter(status=Status.WAITING).values_list("id", flat=True)
        moves = [Move(each, Status.UNKNOWN, Reason.NO_ANSWER) for each in left]
        ledger.move(moves, only_from={Status.WAITING}, in_batch=batch.id)
        batch.state = Batch.State.SILENT
        batch.look_up_at = timezone.now()  # the lease is longer than any provider's books lag
        batch.save(update_fields=["state", "look_up_at"])
    logger.warning("batch %s was never answered: %s messages unknown", batch.reference, len(moves))
    return True


@cache
def _pool(*, lane: bool) -> ThreadPoolExecutor:
    """One of each for the process, for as long as it lives; made in the process that uses it (fork)."""
    name = "lane" if lane else "hand-over"
    return ThreadPoolExecutor(settings.HAND_OVER_THREADS, thread_name_prefix=name)
