"""The clock job that hands over: many batches at once in threads, to the end, and nothing lost when the
database goes away in the middle. Real transactions, connections and the simulator's own books.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from integrations.models import Account, SimulatedSms
from integrations.providers import simulator
from integrations.providers.contract import Outcome, SendResult, Sms
from integrations.providers.simulator import Simulator
from mailings import errors
from mailings.lifecycle import transitions
from mailings.models import Batch, Mailing, Message
from mailings.sending import claim as claiming
from mailings.sending import ledger, receipts, reconciliation, worker
from mailings.sending import record as recording
from tests import factories
from tests.mailings import mailing_factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of ten; receipts without the seconds that the simulator takes."""
    monkeypatch.setattr(Simulator, "batch", 10)
    monkeypatch.setattr(simulator, "SOONEST", 0.0)
    monkeypatch.setattr(simulator, "LATEST", 0.0)


@pytest.fixture
def mailing() -> Mailing:
    factories.simulator()
    factories.students(115)
    return mailing_factories.prepared(factories.owner())


def assert_everybody_got_it_once(mailing: Mailing) -> None:
    went = Counter(SimulatedSms.objects.values_list("phone", flat=True))
    assert set(went.values()) == {1}
    refused = Message.objects.filter(mailing=mailing, status="refused").count()
    assert len(went) + refused == 115


