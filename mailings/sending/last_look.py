"""Checks once more before each request: since the batch was claimed, has the person opted out, or was
the mailing paused or cancelled? It also makes a page wait until the stop that it confirms is in effect.

A request leaves only if a check began less than FRESH seconds before. Code that has committed an opt-out
therefore waits longer than that; no request to the person begins afterwards, in no process and on no
machine, whatever its clock shows.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from django.db import Error, connection, transaction
from django.db.models import Q, QuerySet

from integrations.providers.base import Gate
from integrations.providers.contract import Sms
from mailings.models import Batch, Mailing, Message
from smsmail.uptime import clock
from users.consent import consent
from users.models import User

from .claim import ClaimedBatch

logger = logging.getLogger(__name__)

Status = Message.Status
FRESH = 0.1  # seconds for which a check is valid
# Seconds for which a page waits for requests that rely on an earlier check. What exceeds FRESH is the
# time in which a busy machine gets from the check to the first byte.
SETTLED = 0.3
PATIENCE = 5.0  # seconds for which a request waits for a check; after that it is withheld


class BatchGate(Gate):
    """The gate of one batch in flight. The request threads call passes(); the thread that uses the
    database calls tell().
    """

    def __init__(self, batch: ClaimedBatch, bell: threading.Event) -> None:
        self.asks = False
        self._deadline = batch.deadline
        self._bell = bell
        self._told = threading.Condition()
        self._looked = float("-inf")  # clock() when the last check began
        self._stopped: frozenset[int] = frozenset()
        self._shut = False

    def passes(self, messages: Sequence[Sms]) -> bool:
        """Wait for a fresh check, and return whether all these messages may leave."""
        until = min(clock() + PATIENCE, self._deadline)
        with self._told:
            while not self._shut and clock() - self._looked > FRESH:
                if clock() >= until:
                    return False
                self.asks = True
                self._bell.set()
                self._told.wait(until - clock())
            return not self._shut and self._stopped.isdisjoint(sms.key for sms in messages)

    def tell(self, began: float, stopped: Collection[int], *, shut: bool) -> None:
        """Take in what a check has seen. A message once stopped stays stopped; record() decides what
        becomes of it.
        """
        with self._told:
            self.asks = False
            self._looked = began
            self._stopped |= frozenset(stopped)
            self._shut |= shut
            self._told.notify_all()


class Gatekeeper:
    """Makes the checks for all the batches that one thread has in flight: two small queries while
    requests wait for a check, and none while nothing is about to leave.
    """

    def __init__(self) -> None:
        self.bell = threading.Event()
        self._gates: dict[int, BatchGate] = {}

    def attend(self, batch: ClaimedBatch) -> None:
        """Give the batch a gate, before it is submitted."""
        gate = BatchGate(batch, self.bell)
        self._gates[batch.batch_id] = gate
        batch.provider.gate = gate

    def dismiss(self, batch: ClaimedBatch) -> None:
        """Forget the gate of a batch whose results are in."""
        self._gates.pop(batch.batch_id, None)

    def look(self) -> None:
        """Answer the gates that ask. While the database is unavailable their requests wait, and after
        PATIENCE seconds they are withheld.
        """
        asking = {batch: gate for batch, gate in self._gates.items() if gate.asks}
        if not asking:
            return
        began = clock()
        try:
            open_, stopped = _look(asking)
        except Error as error:
            logger.warning("the last check before sending failed: %s", type(error).__name__)
            if not connection.in_atomic_block:
                connection.close()
            time.sleep(FRESH)
            self.bell.set()
            return
        for batch, gate in asking.items():
            gate.tell(began, stopped[batch], shut=batch not in open_)


def _look(batches: Iterable[int]) -> tuple[set[int], dict[int, set[int]]]:
    """Return the ids of those batches that may still send, and by batch the ids of messages to people
    who have opted out or may not be sent to.

    A batch that worker.recover_due() took for a dead worker's may not send: its provider is asked.
    """
    ids = list(batches)
    in_hand = Batch.objects.in_flight().filter(id__in=ids)
    open_ = in_hand.filter(mailing__state__in=Mailing.RUNNING).values_list("id", flat=True)
    refused = (
        Message.objects.waiting()
        .filter(batch__in=ids)
        .filter(Q(consent.forbidden("user_id")) | Q(consent.opted_out("phone")))
    )
    stopped: dict[int, set[int]] = defaultdict(set)
    for batch, key in refused.values_list("batch_id", "id"):
        stopped[batch or 0].add(key)
    return set(open_), stopped


# --- for code that stops something -----------------------------------------------------------
def hold(phones: Collection[str], people: Collection[int]) -> None:
    """Make the caller wait, once its transaction is committed, until no request to these phones or
    people (user ids) begins any more. Call it in the transaction that records their opt-out.
    """
    theirs = Q(phone__in=list(phones)) | Q(user__in=list(people))
    transaction.on_commit(lambda: _settle(Message.objects.in_flight().filter(theirs)), robust=True)


def hold_mailing(mailing_id: int) -> None:
    """Do the same for a mailing that is paused or cancelled."""
    of_it = Q(mailing=mailing_id)
    transaction.on_commit(lambda: _settle(Message.objects.in_flight().filter(of_it)), robust=True)


def leaving(mailing: Mailing) -> int:
    """Count the messages of the mailing that are in flight: some have left, others can be stopped."""
    return Message.objects.in_flight().filter(mailing=mailing).count()


def in_the_air(person: User) -> int:
    """Count the messages to a person, or to their phone, that an opt-out may not have stopped: those
    being submitted, those of unknown fate, and those accepted by the provider without a receipt yet.
    """
    out = Q(status=Status.WAITING, batch__in=Batch.objects.in_flight()) | Q(
        status__in=Message.AWAITING_RECEIPT
    )
    theirs = Q(user=person) | (Q(phone=person.phone) if person.phone else Q())
    return Message.objects.filter(theirs).filter(out).count()


def _settle(in_hand: QuerySet[Message]) -> None:
    """Wait until none of these messages is in flight, and at most SETTLED seconds."""
    until = clock() + SETTLED
    while clock() < until and in_hand.exists():
        time.sleep(SETTLED / 6)
