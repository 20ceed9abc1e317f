"""Submits batches to the provider, and recovers batches whose worker has died.

claim() and record() (claim.py, record.py) are transactions of their own, and no transaction is open
between them. The request is made in a pool thread that never touches the database; the thread that uses
the database makes the last check before each request for it (last_look.py).
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

from integrations.providers.contract import Outcome, SendResult
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
# Seconds for which one run of the periodic job goes on claiming. The last batch still has all its time
# after that, and the time limit of a task must not end it before (mailings/checks.py).
SLICE = min(10.0, settings.BATCH_DEADLINE / 6)
# Seconds. While the lane of notifications waits for answers, it looks for new batches this often, and
# goes on for LANE_SLICE. The last batch that it claims is answered, or given up, before the time limit
# of a task.
LANE_LOOK = 0.3
RECOVERED_AT_ONCE = 100  # batches in one run; a batch that fails is set aside, and the others go on
LANE_SLICE = max(SLICE, settings.TASK_LIMIT - settings.BATCH_DEADLINE - settings.READ_TIMEOUT - 5)


def hand_over_due() -> bool:
    """Periodic job: claim, submit and record batches for SLICE seconds. Returns True when there may be
    more.
    """
    return _hand_over()


def notify_due() -> bool:
    """Periodic job: do the same for notifications and tests alone, with threads of its own, so that a
    mailing that fills the other threads, or a slow provider, does not delay them.
    """
    return _hand_over(lane=True)


def _hand_over(*, lane: bool = False) -> bool:
    """Claim, submit and record batches. Returns True when there may be more.

    1. Set the end of claiming: SLICE seconds from now.
    2. Repeat steps 3 to 7 while batches are in flight, or while there is more to claim and time is left.
    3. In the lane, put off the end of claiming to LANE_SLICE while a batch is in flight, so that a slow
       answer delays nobody.
    4. Claim and submit batches until there is none, there is no room for one, or the time is up. After
       each claim, answer the gates of requests that wait for their last check.
    5. Report that the worker is alive. If no batch was found and time is left, get the pause of the rate
       limit.
    6. If batches are in flight, wait for their answers or for room for another batch, record the answers
       that have come, and claim again. The wait is LANE_LOOK in the lane, else the pause or, without
       one, the period of the heartbeat.
    7. If none is in flight and the pause is short, sleep and claim again.
    8. In the end, record every batch that is still in flight, also after an error.
    9. Mark the claimed batches as recovered if they had been set aside.
    """
    # 1.
    began = clock()
    until = began + SLICE
    air = _Air(began, lane=lane)
    claimed: list[int] = []
    more = True
    try:
        # 2.
        while air.batches or (more and clock() < until):
            # 3.
            if lane and air.batches:
                until = began + LANE_SLICE
            # 4.
            while more and air.has_room() and clock() < until:
                batch = _claim(lane=lane)
                more = batch is not None
                if batch is not None:
                    claimed.append(batch.batch_id)
                    air.take(batch)
                air.keeper.look()
            # 5.
            heartbeat.beat()
            pause = 0.0 if more or clock() >= until else _pause()
            # 6.
            if air.batches:
                air.land(LANE_LOOK if lane else pause or heartbeat.period())
                more = True  # a place may be free again
            # 7.
            elif 0 < pause < LONGEST_PAUSE:
                time.sleep(pause)
                more = True
    finally:
        # 8.
        air.land_all()
    # 9.
    set_aside.recovered(claim.SUBMITTING, claimed)
    return more


def _claim(*, lane: bool) -> claim.ClaimedBatch | None:
    """Claim the next batch. Batches that fail to be claimed are set aside."""
    while True:
        try:
            batch = claim.claim(lane=lane)
        except claim.CannotClaim as broken:
            set_aside.put(claim.SUBMITTING, broken.thing, _cause(broken))
        else:
            return batch


def _cause(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error


class _Air:
    """The batches that one run of the periodic job has in flight."""

    def __init__(self, began: float, *, lane: bool) -> None:
        self.began = began
        self.lane = lane
        self.pool = _pool(lane=lane)
        self.keeper = Gatekeeper()
        self.batches: dict[Future[list[SendResult]], ClaimedBatch] = {}
        self.room_again = False

    def has_room(self) -> bool:
        """True if another batch could begin now: a thread is free, and so are requests of its service. A
        batch that is claimed and cannot begin would only be in doubt after a crash. The lane does not
        wait for mailings.
        """
        self.room_again = False
        if len(self.batches) >= settings.HAND_OVER_THREADS:
            return False
        return self.lane or all(batch.provider.has_room() for batch in self.batches.values())

    def take(self, batch: ClaimedBatch) -> None:
        """Give the batch a gate and submit it in a pool thread."""
        self.keeper.attend(batch)
        batch.provider.on_room = self._call
        future = self.pool.submit(hand_over, batch)
        self.batches[future] = batch
        future.add_done_callback(lambda _: self.keeper.bell.set())

    def _call(self) -> None:
        """There is room for another batch: end the wait of land()."""
        self.room_again = True
        self.keeper.bell.set()

    def land(self, timeout: float | None = None) -> None:
        """Wait up to `timeout` seconds for the next answers and record them, or until there is room for
        another batch. Meanwhile, answer the gates of requests that wait for their last check.
        """
        end = None if timeout is None else clock() + timeout
        while not (landed := [future for future in self.batches if future.done()]):
            if end is not None and clock() >= end:
                return
            self.keeper.bell.wait(None if end is None else max(0.0, end - clock()))
            self.keeper.bell.clear()
            self.keeper.look()
            if self.room_again and timeout is not None:
                return
        self._record(landed)

    def land_all(self) -> None:
        """Record all batches in flight. Raises the first error after all of them have been tried."""
        errors: list[Exception] = []
        while self.batches:
            try:
                self.land()
            except Exception as error:  # noqa: BLE001 - one batch's error must not lose the others' answers
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
    """Return the time (clock() seconds) until which an answer may wait for the database. That is the end
    of the lease, or under Celery the time limit of the task, if it comes first.
    """
    lease = batch.claimed + settings.LEASE - 5
    return min(lease, began + settings.TASK_LIMIT - 5) if settings.REDIS_URL else lease


def _pause() -> float:
    """Return the seconds until the rate limit of the account that sends now allows the next batch."""
    sender = routing.sender()
    return rate_limit.wait_of(sender) if sender else 0.0


def hand_over(batch: ClaimedBatch) -> list[SendResult]:
    """Submit the batch to the provider and return one result for each message, whatever happens. A
    message without an answer is UNKNOWN. The database is not used here.
    """
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
    """Call record.record() again and again while the database is unavailable, as long as the lease
    allows: otherwise the provider would have to be asked for its answers. until:
    smsmail.uptime.clock() seconds. Raises OperationalError or InterfaceError after that.
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
    """Periodic job: recover batches of dead workers, which are still in flight after the lease. Messages
    that were not recorded may have been sent: they become unknown, and the provider is asked.
    """
    over = timezone.now() - timedelta(seconds=settings.LEASE)
    late = Batch.objects.filter(state=Batch.State.IN_FLIGHT, claimed_at__lt=over)
    due = late.order_by("claimed_at").values_list("id", "mailing_id")[:RECOVERED_AT_ONCE]
    batches = [Thing(batch, f"mailing {mailing}") for batch, mailing in due]
    return one_by_one(Work("recover", "batch"), batches, _recover)


def _recover(key: int) -> bool:
    """Recover one batch. Returns False if it was answered meanwhile, or is locked."""
    with transaction.atomic(durable=True):
        batch = (
            Batch.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .filter(id=key, state=Batch.State.IN_FLIGHT)
            .first()
        )
        if batch is None:
            return False
        left = batch.messages.filter(status=Status.WAITING).values_list("id", flat=True)
        moves = [Move(each, Status.UNKNOWN, Reason.NO_ANSWER) for each in left]
        ledger.move(moves, only_from={Status.WAITING}, in_batch=batch.id)
        batch.state = Batch.State.SILENT
        batch.look_up_at = timezone.now()  # no provider's records lag longer than the lease
        batch.save(update_fields=["state", "look_up_at"])
    logger.warning("batch %s was never answered: %s messages unknown", batch.reference, len(moves))
    return True


@cache
def _pool(*, lane: bool) -> ThreadPoolExecutor:
    """Return one of the two thread pools of this process, which lives as long as the process. It is made
    by the process that uses it, because threads do not survive a fork.
    """
    name = "lane" if lane else "hand-over"
    return ThreadPoolExecutor(settings.HAND_OVER_THREADS, thread_name_prefix=name)