def in_threads(*work: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def run(one: Callable[[], object]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[each]) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert errors == []


def test_a_mailing_travels_to_its_end(mailing: Mailing) -> None:
    while worker.hand_over_due():
        pass
    while simulator.report_due():
        pass
    while receipts.process_due():
        pass
    Batch.objects.update(look_up_at="2026-01-01T00:00Z", claimed_at="2026-01-01T00:00Z")
    reconciliation.reconcile_due()
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.DONE
    assert mailing_factories.statuses(mailing) == {
        "skipped": 1,
        "refused": 2,  # the phones that end with 00, and so on: simulator.OUTCOMES
        "undelivered": 8,
        "expired": 2,
        "no_receipt": 2,
        "delivered": 101,
    }
    assert_everybody_got_it_once(mailing)
    mailing_factories.assert_counters_equal_rows(mailing)
    assert not Batch.objects.exclude(state=Batch.State.ANSWERED).exists()
    assert not worker.hand_over_due()


class Watched(Simulator):
    """Counts how many batches are under way, and keeps the first ones until there are so many."""

    wanted: ClassVar[int] = 0
    now: ClassVar[int] = 0
    most: ClassVar[int] = 0
    watch: ClassVar[threading.Condition] = threading.Condition()

    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        with Watched.watch:
            Watched.now += 1
            Watched.most = max(Watched.most, Watched.now)
            Watched.watch.notify_all()
            Watched.watch.wait_for(lambda: Watched.most >= Watched.wanted, timeout=10)
        time.sleep(0.02)  # for one too many to be seen
        try:
            return super().send(reference, messages, deadline)
        finally:
            with Watched.watch:
                Watched.now -= 1


def test_several_workers_share_the_work_and_the_places(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.providers.REGISTRY", (Watched,))
    Watched.now, Watched.most, Watched.wanted = 0, 0, 3
    Account.objects.update(parallel=4)  # one is kept free of mailings

    def work() -> None:
        while Message.objects.filter(mailing=mailing, status="waiting").exists():
            worker.hand_over_due()

    in_threads(work, work, work)
    assert Watched.most == 3
    assert_everybody_got_it_once(mailing)
    mailing_factories.assert_counters_equal_rows(mailing)


def hand_over_the_rest() -> None:
    """What a pause has held back at the last moment, on a machine so slow that the time was over."""
    while worker.hand_over_due():
        pass


def test_receipts_pauses_and_sweeps_at_the_same_time_neither_lock_nor_drift(
    mailing: Mailing,
) -> None:
    """Everybody at the same rows at once; a deadlock would be an error in one of the threads."""
    owner = mailing.launched_by
    assert owner is not None
    over = time.monotonic() + 6

    def again(one: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            while time.monotonic() < over:
                one()
                time.sleep(0.01)

        return run

    def pause() -> None:
        transitions.pause(mailing, owner)
        transitions.resume(mailing, owner)

    def stop() -> None:
        time.sleep(1.5)
        for _ in range(20):
            try:
                pause()
            except errors.WrongState:
                return  # it settled meanwhile

    in_threads(
        again(worker.hand_over_due),
        again(worker.hand_over_due),
        again(simulator.report_due),
        again(receipts.process_due),
        again(receipts.process_due),
        again(transitions.settle_due),
        again(worker.recover_due),
        stop,
    )
    hand_over_the_rest()
    mailing.refresh_from_db()
    assert_everybody_got_it_once(mailing)
    assert "waiting" not in mailing_factories.statuses(mailing)
    mailing_factories.assert_counters_equal_rows(mailing)


# --- the order of locks: messages before counters, in one go -----------------------------------
def process_slowly(message: int, locked: threading.Event) -> None:
    """A receipt's process that has locked its message and takes a while until it counts."""
    with transaction.atomic():
        list(Message.objects.select_for_update().filter(id=message))
        locked.set()
        time.sleep(0.5)
        ledger.move([ledger.Move(message, Message.Status.DELIVERED)])


def test_an_answer_of_two_kinds_and_a_receipt_do_not_wait_for_each_other(mailing: Mailing) -> None:
    batch = mailing_factories.claimed()
    *taken, unsent = batch.messages
    results = [SendResult(sms.key, Outcome.TAKEN) for sms in taken]
    results.append(SendResult(unsent.key, Outcome.UNSENT))
    locked = threading.Event()

    def record() -> None:
        locked.wait(10)
        recording.record(batch, results)

    in_threads(lambda: process_slowly(unsent.key, locked), record)
    assert Message.objects.get(id=unsent.key).status == Message.Status.DELIVERED
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_last_look_and_a_receipt_do_not_wait_for_each_other(
    mailing: Mailing, settings: Any
) -> None:
    batch = mailing_factories.claimed()
    *taken, unknown = batch.messages
    results = [SendResult(sms.key, Outcome.TAKEN) for sms in taken]
    results.append(SendResult(unknown.key, Outcome.UNKNOWN))
    recording.record(batch, results)
    mailing_factories.grown_older(seconds=settings.RECEIPT_WAIT)
    Batch.objects.update(look_ups=1)
    locked = threading.Event()

    def conclude() -> None:
        locked.wait(10)
        reconciliation._conclude(batch.batch_id, {unknown.phone}, answered=True)

    in_threads(lambda: process_slowly(taken[0].key, locked), conclude)
    assert Message.objects.get(id=taken[0].key).status == Message.Status.DELIVERED
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_batch_that_somebody_else_has_in_work_is_not_claimed(mailing: Mailing) -> None:
    """The sweep of a cancelled mailing has locked the batches; the claim saw it still sending."""
    locked = threading.Event()
    claimed: list[claiming.ClaimedBatch | None] = []

    def sweep_slowly() -> None:
        with transaction.atomic():
            batches = list(Batch.objects.select_for_update(no_key=True).order_by("id"))
            locked.set()
            time.sleep(0.5)
            Batch.objects.filter(id__in=[batch.id for batch in batches]).update(state="answered")

    def claim() -> None:
        locked.wait(10)
        claimed.append(claiming.claim())

    in_threads(sweep_slowly, claim)
    assert claimed == [None]


# --- the database goes away ------------------------------------------------------------------
@pytest.fixture
def cut_off() -> Iterator[Callable[[], None]]:
    """Ends our connection to PostgreSQL from outside; SQLite: a writer holds the whole file longer
    than anybody waits for it.
    """
    holding = threading.Event()
    enough = threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            holding.set()
            enough.wait(20)
            cursor.execute("ROLLBACK")
        connection.close()

    holder = threading.Thread(target=hold)

    def cut() -> None:
        if connection.vendor == "postgresql":
            _end_connection()
            return
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")
        holder.start()
        holding.wait(20)
        threading.Timer(1.0, enough.set).start()

    yield cut
    enough.set()
    if holder.ident:
        holder.join(20)
    connection.close()


def _end_connection() -> None:
    pid = connection.connection.info.backend_pid
    where = connection.get_connection_params()
    params = {key: where[key] for key in ("host", "port", "user", "password") if where.get(key)}
    with psycopg.connect(dbname=where["dbname"], **params, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])


def test_an_answer_is_written_down_although_the_database_was_away(
    mailing: Mailing, cut_off: Callable[[], None]
) -> None:
    batch = mailing_factories.claimed()
    answers = worker.hand_over(batch)
    cut_off()
    worker.record_surely(batch, answers)
    waiting = Message.objects.filter(batch=batch.batch_id, status="waiting")
    assert not waiting.exists()
    mailing_factories.assert_counters_equal_rows(mailing)


def test_it_gives_up_in_time_for_the_lease(
    mailing: Mailing, cut_off: Callable[[], None], settings: Any
) -> None:
    batch = mailing_factories.claimed()
    settings.LEASE = 5  # as if it had passed since the claim
    cut_off()
    with pytest.raises(DatabaseError):
        worker.record_surely(batch, mailing_factories.results(batch, Outcome.TAKEN))


def test_an_error_about_one_batch_does_not_lose_the_answers_of_the_others(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = recording.record
    broken: list[int] = []

    def record(batch: claiming.ClaimedBatch, results: Sequence[SendResult]) -> None:
        if not broken:
            broken.append(batch.batch_id)
            raise ZeroDivisionError
        right(batch, results)

    monkeypatch.setattr(recording, "record", record)
    with pytest.raises(ZeroDivisionError):
        worker.hand_over_due()
    in_hand = Batch.objects.filter(state=Batch.State.IN_FLIGHT)
    assert [batch.id for batch in in_hand] == broken  # the lease and the provider's books settle it


def test_batches_left_over_are_told_to_the_clock(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SLICE", 0.05)
    monkeypatch.setattr("integrations.providers.REGISTRY", (Watched,))
    Watched.now, Watched.most, Watched.wanted = 0, 0, 1
    Account.objects.update(parallel=1)
    assert worker.hand_over_due()
    assert mailing_factories.statuses(mailing)["waiting"] > 0
    assert not Batch.objects.filter(state=Batch.State.IN_FLIGHT).exists()
