"""How many requests a worker has in flight where each takes one message: as many as the service bears, within
the account's limits. The service is emulated, over HTTP.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from integrations.models import Account
from integrations.providers import burst
from integrations.providers.seventech.service import SevenTech
from integrations.providers.twilio.service import Twilio
from mailings.models import Batch, Mailing
from mailings.sending import prepare, worker
from tests import factories
from tests.emulators.twilio import TwilioEmulator
from tests.emulators.web import Reply
from tests.mailings import mailing_factories
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailing(
    monkeypatch: pytest.MonkeyPatch, twilio_emulator: TwilioEmulator, settings: Any
) -> Mailing:
    """Four hundred people in batches of forty, at a service that takes 0.3 s for each answer."""
    settings.READ_TIMEOUT = 10
    carry_out = twilio_emulator._send

    def slowly(fields: dict[str, str]) -> Reply:
        time.sleep(0.3)
        return carry_out(fields)

    monkeypatch.setattr(twilio_emulator, "_send", slowly)
    monkeypatch.setattr(prepare, "batch_size", lambda: 40)
    factories.twilio()
    Account.objects.update(parallel=Twilio.parallel)
    factories.students(400, start=100)
    return mailing_factories.prepared(factories.owner())


@pytest.fixture
def at_work() -> Iterator[None]:
    def work() -> None:
        try:
            worker.hand_over_due()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()


def to_its_end(twilio: TwilioEmulator) -> int:
    """Return how many requests were under way at most."""
    while worker.hand_over_due():
        pass
    went = Counter(phone for _, phone, _ in twilio.accepted)
    assert set(went.values()) == {1}
    return twilio.most


def test_their_number_grows_by_itself(mailing: Mailing, twilio_emulator: TwilioEmulator) -> None:
    assert to_its_end(twilio_emulator) > 40
    assert [each.window.limit for each in burst.known()] > [40]
    mailing_factories.assert_counters_equal_rows(mailing)


def test_the_batches_at_once_of_the_account_are_never_exceeded(
    mailing: Mailing, twilio_emulator: TwilioEmulator
) -> None:
    """Of three, one is kept for notifications; each has twenty requests at once."""
    Account.objects.update(parallel=3)
    assert 20 < to_its_end(twilio_emulator) <= 40


def test_no_more_is_claimed_than_finds_room(
    mailing: Mailing, twilio_emulator: TwilioEmulator, at_work: None
) -> None:
    """What is claimed is in doubt when the worker dies."""
    wait_until(lambda: twilio_emulator.most >= 15)
    assert Batch.objects.filter(state=Batch.State.IN_FLIGHT).count() <= 2
    wait_until(lambda: not Batch.objects.filter(state=Batch.State.WAITING).exists(), 60)


def test_a_batch_is_claimed_before_the_one_before_it_has_ended(
    mailing: Mailing, twilio_emulator: TwilioEmulator, at_work: None
) -> None:
    wait_until(lambda: Batch.objects.filter(state=Batch.State.IN_FLIGHT).count() > 2, 60)


def test_when_told_that_there_are_too_many_it_sends_fewer(
    mailing: Mailing, twilio_emulator: TwilioEmulator
) -> None:
    twilio_emulator.parallel = 30
    end = time.monotonic() + 60
    while Batch.objects.filter(state=Batch.State.WAITING).exists() and time.monotonic() < end:
        worker.hand_over_due()
        Account.objects.update(failures=0, cooldown_until=None)
    assert all(each.window.limit <= 30 for each in burst.known())
    assert to_its_end(twilio_emulator) > 20


def test_an_account_with_all_that_was_allowed_has_all_that_is_allowed_now() -> None:
    migration = import_module("integrations.migrations.0010_more_batches_at_once")
    factories.twilio()
    factories.seventech()
    factories.smsc()
    Account.objects.filter(provider="seventech").update(parallel=1)
    migration.widen(apps, None)
    assert dict(Account.objects.values_list("provider", "parallel")) == {
        "twilio": Twilio.parallel,
        "seventech": 1,
        "smsc": 4,
    }
    assert SevenTech.parallel == Twilio.parallel == migration.NOW
