"""The lane of notifications: a mailing that fills every place, hangs or keeps a pace does not hold
them up. The provider is emulated, over HTTP.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from integrations.models import Account
from integrations.providers.contract import Outcome
from mailings.models import Batch, Mailing
from mailings.notifications import editing, registry
from mailings.notifications.send import raise_event
from mailings.sending import claim, prepare, record, worker
from tests import factories
from tests.emulators.smsc import SmscEmulator
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def student() -> User:
    return factories.student()


@pytest.fixture
def mailing(monkeypatch: pytest.MonkeyPatch, smsc_emulator: SmscEmulator) -> Mailing:
    """Sixty students in six batches, at a service that takes four requests at once."""
    monkeypatch.setattr(prepare, "batch_size", lambda: 10)
    factories.smsc()
    factories.students(60, start=100)
    return mailing_factories.prepared(factories.owner())


@pytest.fixture
def welcome(student: User) -> Mailing:
    found = registry.named(registry.WELCOME)
    assert found is not None
    editing.switch(found, student, on=True)
    return found


@pytest.fixture
def running() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Clock jobs in threads of their own, as the worker has them."""
    threads: list[threading.Thread] = []

    def start(job: Callable[[], object]) -> None:
        def run() -> None:
            try:
                job()
            finally:
                connection.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_place_is_kept_free_of_mailings(
    mailing: Mailing, welcome: Mailing, student: User
) -> None:
    for _ in range(3):
        assert mailing_factories.claimed().mailing_id == mailing.id
    assert claim.claim() is None
    raise_event("welcome", student, key="1")
    assert mailing_factories.claimed().mailing_id == welcome.id
    raise_event("welcome", student, key="2")
    assert claim.claim() is None, "the account takes four"


def test_where_there_is_one_place_mailings_use_it(mailing: Mailing) -> None:
    Account.objects.update(parallel=1)
    assert mailing_factories.claimed().mailing_id == mailing.id


def test_the_lane_takes_no_mailing(mailing: Mailing, welcome: Mailing, student: User) -> None:
    assert claim.claim(lane=True) is None
    raise_event("welcome", student, key="1")
    batch = claim.claim(lane=True)
    assert batch is not None
    assert batch.mailing_id == welcome.id


def test_a_notification_overtakes_a_mailing_whose_service_hangs(
    mailing: Mailing,
    welcome: Mailing,
    student: User,
    smsc_emulator: SmscEmulator,
    running: Callable[[Callable[[], object]], None],
    settings: Any,
) -> None:
    settings.READ_TIMEOUT = 5  # then the mailing's batches are given up
    smsc_emulator.misbehave("hang", "hang", "hang")
    running(worker.hand_over_due)
    until = time.monotonic() + 20
    while Batch.objects.filter(state="in_flight").count() < 3 or smsc_emulator.plan.next:
        assert time.monotonic() < until
        time.sleep(0.05)
    raised = raise_event("welcome", student, key="1")
    worker.notify_due()
    assert raised.message is not None
    raised.message.refresh_from_db()
    assert raised.message.status == "accepted"
    assert [phone for _, phone, _ in smsc_emulator.accepted] == [student.phone.removeprefix("+")]
    assert Batch.objects.filter(state="in_flight", mailing=mailing).count() == 3


def test_one_that_hangs_does_not_hold_up_the_next(
    welcome: Mailing,
    student: User,
    smsc_emulator: SmscEmulator,
    running: Callable[[Callable[[], object]], None],
    settings: Any,
) -> None:
    factories.smsc()
    settings.READ_TIMEOUT = 6
    smsc_emulator.misbehave("hang")
    raise_event("welcome", student, key="1")
    running(worker.notify_due)
    until = time.monotonic() + 20
    while smsc_emulator.plan.next:
        assert time.monotonic() < until
        time.sleep(0.05)
    raise_event("welcome", student, key="2")
    while not smsc_emulator.accepted:
        assert Batch.objects.filter(state="in_flight").exists(), "the first one has ended"
        time.sleep(0.05)


# --- the pace -----------------------------------------------------------------------------------
def test_by_the_pace_a_notification_goes_before_the_next_batch(
    mailing: Mailing, welcome: Mailing, student: User
) -> None:
    Account.objects.update(per_second=10)
    assert mailing_factories.claimed().mailing_id == mailing.id
    raise_event("welcome", student, key="1")
    assert claim.claim() is None
    assert claim.claim(lane=True) is None
    Account.objects.update(next_free_at=timezone.now())
    assert mailing_factories.claimed().mailing_id == welcome.id


def test_it_does_not_wait_for_the_pace_of_a_batch_written_before_there_was_one(
    mailing: Mailing, welcome: Mailing, student: User
) -> None:
    Account.objects.update(per_second=1)
    assert mailing_factories.claimed().mailing_id == mailing.id  # ten messages: ten seconds
    raise_event("welcome", student, key="1")
    assert claim.claim() is None
    batch = claim.claim(lane=True)
    assert batch is not None
    assert batch.mailing_id == welcome.id
    free = Account.objects.get().next_free_at
    assert free is not None
    assert free > timezone.now() + timedelta(seconds=10), "it takes its own second as well"


def test_what_the_lane_was_told_was_not_sent_goes_again(
    welcome: Mailing, student: User, smsc_emulator: SmscEmulator
) -> None:
    factories.smsc()
    raise_event("welcome", student, key="1")
    batch = claim.claim(lane=True)
    assert batch is not None
    record.record(batch, mailing_factories.results(batch, Outcome.UNSENT))
    Account.objects.update(failures=0, cooldown_until=None)
    assert claim.claim(lane=True) is not None
