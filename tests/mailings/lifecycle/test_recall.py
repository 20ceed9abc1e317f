"""What a service keeps until a time set is asked back, batch by batch, and the sums stay honest."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection

from integrations.providers.contract import Outcome
from integrations.providers.simulator import Simulator
from integrations.providers.smsc.service import Smsc
from integrations.reasons import Reason
from mailings.errors import WrongState
from mailings.lifecycle import recall, transitions
from mailings.models import Batch, Counters, Mailing
from mailings.sending import reconciliation, worker
from tests import factories
from tests.emulators.smsc import SmscEmulator
from tests.emulators.twilio import TwilioEmulator
from tests.mailings import mailing_factories
from users.models import AuditEvent, User

pytestmark = pytest.mark.django_db(transaction=True)

State = Mailing.State
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
SERVICE = {"messaging_service_sid": "MG" + "00112233445566778899aabbccddeeff"}


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


def scheduled(by: User, count: int = 4) -> Mailing:
    """Handed over for an hour later."""
    factories.students(count, start=10)
    mailing = mailing_factories.prepared(by, starts_at=NOON + HOUR)
    while worker.hand_over_due():
        pass
    assert mailing_factories.statuses(mailing)["accepted"] == count
    return mailing


def asked_back(mailing: Mailing) -> dict[str, int]:
    while recall.recall_due():
        pass
    mailing_factories.settle()
    mailing.refresh_from_db()
    mailing_factories.assert_counters_equal_rows(mailing)
    return mailing_factories.statuses(mailing)


def test_smsc_gives_back_what_it_has_not_sent(clock: Any, smsc_emulator: SmscEmulator) -> None:
    factories.smsc()
    owner = factories.owner()
    mailing = scheduled(owner)
    counters = Counters.objects.get(mailing=mailing)
    assert counters.price == Decimal("10")
    assert recall.can_recall(mailing)
    assert recall.recall(mailing, owner) == 4
    assert mailing.state == State.CANCELLED
    assert AuditEvent.objects.last().what == "recalled"  # type: ignore[union-attr]
    assert recall.progress(mailing) == recall.RecallProgress(wanted=4, to_ask=4)

    assert asked_back(mailing) == {"cancelled": 4, "skipped": 1}
    assert recall.progress(mailing) == recall.RecallProgress(wanted=4, taken_back=4)
    reasons = set(mailing.messages.filter(status="cancelled").values_list("reason", flat=True))
    assert reasons == {Reason.TAKEN_BACK}
    counters.refresh_from_db()
    assert counters.price == 0
    assert (counters.parts, counters.gone) == (0, 0)
    assert mailing.finished_at is not None
    clock.move_to(NOON + 2 * HOUR)
    assert [entry for entry in smsc_emulator.journal.entries if "deleted" in entry]
    assert smsc_emulator._book == {}


def test_smsc_is_asked_once_a_minute(
    clock: Any, smsc_emulator: SmscEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Smsc, "batch", 2)
    factories.smsc()
    owner = factories.owner()
    mailing = scheduled(owner)
    recall.recall(mailing, owner)
    for minute in range(2):
        clock.move_to(NOON + minute * MINUTE)
        before = len(smsc_emulator.requests)
        recall.recall_due()
        recall.recall_due()
        assert [what for what, _ in smsc_emulator.requests[before:]] == ["status"]
    assert mailing_factories.statuses(mailing) == {"cancelled": 4, "skipped": 1}


def test_what_could_not_be_asked_is_asked_again(clock: Any, smsc_emulator: SmscEmulator) -> None:
    factories.smsc()
    owner = factories.owner()
    mailing = scheduled(owner)
    recall.recall(mailing, owner)
    smsc_emulator.plan.commands = frozenset({"status"})
    smsc_emulator.plan.next.append("error-9")
    recall.recall_due()
    assert recall.progress(mailing).to_ask == 4
    clock.move_to(NOON + MINUTE)
    assert asked_back(mailing) == {"cancelled": 4, "skipped": 1}


def test_twilio_gives_back_one_by_one(clock: Any, twilio_emulator: TwilioEmulator) -> None:
    account = factories.twilio(price="0.5")
    account.credentials = account.credentials | SERVICE
    account.save()
    owner = factories.owner()
    mailing = scheduled(owner)
    recall.recall(mailing, owner)
    one = next(iter(twilio_emulator._rows.values()))
    one.sent_at = 0  # this one has left meanwhile
    assert asked_back(mailing) == {"cancelled": 3, "accepted": 1, "skipped": 1}
    assert recall.progress(mailing) == recall.RecallProgress(wanted=4, taken_back=3)
    assert recall.progress(mailing).not_returned == 1
    assert Counters.objects.get(mailing=mailing).price == Decimal("0.5")
    assert mailing.state == State.CANCELLED


def test_what_the_answer_did_not_tell_the_books_do(
    clock: Any, twilio_emulator: TwilioEmulator
) -> None:
    """The answer to a cancellation is lost: a look-up hears of it, and it is as if it had come."""
    account = factories.twilio()
    account.credentials = account.credentials | SERVICE
    account.save()
    owner = factories.owner()
    mailing = scheduled(owner, 1)
    for row in twilio_emulator._rows.values():
        row.canceled = True
    clock.move_to(NOON + 2 * HOUR)
    reconciliation.reconcile_due()
    assert mailing_factories.statuses(mailing) == {"cancelled": 1, "skipped": 1}
    assert mailing.messages.get(status="cancelled").reason == Reason.TAKEN_BACK


def test_too_late_to_ask(clock: Any, owner: User) -> None:
    factories.simulator()
    mailing = scheduled(owner)
    clock.move_to(NOON + HOUR)
    assert not recall.can_recall(mailing)
    with pytest.raises(WrongState):
        recall.recall(mailing, owner)
    assert Mailing.objects.get(id=mailing.id).state == State.SENDING


def test_what_was_sent_while_it_waited_to_be_asked_is_let_go(clock: Any, owner: User) -> None:
    factories.simulator()
    mailing = scheduled(owner)
    recall.recall(mailing, owner)
    clock.move_to(NOON + HOUR)
    assert asked_back(mailing) == {"accepted": 4, "skipped": 1}
    assert not Batch.objects.filter(recall_at__isnull=False).exists()


def test_a_second_click_asks_for_nothing_more(clock: Any, owner: User) -> None:
    factories.simulator()
    mailing = scheduled(owner)
    recall.recall(mailing, owner)
    assert not recall.can_recall(mailing)
    with pytest.raises(WrongState):
        recall.recall(mailing, owner)


def test_the_rest_that_has_not_gone_is_stopped_with_it(
    clock: Any, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "batch", 2)
    factories.simulator()
    factories.students(6, start=10)
    mailing = mailing_factories.prepared(owner, starts_at=NOON + HOUR)
    mailing_factories.sent(Outcome.TAKEN)
    split = transitions.split(mailing)
    assert (split.stopped, split.gone, split.scheduled) == (4, 0, 2)
    recall.recall(mailing, owner)
    # The simulator never had them (recorded by hand): they stay as they are.
    assert asked_back(mailing) == {"accepted": 2, "cancelled": 4, "skipped": 1}


def test_a_service_that_cannot_give_back_is_not_offered(
    clock: Any, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "can_cancel", False)
    factories.simulator()
    assert not recall.can_recall(scheduled(owner))


def test_no_transaction_is_open_while_a_service_is_asked(
    clock: Any, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.simulator()
    mailing = scheduled(owner)
    open_: list[bool] = []
    cancel: Callable[..., Any] = Simulator.cancel

    def watched(self: Simulator, *args: Any) -> Any:
        open_.append(connection.in_atomic_block)
        return cancel(self, *args)

    monkeypatch.setattr(Simulator, "cancel", watched)
    recall.recall(mailing, owner)
    assert asked_back(mailing) == {"cancelled": 4, "skipped": 1}
    assert open_ == [False]
