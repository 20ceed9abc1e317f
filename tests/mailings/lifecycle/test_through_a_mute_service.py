"""A mailing through a service that cannot be asked, to its end: real HTTP, real receipts at our own
webhook, a share of the requests going wrong, and a person who decides about the rest.
"""

import time
from collections import Counter
from typing import Any

import pytest

from integrations.models import Account
from integrations.providers.contract import Outcome
from integrations.providers.seventech.service import SevenTech
from integrations.routing import cooldown
from mailings.lifecycle import unresolved
from mailings.models import Mailing, Message
from mailings.sending import receipts, reconciliation, record, worker
from tests import factories
from tests.emulators.seventech import LOGIN, PASSWORD, SevenTechEmulator
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 200
TAKEN_UNHEARD = ("cut-after", "garbage-after", "500-after")
NEVER_TAKEN = ("cut", "502", "empty")


@pytest.fixture
def account(seventech_emulator: SevenTechEmulator, settings: Any, live_server: Any) -> Account:
    settings.PUBLIC_URL = live_server.url
    seventech_emulator.manner.delay = 0.05
    return Account.objects.create(
        provider="seventech",
        credentials={"login": LOGIN, "password": PASSWORD},
        sender="School",
        parallel=SevenTech.parallel,
    )


@pytest.fixture
def mailing(owner: User, account: Account, monkeypatch: pytest.MonkeyPatch) -> Mailing:
    monkeypatch.setattr(SevenTech, "batch", 50)
    factories.students(MANY, digits="8")  # nobody with a fate of their own
    return mailing_factories.prepared(owner)


def work(emulator: SevenTechEmulator) -> None:
    """Until nothing moves any more by itself."""
    while worker.hand_over_due():
        pass
    emulator.caller.wait(30)
    while receipts.process_due():
        pass
    reconciliation.reconcile_due()
    mailing_factories.settle()


def statuses(mailing: Mailing) -> Counter[str]:
    mailing_factories.assert_counters_equal_rows(mailing)
    return Counter(mailing_factories.statuses(mailing)) - Counter(skipped=1)


def went(emulator: SevenTechEmulator) -> Counter[str]:
    return Counter(phone for _, phone, _ in emulator.accepted)


def test_nobody_is_missed_or_reached_twice_when_the_rest_is_sent_again(
    mailing: Mailing, owner: User, seventech_emulator: SevenTechEmulator
) -> None:
    plan = seventech_emulator.plan
    plan.share, plan.among = 0.2, TAKEN_UNHEARD + NEVER_TAKEN
    work(seventech_emulator)
    reached = went(seventech_emulator)
    left = MANY - len(reached)
    assert 0 < left < MANY / 2
    # Whoever was reached has a receipt, answer or not: only the others are unknown.
    assert statuses(mailing) == {"delivered": len(reached), "unknown": left}
    mailing_factories.grown_older(minutes=11)
    work(seventech_emulator)
    assert statuses(mailing)["unknown"] == left  # nothing went again by itself

    plan.share = 0
    assert unresolved.send_again(mailing, owner) == left
    mailing_factories.settle()
    work(seventech_emulator)
    assert statuses(mailing) == {"delivered": MANY}
    assert set(went(seventech_emulator).values()) == {1}
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.DONE


def test_a_mailing_ends_when_the_rest_is_closed(
    mailing: Mailing, owner: User, seventech_emulator: SevenTechEmulator
) -> None:
    seventech_emulator.misbehave(*NEVER_TAKEN * 3)
    work(seventech_emulator)
    mailing_factories.grown_older(minutes=11)
    assert unresolved.close_unknown(mailing, owner) == 9
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.DONE
    assert statuses(mailing) == {"delivered": MANY - 9, "no_receipt": 9}
    assert set(went(seventech_emulator).values()) == {1}


def test_trouble_with_the_service_makes_messages_wait_and_nothing_unknown(
    mailing: Mailing, account: Account, seventech_emulator: SevenTechEmulator
) -> None:
    seventech_emulator.plan.share, seventech_emulator.plan.among = 1, ("429",)
    batch = mailing_factories.claimed()
    results = worker.hand_over(batch)
    assert {result.outcome for result in results} == {Outcome.UNSENT}
    record.record(batch, results)
    account.refresh_from_db()
    assert (cooldown.is_on(account), account.cooldown_reason) == (True, "busy")
    assert statuses(mailing) == {"waiting": MANY}

    seventech_emulator.plan.share = 0
    cooldown.end(account.id)
    began = time.monotonic()
    work(seventech_emulator)
    assert time.monotonic() - began < 60
    assert statuses(mailing) == {"delivered": MANY}
    assert Message.objects.filter(mailing=mailing, provider_id="").count() == 1  # the one left out
