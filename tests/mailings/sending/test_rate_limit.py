"""Messages a second: what one worker reserves holds for all of them, and is used up to the full."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from integrations.models import Account, SimulatedSms
from integrations.providers.contract import Outcome
from integrations.providers.simulator import Simulator
from integrations.routing import rate_limit
from mailings.models import Mailing
from mailings.sending import claim, prepare, record, worker
from tests import factories
from tests.mailings import mailing_factories
from users.consent import consent
from users.models import OptOut

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def batches_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Simulator, "batch", 10)


@pytest.fixture
def mailing() -> Mailing:
    """115 students in twelve batches."""
    factories.simulator()
    factories.students(115)
    return mailing_factories.prepared(factories.owner())


def paced(per_second: int) -> Account:
    Account.objects.update(per_second=per_second, next_free_at=None, parallel=100)
    return Account.objects.get()


def in_threads(count: int, work: "list[claim.ClaimedBatch | None] | None" = None) -> list[float]:
    """So many workers at the same moment; when each had done its share."""
    ready = threading.Barrier(count)
    ended: list[float] = []

    def run() -> None:
        try:
            ready.wait(20)
            if work is None:
                # A pause that ends between two looks ends a turn too: the clock comes again in a second.
                for _turn in range(4):
                    worker.hand_over_due()
            else:
                work.append(claim.claim())
            ended.append(time.monotonic())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return ended


def test_without_a_pace_batches_follow_one_another(mailing: Mailing) -> None:
    paced(0)
    for _ in range(12):
        mailing_factories.claimed()
    assert Account.objects.get().next_free_at is None


def test_a_batch_takes_the_time_that_its_messages_take(mailing: Mailing) -> None:
    paced(20)
    before = timezone.now()
    mailing_factories.claimed()
    free = Account.objects.get().next_free_at
    assert free is not None
    takes = timedelta(seconds=0.5 * (1 + rate_limit.SPREAD))
    assert before + takes <= free <= timezone.now() + takes
    assert claim.claim() is None
    Account.objects.update(next_free_at=timezone.now())
    mailing_factories.claimed()


def test_time_that_was_not_used_is_not_saved_up(mailing: Mailing) -> None:
    paced(20)
    Account.objects.update(next_free_at=timezone.now() - timedelta(hours=1))
    mailing_factories.claimed()
    assert claim.claim() is None


def test_a_batch_of_which_nobody_is_left_costs_no_time(mailing: Mailing) -> None:
    paced(1)
    for number in range(10):
        consent.opt_out(f"+7998{number:07}", OptOut.Source.PERSON)
    assert mailing_factories.claimed().messages == ()
    assert len(mailing_factories.claimed().messages) == 10


def test_the_pace_is_that_of_all_workers_together(mailing: Mailing) -> None:
    paced(1)
    claimed: list[claim.ClaimedBatch | None] = []
    in_threads(6, claimed)
    assert len(claimed) == 6
    assert len([batch for batch in claimed if batch is not None]) == 1


def test_two_workers_hand_over_as_fast_as_they_may_and_no_faster(mailing: Mailing) -> None:
    paced(100)
    began = time.monotonic()
    # It waits out the tenths of a second between two batches.
    ended = in_threads(2)
    went = SimulatedSms.objects.count()
    assert went == 113  # two end with 00, which the simulator refuses
    assert 1.1 <= max(ended) - began < 9
    mailing_factories.assert_counters_equal_rows(mailing)


def test_batches_are_no_bigger_than_a_quarter_of_a_second_of_the_pace() -> None:
    factories.simulator(per_second=30)
    assert prepare.batch_size() == 7
    Account.objects.update(per_second=3)
    assert prepare.batch_size() == 1
    Account.objects.update(per_second=5000)
    assert prepare.batch_size() == 10
    Account.objects.update(per_second=0)
    assert prepare.batch_size() == 10


def test_an_answer_does_not_change_the_pace(mailing: Mailing) -> None:
    """record() writes the account too, from what it has read before."""
    paced(5)
    batch = mailing_factories.claimed()
    reserved = Account.objects.get().next_free_at
    record.record(batch, mailing_factories.results(batch, Outcome.UNSENT))
    assert Account.objects.get().next_free_at == reserved
