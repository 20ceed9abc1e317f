"""Asking the provider about messages that are still open: what it says decides, and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from django.db.models import F
from django.utils import timezone

from integrations.models import Account, SimulatedSms
from integrations.providers.contract import (
    DeliveryReport,
    DeliveryStatus,
    LookupItem,
    LookupRequest,
    Outcome,
    ProviderError,
)
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from integrations.routing import accounts
from mailings.lifecycle import transitions
from mailings.models import Batch, Mailing, Message
from mailings.sending import reconciliation, record, worker
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

Status = Message.Status


class Books(Simulator):
    """A provider that answers what the test wrote into its books."""

    answer: ClassVar[Callable[[LookupRequest, str], DeliveryStatus | None]]
    asked: ClassVar[list[LookupRequest]]
    settle_seconds = 180

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        Books.asked += lookups
        return [
            DeliveryReport(each.reference, phone, status)
            for each in lookups
            for phone in each.phones
            if (status := Books.answer(each, phone)) is not None
        ]


def say(*statuses: DeliveryStatus | None) -> None:
    """The books answer this about every message; several: the first, the second, ... message."""

    def answer(asked: LookupRequest, phone: str) -> DeliveryStatus | None:
        return statuses[asked.phones.index(phone) % len(statuses)]

    Books.answer = staticmethod(answer)


@pytest.fixture
def account(db: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr("integrations.providers.REGISTRY", (Books,))
    Books.asked = []
    say(DeliveryStatus.NOT_FOUND)
    return factories.simulator()


@pytest.fixture
def mailing(owner: User, account: Account) -> Mailing:
    factories.students(2, start=10)
    return mailing_factories.prepared(owner)


def look() -> None:
    """The time of the next look has come."""
    Batch.objects.exclude(look_up_at=None).update(look_up_at=timezone.now())
    reconciliation.reconcile_due()


def next_look() -> datetime | None:
    return Batch.objects.exclude(claimed_at=None).get().look_up_at


def seconds_to_look() -> int:
    when = next_look()
    assert when is not None
    return round((when - timezone.now()).total_seconds())


def statuses(mailing: Mailing) -> dict[str, int]:
    """Without the owner, who has no phone."""
    mailing_factories.assert_counters_equal_rows(mailing)
    return {
        status: n
        for status, n in mailing_factories.statuses(mailing).items()
        if status != "skipped"
    }


@pytest.mark.parametrize("status", ["accepted", "delivered", "undelivered", "expired"])
def test_an_unknown_message_becomes_what_the_books_say(mailing: Mailing, status: str) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    say(DeliveryStatus(status))
    look()
    assert statuses(mailing) == {status: 2}


def test_the_books_are_asked_by_our_reference_and_phones_since_the_claim(mailing: Mailing) -> None:
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    look()
    (asked,) = Books.asked
    assert asked.reference == batch.reference
    assert set(asked.phones) == {sms.phone for sms in batch.messages}
    assert asked.since == Batch.objects.get(id=batch.batch_id).claimed_at


def test_the_books_are_asked_by_text_and_the_service_s_own_id_too(mailing: Mailing) -> None:
    mailing_factories.sent(Outcome.TAKEN, provider_id="made-up-id")
    look()
    (asked,) = Books.asked
    assert asked.asked == tuple(
        LookupItem(*row)
        for row in Message.objects.filter(status=Status.ACCEPTED).values_list(
            "phone", "text", "provider_id"
        )
    )
    assert {each.provider_id for each in asked.asked} == {"made-up-id"}
    assert all(each.text for each in asked.asked)


def test_only_open_messages_are_asked_about(mailing: Mailing) -> None:
    batch = mailing_factories.sent(Outcome.TAKEN)
    mailing_factories.reported(replace(batch, messages=batch.messages[:1]), "delivered")
    look()
    assert [each.phones for each in Books.asked] == [(batch.messages[1].phone,)]


def test_what_the_books_never_had_goes_again_after_the_second_look_only(mailing: Mailing) -> None:
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    look()
    assert statuses(mailing) == {"unknown": 2}
    look()
    assert statuses(mailing) == {"waiting": 2}
    Account.objects.update(failures=0, cooldown_until=None)
    again = mailing_factories.sent()
    assert again.reference != batch.reference
    assert {sms.key for sms in again.messages} == {sms.key for sms in batch.messages}
    assert statuses(mailing) == {"accepted": 2}


def test_a_look_that_learnt_nothing_about_a_message_does_not_count(mailing: Mailing) -> None:
    """The books were read in part: "not found" has been heard once, not twice, after the next."""
    mailing_factories.sent(Outcome.UNKNOWN)
    say(DeliveryStatus.NOT_FOUND, None)
    look()
    look()
    assert statuses(mailing) == {"unknown": 2}
    say(DeliveryStatus.NOT_FOUND)
    look()
    assert statuses(mailing) == {"unknown": 2}
    look()
    assert statuses(mailing) == {"waiting": 2}


def test_a_look_while_the_account_is_disconnected_does_not_count(
    mailing: Mailing, account: Account, owner: User
) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    accounts.disconnect(account, owner)
    look()
    Account.objects.update(credentials={"on": "yes"})
    look()
    assert statuses(mailing) == {"unknown": 2}
    look()
    assert statuses(mailing) == {"waiting": 2}


def test_found_at_the_second_look_it_does_not_go_again(mailing: Mailing) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    look()
    say(DeliveryStatus.NOT_FOUND, DeliveryStatus.ACCEPTED)
    look()
    assert statuses(mailing) == {"waiting": 1, "accepted": 1}


def test_only_what_was_not_found_goes_again(mailing: Mailing) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    look()
    say(DeliveryStatus.NOT_FOUND, None)
    look()
    assert statuses(mailing) == {"waiting": 1, "unknown": 1}


def test_an_accepted_message_never_goes_again_whatever_the_books_say(
    mailing: Mailing, settings: Any
) -> None:
    mailing_factories.sent(Outcome.TAKEN)
    for _ in range(3):
        look()
    assert statuses(mailing) == {"accepted": 2}
    mailing_factories.grown_older(seconds=settings.RECEIPT_WAIT)
    look()
    assert statuses(mailing) == {"no_receipt": 2}
    assert next_look() is None


def test_of_a_cancelled_mailing_it_is_cancelled(mailing: Mailing, owner: User) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    transitions.cancel(mailing, owner)
    look()
    look()
    assert statuses(mailing) == {"cancelled": 2}
    assert set(Message.objects.exclude(status="skipped").values_list("reason", flat=True)) == {
        Reason.CANCELLED
    }


class Mute(Books):
    can_look_up = False


@pytest.mark.parametrize("mute", ["cannot be asked", "is disconnected", "is not there any more"])
def test_a_provider_that_cannot_be_asked_leaves_unknown(
    mailing: Mailing, account: Account, monkeypatch: pytest.MonkeyPatch, mute: str
) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    if mute == "cannot be asked":
        monkeypatch.setattr("integrations.providers.REGISTRY", (Mute,))
    elif mute == "is disconnected":
        accounts.disconnect(account, None)
    else:
        monkeypatch.setattr("integrations.providers.REGISTRY", ())
    for _ in range(4):
        look()
    mailing_factories.grown_older(days=3)
    look()
    assert statuses(mailing) == {"unknown": 2}
    assert Books.asked == []
    assert seconds_to_look() > 3600  # and hardly any work is spent on it


class Troubled(Books):
    error: ClassVar[Exception]

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        raise Troubled.error


@pytest.mark.parametrize("error", [ProviderError(Reason.UNAVAILABLE), ZeroDivisionError()])
def test_trouble_puts_the_look_off_and_decides_nothing(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch, error: Exception, settings: Any
) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    Troubled.error = error
    monkeypatch.setattr("integrations.providers.REGISTRY", (Troubled,))
    look()
    assert statuses(mailing) == {"unknown": 2}
    assert seconds_to_look() == settings.LOOK_UP_PAUSE
    assert Batch.objects.get().look_ups == 0


def test_one_accounts_trouble_does_not_keep_the_others_from_being_asked(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubled = Account.objects.create(provider="troubled")
    monkeypatch.setattr(Simulator, "batch", 1)
    monkeypatch.setattr(Troubled, "slug", "troubled")
    monkeypatch.setattr("integrations.providers.REGISTRY", (Troubled, Books))
    Troubled.error, Books.asked = ZeroDivisionError(), []
    factories.simulator()
    factories.students(2)
    mailing = mailing_factories.prepared(owner)
    first, second = mailing_factories.claimed(), mailing_factories.claimed()
    for batch in (first, second):
        record.record(batch, mailing_factories.results(batch, Outcome.UNKNOWN))
    Batch.objects.filter(id=first.batch_id).update(account=troubled)
    Account.objects.update(credentials={"on": "yes"})
    say(DeliveryStatus.DELIVERED)
    look()
    assert statuses(mailing) == {"unknown": 1, "delivered": 1}


def test_no_receipt_after_the_wait_and_a_late_one_still_wins(
    mailing: Mailing, settings: Any
) -> None:
    batch = mailing_factories.sent(Outcome.TAKEN)
    say(DeliveryStatus.ACCEPTED)
    mailing_factories.grown_older(seconds=settings.RECEIPT_WAIT - 60)
    look()
    assert statuses(mailing) == {"accepted": 2}
    assert 0 <= seconds_to_look() <= 60
    mailing_factories.grown_older(seconds=61)
    look()
    assert statuses(mailing) == {"no_receipt": 2}
    assert {m.reason for m in Message.objects.filter(status="no_receipt")} == {Reason.NO_RECEIPT}
    mailing_factories.reported(batch, "delivered")
    assert statuses(mailing) == {"delivered": 2}
    assert set(Message.objects.exclude(status="skipped").values_list("reason", flat=True)) == {""}


def test_accepted_messages_are_looked_at_after_ten_minutes_one_hour_six_and_at_the_end(
    mailing: Mailing, settings: Any
) -> None:
    mailing_factories.sent(Outcome.TAKEN)
    say(DeliveryStatus.ACCEPTED)
    looks = [settings.LOOK_UP_AFTER, 3600, 6 * 3600, settings.RECEIPT_WAIT]
    age = 0
    for when in looks:
        assert abs(age + seconds_to_look() - when) <= 2
        mailing_factories.grown_older(seconds=when - age)
        age = when
        reconciliation.reconcile_due()
    assert next_look() is None
    assert len(Books.asked) == len(looks)


def test_no_look_comes_later_than_the_end_of_a_short_wait(mailing: Mailing, settings: Any) -> None:
    settings.RECEIPT_WAIT = 1800
    mailing_factories.sent(Outcome.TAKEN)
    say(DeliveryStatus.ACCEPTED)
    mailing_factories.grown_older(seconds=600)
    reconciliation.reconcile_due()
    assert abs(seconds_to_look() - 1200) <= 2


def test_a_look_that_learnt_nothing_does_not_put_the_end_off(
    mailing: Mailing, settings: Any
) -> None:
    mailing_factories.sent(Outcome.TAKEN)
    say(None)
    mailing_factories.grown_older(seconds=settings.RECEIPT_WAIT - 60)
    look()
    assert 0 <= seconds_to_look() <= 60


def test_unknown_messages_are_looked_at_when_the_books_are_settled_then_ever_more_rarely(
    mailing: Mailing, settings: Any
) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    assert abs(seconds_to_look() - Books.settle_seconds) <= 2
    reconciliation.reconcile_due()
    assert Books.asked == []  # not before
    say(None)
    look()
    assert abs(seconds_to_look() - settings.LOOK_UP_PAUSE) <= 2
    mailing_factories.grown_older(hours=8)
    look()
    assert abs(seconds_to_look() - 2 * 3600) <= 60


def test_what_was_missing_once_is_looked_for_again_soon_however_old_it_is(
    mailing: Mailing, settings: Any
) -> None:
    """A service that was away for a day, or a worker whose clock was a day slow: not six hours more."""
    mailing_factories.sent(Outcome.UNKNOWN)
    mailing_factories.grown_older(days=1)
    say(DeliveryStatus.NOT_FOUND)
    look()
    assert statuses(mailing) == {"unknown": 2}
    assert seconds_to_look() <= 2 * settings.LOOK_UP_PAUSE + 1
    look()
    assert statuses(mailing) == {"waiting": 2}


def test_a_clock_that_was_a_day_slow_at_the_claim_makes_no_look_up_rarer(
    mailing: Mailing, settings: Any
) -> None:
    """Nothing is submitted before its time: the batch is as old as that, whatever its claim says."""
    mailing_factories.sent(Outcome.UNKNOWN)
    Batch.objects.update(claimed_at=F("claimed_at") - timedelta(days=1))
    say(None)
    look()
    assert abs(seconds_to_look() - settings.LOOK_UP_PAUSE) <= 2


def test_nobody_else_asks_meanwhile(mailing: Mailing, account: Account, settings: Any) -> None:
    mailing_factories.sent(Outcome.UNKNOWN)
    Batch.objects.update(look_up_at=timezone.now() - timedelta(seconds=1))
    assert len(reconciliation._take(account)) == 1
    assert reconciliation._take(account) == []
    assert abs(seconds_to_look() - settings.LEASE) <= 2  # should we be killed before the answer


def test_a_dead_workers_batch_ends_well_whether_it_went_or_not(
    owner: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the simulator's own books: killed before, and after the request."""
    monkeypatch.setattr(Simulator, "batch", 2)
    factories.simulator()
    factories.students(4, start=10)
    mailing = mailing_factories.prepared(owner)
    dead, gone = mailing_factories.claimed(), mailing_factories.claimed()
    worker.hand_over(gone)
    mailing_factories.grown_older(seconds=settings.LEASE + 1)
    while worker.recover_due():
        pass
    assert statuses(mailing) == {"unknown": 4}
    look()
    look()
    assert statuses(mailing) == {"waiting": 2, "accepted": 2}
    again = mailing_factories.claimed()
    assert {sms.key for sms in again.messages} == {sms.key for sms in dead.messages}
    record.record(again, worker.hand_over(again))
    assert statuses(mailing) == {"accepted": 4}
    assert SimulatedSms.objects.count() == 4
