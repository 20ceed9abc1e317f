"""Hand lots over, and find those that nobody answered for.

claim() and record() (claiming.py, recording.py) are transactions of their own; between them no
transaction is open, and the request is made in a pool thread that never touches the database: what it
must know at the last moment, this thread looks up for it (gates.py).
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

from integrations.providers.base import Outcome, Verdict
from integrations.reasons import Reason
from integrations.routing import rate_limit, routing
from mailings.models import Dispatch, Message
from smsmail.jobs import heartbeat, set_aside
from smsmail.jobs.set_aside import Thing, Work, one_by_one
from smsmail.uptime import clock

from . import claim, ledger, record
from .claim import LONGEST_PAUSE, Lot
from .last_look import Gatekeeper
from .ledger import Move

logger = logging.getLogger(__name__)

Status = Message.Status
# Seconds for which one call of the clock job goes on claiming: the last lot has all its time after that,
# and the limit of a task must not come before (checks.py).
SLICE = min(10.0, settings.LOT_DEADLINE / 6)
# The lane of notifications looks for new ones so often while it waits for answers, and goes on for so
# long; what it claims last is answered, or given up, in time for the limit of a task.
LANE_LOOK = 0.3
RECOVERED_AT_ONCE = 100  # lots; one that cannot be recovered is looked at with the others
LANE_SLICE = max(SLICE, settings.TASK_LIMIT - settings.LOT_DEADLINE - settings.READ_TIMEOUT - 5)


def hand_over_due() -> bool:
    """Clock job: claim, hand over and record for SLICE seconds; True when lots are left."""
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
        while air.lots or (more and clock() < until):
            if lane and air.lots:  # an answer that is long in coming keeps nobody waiting
                until = began + LANE_SLICE
            while more and len(air.lots) < settings.HAND_OVER_THREADS and clock() < until:
                lot = _claim(lane=lane)
                more = lot is not None
                if lot is not None:
                    claimed.append(lot.dispatch_id)
                    air.take(lot)
                air.keeper.look()
            heartbeat.beat()
            pause = 0.0 if more or clock() >= until else _pause()
            if air.lots:
                air.land(LANE_LOOK if lane else pause or heartbeat.period())
                more = True  # a place is free again
            elif 0 < pause < LONGEST_PAUSE:
                time.sleep(pause)
                more = True
    finally:
        air.land_all()  # whatever broke, what is in the air must be written down
    set_aside.recovered(claim.HANDING_OVER, claimed)
    return more


def _claim(*, lane: bool) -> claim.Lot | None:
    """The next one; those with which something is wrong are set aside."""
    while True:
        try:
            lot = claim.claim(lane=lane)
        except claim.CannotClaim as broken:
            set_aside.put(claim.HANDING_OVER, broken.thing, _cause(broken))
        else:
            return lot


def _cause(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error


class _Air:
    """The lots that one call of the clock job has in the air."""

    def __init__(self, began: float, *, lane: bool) -> None:
        self.began = began
        self.pool = _pool(lane=lane)
        self.keeper = Gatekeeper()
        self.lots: dict[Future[list[Verdict]], Lot] = {}

    def take(self, lot: Lot) -> None:
        self.keeper.attend(lot)
        future = self.pool.submit(hand_over, lot)
        self.lots[future] = lot
        future.add_done_callback(lambda _: self.keeper.bell.set())

    def land(self, timeout: float | None = None) -> None:
        """Wait for the next answers and record them; those who ask at a gate are answered meanwhile."""
        end = None if timeout is None else clock() + timeout
        while not (landed := [future for future in self.lots if future.done()]):
            if end is not None and clock() >= end:
                return
            self.keeper.bell.wait(None if end is None else max(0.0, end - clock()))
            self.keeper.bell.clear()
            self.keeper.look()
        self._record(landed)

    def land_all(self) -> None:
        """Raises the first error when each of them has had its turn."""
        errors: list[Exception] = []
        while self.lots:
            try:
                self.land()
            except Exception as error:  # noqa: BLE001 - one lot's trouble must not lose the others' answers
                errors.append(error)
        if errors:
            raise errors[0]

    def _record(self, landed: Sequence[Future[list[Verdict]]]) -> None:
        errors: list[Exception] = []
        for future in landed:
            lot = self.lots.pop(future)
            self.keeper.dismiss(lot)
            try:
                record_surely(lot, future.result(), until=_patience(lot, self.began))
            except Exception as error:  # noqa: BLE001 - as in land_all()
                logger.error("lot %s is not recorded: %s", lot.reference, type(error).__name__)
                errors.append(error)
        if errors:
            raise errors[0]


def _patience(lot: Lot, began: float) -> float:
    """Until when an answer may wait for the database: as long as the lease, where nothing ends this
    process before; Celery ends it with the limit of its task.
    """
    lease = lot.claimed + settings.LEASE - 5
    return min(lease, began + settings.TASK_LIMIT - 5) if settings.REDIS_URL else lease


def _pause() -> float:
    """Seconds until the pace of the account that sends allows the next lot."""
    sender = routing.sender()
    return rate_limit.pause_of(sender) if sender else 0.0


def hand_over(lot: Lot) -> list[Verdict]:
    """One verdict per message, whatever happens. No database here."""
    if not lot.messages:
        return []
    try:
        verdicts = lot.provider.send(lot.reference, lot.messages, lot.deadline)
    except Exception as error:  # noqa: BLE001 - a provider's mistake must not lose a lot: it may have gone
        logger.error("%s failed on %s: %s", lot.provider.slug, lot.reference, type(error).__name__)
        verdicts = []
    answered = {verdict.key: verdict for verdict in verdicts}
    return [
        answered.get(sms.key) or Verdict(sms.key, Outcome.UNKNOWN, reason=Reason.NO_ANSWER)
        for sms in lot.messages
    ]


def record_surely(lot: Lot, verdicts: Sequence[Verdict], until: float | None = None) -> None:
    """recording.record(), again and again while the database is away, as long as the lease allows: what the
    provider has said would otherwise have to be asked for. until: http.clock() seconds.
    """
    until = _patience(lot, lot.claimed) if until is None else until
    while True:
        try:
            record.record(lot, verdicts)
        except (OperationalError, InterfaceError):
            if clock() > until:
                raise
            connection.close()
            time.sleep(0.5)
        else:
            return


def recover_due() -> bool:
    """Clock job: a lot still in hand after the lease belongs to a dead worker. What it did not
    record may have gone: unknown, and the provider is asked.
    """
    over = timezone.now() - timedelta(seconds=settings.LEASE)
    late = Dispatch.objects.filter(state=Dispatch.State.HANDING, claimed_at__lt=over)
    due = late.order_by("claimed_at").values_list("id", "mailing_id")[:RECOVERED_AT_ONCE]
    lots = [Thing(lot, f"mailing {mailing}") for lot, mailing in due]
    return one_by_one(Work("recover", "batch"), lots, _recover)


def _recover(lot: int) -> bool:
    with transaction.atomic(durable=True):
        dispatch = (
            Dispatch.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .filter(id=lot, state=Dispatch.State.HANDING)
            .first()
        )
        if dispatch is None:
            return False
        left = dispatch.messages.filter(status=Status.WAITING).values_list("id", flat=True)
        moves = [Move(each, Status.UNKNOWN, Reason.NO_ANSWER) for each in left]
        ledger.move(moves, only_from={Status.WAITING}, in_dispatch=dispatch.id)
        dispatch.state = Dispatch.State.SILENT
        dispatch.look_up_at = timezone.now()  # the lease is longer than any provider's books lag
        dispatch.save(update_fields=["state", "look_up_at"])
    logger.warning("lot %s was never answered: %s messages unknown", dispatch.reference, len(moves))
    return True


@cache
def _pool(*, lane: bool) -> ThreadPoolExecutor:
    """One of each for the process, for as long as it lives; made in the process that uses it (fork)."""
    name = "lane" if lane else "hand-over"
    return ThreadPoolExecutor(settings.HAND_OVER_THREADS, thread_name_prefix=name)
