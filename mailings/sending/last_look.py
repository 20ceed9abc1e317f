"""The last look before each request: has the person refused, was the mailing paused or cancelled, since
the batch was claimed? And how long a page waits until what it confirms is so.

A request leaves only on the strength of a look that began less than FRESH seconds before. Whoever has
committed a refusal therefore waits longer than that, and no request begins afterwards: in no process, on
no machine, whatever its clock shows, dead or alive.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from django.db import Error, connection, transaction
from django.db.models import Q, QuerySet

from integrations.providers.base import Gate, Sms
from mailings.models import Batch, Mailing, Message
from smsmail.uptime import clock
from users.consent import consent
from users.models import User

from .claim import ClaimedBatch

logger = logging.getLogger(__name__)

Status = Message.Status
FRESH = 0.1  # seconds for which a look is believed
# How long a page waits for requests that leave on the strength of an earlier look; the rest is for a busy
# machine to get from the look to the first byte.
SETTLED = 0.3
PATIENCE = 5.0  # seconds for which a request waits for a look; then it goes another time


class BatchGate(Gate):
    """Of one batch in the air. passes() is called in its threads, tell() in the one with the database."""

    def __init__(self, batch: ClaimedBatch, bell: threading.Event) -> None:
        self.asks = False
        self._deadline = batch.deadline
        self._bell = bell
        self._told = threading.Condition()
        self._looked = float("-inf")  # clock() when the last look began
        self._stopped: frozenset[int] = frozenset()
        self._shut = False

    def passes(self, messages: Sequence[Sms]) -> bool:
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
        """What a look has seen. Who was stopped once stays stopped: the rest is for record() to say."""
        with self._told:
            self.asks = False
            self._looked = began
            self._stopped |= frozenset(stopped)
            self._shut |= shut
            self._told.notify_all()


class Gatekeeper:
    """Looks for all the batches that one thread has in the air: two small queries at most every FRESH
    seconds, and none while nothing is about to leave.
    """

    def __init__(self) -> None:
        self.bell = threading.Event()
        self._gates: dict[int, BatchGate] = {}

    def attend(self, batch: ClaimedBatch) -> None:
        gate = BatchGate(batch, self.bell)
        self._gates[batch.batch_id] = gate
        batch.provider.gate = gate

    def dismiss(self, batch: ClaimedBatch) -> None:
        self._gates.pop(batch.batch_id, None)

    def look(self) -> None:
        """Answer those who ask. While the database is away they wait, and then go another time."""
        asking = {batch: gate for batch, gate in self._gates.items() if gate.asks}
        if not asking:
            return
        began = clock()
        try:
            open_, stopped = _look(asking)
        except Error as error:
            logger.warning("no last look: %s", type(error).__name__)
            if not connection.in_atomic_block:
                connection.close()
            time.sleep(FRESH)
            self.bell.set()
            return
        for batch, gate in asking.items():
            gate.tell(began, stopped[batch], shut=batch not in open_)


def _look(batches: Iterable[int]) -> tuple[set[int], dict[int, set[int]]]:
    """Of these batches, those that may still send at all; and messages of people who refuse.

    A batch that was taken for a dead worker's (batch.recover_due) may not: it is being asked about.
    """
    ids = list(batches)
    in_hand = Batch.objects.filter(id__in=ids, state=Batch.State.HANDING)
    open_ = in_hand.filter(mailing__state__in=Mailing.RUNNING).values_list("id", flat=True)
    refused = Message.objects.filter(batch__in=ids, status=Status.WAITING).filter(
        Q(consent.forbidden("user_id")) | Q(consent.opted_out("phone"))
    )
    stopped: dict[int, set[int]] = defaultdict(set)
    for batch, key in refused.values_list("batch_id", "id"):
        stopped[batch or 0].add(key)
    return set(open_), stopped


# --- for whoever stops something -------------------------------------------------------------
def hold(phones: Collection[str], people: Collection[int]) -> None:
    """Called in the transaction that writes down who refuses. Once it is committed, whoever did it goes on
    only when no request to them begins any more.
    """
    theirs = Q(phone__in=list(phones)) | Q(user__in=list(people))
    transaction.on_commit(lambda: _settle(_in_hand().filter(theirs)), robust=True)


def hold_mailing(mailing_id: int) -> None:
    """The same for a mailing that is paused or cancelled."""
    of_it = Q(mailing=mailing_id)
    transaction.on_commit(lambda: _settle(_in_hand().filter(of_it)), robust=True)


def leaving(mailing: Mailing) -> int:
    """Its messages in hand: some are on their way, the others can still be stopped."""
    return _in_hand().filter(mailing=mailing).count()


def in_the_air(person: User) -> int:
    """Messages to a person, or to their phone, that a refusal may not have stopped: being handed over, of
    unknown fate, or taken by the service, which has not told yet what became of them.
    """
    batches = Batch.objects.filter(state=Batch.State.HANDING)
    out = Q(status=Status.WAITING, batch__in=batches) | Q(
        status__in=[Status.UNKNOWN, Status.ACCEPTED]
    )
    theirs = Q(user=person) | (Q(phone=person.phone) if person.phone else Q())
    return Message.objects.filter(theirs).filter(out).count()


def _in_hand() -> QuerySet[Message]:
    batches = Batch.objects.filter(state=Batch.State.HANDING)
    return Message.objects.filter(batch__in=batches, status=Status.WAITING)


def _settle(in_hand: QuerySet[Message]) -> None:
    """No longer than SETTLED, and no longer than anything of it is in hand."""
    until = clock() + SETTLED
    while clock() < until and in_hand.exists():
        time.sleep(SETTLED / 6)
