"""Hand lots over, and find those that nobody answered for.

claim() and record() (claiming.py, recording.py) are transactions of their own; between them no
transaction is open, and the request is made in a pool thread that never touches the database.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from integrations import router
from integrations.http import clock
from integrations.provider import Outcome, Verdict
from integrations.reasons import Reason
from smsmail import heartbeat, set_aside
from smsmail.set_aside import Thing, Work, one_by_one

from . import claiming, ledger, recording
from .claiming import LONGEST_PAUSE, Lot
from .ledger import Move
from .models import Dispatch, Message

logger = logging.getLogger(__name__)

Status = Message.Status
SLICE = 10  # seconds for which one call of the clock job goes on claiming
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
    flying: dict[Future[list[Verdict]], Lot] = {}
    claimed: list[int] = []
    more = True
    try:
        while flying or (more and clock() < until):
            if lane and flying:  # an answer that is long in coming keeps nobody waiting
                until = began + LANE_SLICE
            while more and len(flying) < settings.HAND_OVER_THREADS and clock() < until:
                lot = _claim(lane=lane)
                more = lot is not None
                if lot is not None:
                    claimed.append(lot.dispatch_id)
                    flying[_pool(lane=lane).submit(hand_over, lot)] = lot
            heartbeat.beat()
            pause = 0.0 if more or clock() >= until else _pause()
            if flying:
                _land(flying, LANE_LOOK if lane else pause or heartbeat.period())
                more = True  # a place is free again
            elif 0 < pause < LONGEST_PAUSE:
                time.sleep(pause)
                more = True
    finally:
        while flying:  # whatever broke, what is in the air must be written down
            _land(flying)
    set_aside.recovered(claiming.HANDING_OVER, claimed)
    return more


def _claim(*, lane: bool) -> claiming.Lot | None:
    """The next one; those with which something is wrong are set aside."""
    while True:
        try:
            lot = claiming.claim(lane=lane)
        except claiming.CannotClaim as broken:
            set_aside.put(claiming.HANDING_OVER, broken.thing, _cause(broken))
        else:
            return lot


def _cause(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error


def _pause() -> float:
    """Seconds until the pace of the account that sends allows the next lot."""
    sender = router.sender()
    return router.pause_of(sender) if sender else 0.0


def _land(flying: dict[Future[list[Verdict]], Lot], timeout: float | None = None) -> None:
    """Wait for the next answers and record them."""
    landed, _ = wait(flying, timeout, return_when=FIRST_COMPLETED)
    for future in landed:
        record_surely(flying.pop(future), future.result())


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


def record_surely(lot: Lot, verdicts: Sequence[Verdict]) -> None:
    """recording.record(), again and again while the database is away, as long as the lease allows: what the
    provider has said would otherwise have to be asked for.
    """
    while True:
        try:
            recording.record(lot, verdicts)
        except (OperationalError, InterfaceError):
            if clock() > lot.claimed + settings.TASK_LIMIT - 5:
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
