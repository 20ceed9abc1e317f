"""Claiming a batch and writing the answer down: who comes first, who may not, and what each answer
does to messages, batches, the account and the mailing. The clock job itself is in test_hand_over.py.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import Account
from integrations.providers.contract import Outcome, SendResult, Sms
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from integrations.routing import accounts, cooldown, routing
from mailings.lifecycle import transitions
from mailings.models import Batch, Mailing, Message
from mailings.notifications import send as notifications
from mailings.sending import claim, record, worker
from tests import factories
from tests.mailings import mailing_factories
from users.consent import consent
from users.models import ConsentEvent, OptOut, User

Status = Message.Status
State = Mailing.State


@pytest.fixture
def account(db: None) -> Account:
    return factories.simulator()


@pytest.fixture
def batches_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one request each, as SMSC takes them."""
    monkeypatch.setattr(Simulator, "batch", 2)
    monkeypatch.setattr(Simulator, "one_request_per_batch", True)


@pytest.fixture
def mailing(owner: User, account: Account, batches_of_two: None) -> Mailing:
    """Six students in three batches; the owner has no phone."""
    factories.students(6)
    return mailing_factories.prepared(owner, text="Webinar at six")


def awake() -> None:
    Account.objects.update(failures=0, cooldown_until=None)


def phones_of(batch: claim.ClaimedBatch) -> list[str]:
    return [sms.phone[-4:] for sms in batch.messages]


# --- claiming --------------------------------------------------------------------------------
def test_a_batch_is_claimed_once_with_all_it_needs(mailing: Mailing, account: Account) -> None:
    batches = [mailing_factories.claimed() for _ in range(3)]
    assert claim.claim() is None
    assert [phones_of(batch) for batch in batches] == [
        ["0000", "0001"],
        ["0002", "0003"],
        ["0004", "0005"],
    ]
    assert {sms.text for batch in batches for sms in batch.messages} == {"Webinar at six"}
    first = Batch.objects.get(id=batches[0].batch_id)
    assert (first.state, first.account, first.reference) == (
        "in_flight",
        account,
        batches[0].reference,
    )
    assert first.claimed_at is not None


def test_a_test_message_goes_before_mailings(mailing: Mailing, owner: User) -> None:
    notifications.send_test(mailing, owner, owner, phone="+79989999999")
    assert phones_of(mailing_factories.claimed()) == ["9999"]
    assert mailing_factories.claimed().mailing_id == mailing.id


def test_mailings_take_turns_by_chance(account: Account, owner: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(Simulator, "batch", 1)
    Account.objects.update(parallel=100)
    factories.students(20)
    first, second = mailing_factories.prepared(owner), mailing_factories.prepared(owner)
    turns = Counter(mailing_factories.claimed().mailing_id for _ in range(20))
    # Of one after the other, all twenty would be the first one's; by chance, about one in a million.
    assert turns.keys() == {first.id, second.id}


def test_no_more_batches_are_in_hand_than_the_account_takes(mailing: Mailing) -> None:
    """And of several places, one is kept free of mailings."""
    Account.objects.update(parallel=3)
    one = mailing_factories.claimed()
    mailing_factories.claimed()
    assert claim.claim() is None
    record.record(one, mailing_factories.results(one, Outcome.TAKEN))
    mailing_factories.claimed()


def test_a_dead_batch_gives_its_place_back_before_the_lease(
    mailing: Mailing, settings: Any
) -> None:
    Account.objects.update(parallel=1)
    mailing_factories.claimed()
    mailing_factories.grown_older(seconds=settings.BATCH_DEADLINE + settings.READ_TIMEOUT - 5)
    assert claim.claim() is None
    mailing_factories.grown_older(seconds=10)
    assert not worker.recover_due()
    mailing_factories.claimed()


def test_a_resting_account_claims_nothing_until_it_has_rested(mailing: Mailing) -> None:
    Account.objects.update(cooldown_until=timezone.now() + timedelta(seconds=30))
    assert claim.claim() is None
    Account.objects.update(cooldown_until=timezone.now() - timedelta(seconds=1))
    mailing_factories.claimed()


def test_nothing_connected_claims_nothing(mailing: Mailing, account: Account, owner: User) -> None:
    accounts.disconnect(account, owner)
    assert claim.claim() is None
    assert mailing_factories.statuses(mailing)["waiting"] == 6


def test_an_account_disconnected_while_we_waited_for_its_lock_claims_nothing(
    mailing: Mailing, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = Account.objects.get(id=account.id)
    accounts.disconnect(account, None)
    monkeypatch.setattr(routing, "sender", lambda: stale)  # as read the moment before
    assert claim.claim() is None


def test_an_account_put_to_rest_while_we_waited_for_its_lock_claims_nothing(
    mailing: Mailing, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = Account.objects.get(id=account.id)
    cooldown.start(account.id, Reason.UNAVAILABLE, "")
    monkeypatch.setattr(routing, "sender", lambda: stale)
    assert claim.claim() is None


@pytest.mark.parametrize("stop", [transitions.pause, transitions.cancel])
def test_a_stopped_mailing_claims_nothing(mailing: Mailing, owner: User, stop: Any) -> None:
    stop(mailing, owner)
    assert claim.claim() is None


def test_a_batch_for_later_is_not_claimed_now(mailing: Mailing) -> None:
    Batch.objects.update(not_before=timezone.now() + timedelta(minutes=1))
    assert claim.claim() is None


def test_who_refused_after_the_preparation_is_left_out(mailing: Mailing, owner: User) -> None:
    consent.opt_out("+79980000000", OptOut.Source.PERSON)
    consent.forbid(User.objects.get(phone="+79980000003"), owner)
    taken = [phones_of(mailing_factories.claimed()) for _ in range(3)]
    assert taken == [["0001"], ["0002"], ["0004", "0005"]]
    left_out = Message.objects.filter(mailing=mailing, status=Status.SKIPPED, parts__gt=0)
    assert {(each.phone[-4:], each.reason) for each in left_out} == {
        ("0000", Reason.OPTED_OUT),
        ("0003", Reason.FORBIDDEN),
    }
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_batch_of_nobody_is_over_at_once_and_holds_no_place(mailing: Mailing) -> None:
    Account.objects.update(parallel=1)
    consent.opt_out("+79980000000", OptOut.Source.PERSON)
    consent.opt_out("+79980000001", OptOut.Source.PERSON)
    empty = mailing_factories.claimed()
    assert empty.messages == ()
    assert Batch.objects.get(id=empty.batch_id).state == Batch.State.ANSWERED
    assert phones_of(mailing_factories.claimed()) == ["0002", "0003"]
    record.record(empty, worker.hand_over(empty))
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_claim_and_an_answer_take_the_same_queries_for_any_size(
    account: Account, owner: User
) -> None:
    def queries_of(count: int, start: int) -> tuple[int, int]:
        factories.students(count, start=start)
        mailing = mailing_factories.prepared(owner)
        with CaptureQueriesContext(connection) as to_claim:
            batch = mailing_factories.claimed()
        assert len(batch.messages) == start + count
        with CaptureQueriesContext(connection) as to_record:
            record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))
        mailing_factories.assert_counters_equal_rows(mailing)
        return len(to_claim), len(to_record)

    assert queries_of(2, 0) == queries_of(100, 2)


# --- each answer -----------------------------------------------------------------------------
def test_each_message_takes_its_own_answer(account: Account, owner: User) -> None:
    factories.students(4)
    mailing = mailing_factories.prepared(owner)
    batch = mailing_factories.claimed()
    taken, refused, unsent, unknown = (sms.key for sms in batch.messages)
    answers = [
        SendResult(taken, Outcome.TAKEN, provider_id="77", price=Decimal("2.5")),
        SendResult(refused, Outcome.REFUSED, reason=Reason.BAD_PHONE, raw="made-up 7"),
        SendResult(unsent, Outcome.UNSENT, reason=Reason.UNAVAILABLE),
        SendResult(unknown, Outcome.UNKNOWN),
    ]
    record.record(batch, answers)
    rows = Message.objects.in_bulk([taken, refused, unsent, unknown])
    assert [
        (row.status, row.reason, row.raw_code, row.provider_id, row.price) for row in rows.values()
    ] == [
        (Status.ACCEPTED, "", "", "77", Decimal("2.5")),
        (Status.REFUSED, Reason.BAD_PHONE, "made-up 7", "", None),
        (Status.WAITING, "", "", "", None),
        (Status.UNKNOWN, Reason.NO_ANSWER, "", "", None),
    ]
    answered = Batch.objects.get(id=batch.batch_id)
    assert answered.state == Batch.State.ANSWERED
    assert answered.look_up_at is not None  # the unknown one is asked about
    account.refresh_from_db()
    assert account.cooldown_until is None  # one was taken: it works
    mailing_factories.assert_counters_equal_rows(mailing)


def test_what_was_surely_not_sent_goes_again_under_another_reference(mailing: Mailing) -> None:
    first = mailing_factories.sent(Outcome.UNSENT, reason=Reason.UNAVAILABLE)
    awake()
    later = [mailing_factories.claimed() for _ in range(3)]
    again = later[-1]
    assert phones_of(again) == phones_of(first)
    assert len({first.reference, *(batch.reference for batch in later)}) == 4
    assert Batch.objects.get(id=again.batch_id).size == 2
    mailing_factories.assert_counters_equal_rows(mailing)


def test_what_a_cancelled_mailing_did_not_send_is_cancelled(mailing: Mailing, owner: User) -> None:
    batch = mailing_factories.claimed()
    transitions.cancel(mailing, owner)
    one, other = batch.messages
    record.record(
        batch, [SendResult(one.key, Outcome.UNSENT), SendResult(other.key, Outcome.TAKEN)]
    )
    assert Message.objects.get(id=one.key).status == Status.CANCELLED
    assert Message.objects.get(id=one.key).reason == Reason.CANCELLED
    assert Message.objects.get(id=other.key).status == Status.ACCEPTED
    mailing_factories.assert_counters_equal_rows(mailing)


def test_what_was_reported_meanwhile_is_neither_cancelled_nor_sent_again(
    mailing: Mailing, owner: User
) -> None:
    """The answer says "not sent", the receipt came nevertheless: the receipt is right."""
    batch = mailing_factories.claimed()
    mailing_factories.reported(batch, "accepted")
    transitions.cancel(mailing, owner)
    record.record(batch, mailing_factories.results(batch, Outcome.UNSENT))
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "accepted": 2, "waiting": 4}


def test_one_text_refused_as_a_whole_pauses_the_mailing_and_says_why(mailing: Mailing) -> None:
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN, raw="made-up 6")
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble, mailing.trouble_raw) == (
        State.PAUSED,
        Reason.TEXT_FORBIDDEN,
        "made-up 6",
    )
    assert mailing_factories.statuses(mailing)["waiting"] == 6  # a person decides
    assert claim.claim() is None
    mailing_factories.assert_counters_equal_rows(mailing)


def test_after_a_resume_the_trouble_is_gone_and_they_go_together(
    mailing: Mailing, owner: User
) -> None:
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN)
    transitions.resume(mailing, owner)
    assert (mailing.trouble, mailing.trouble_raw) == ("", "")
    assert mailing_factories.halts(mailing) == [Reason.TEXT_FORBIDDEN]
    assert sorted(len(mailing_factories.sent().messages) for _ in range(3)) == [2, 2, 2]
    assert mailing_factories.statuses(mailing)["accepted"] == 6


def test_different_texts_refused_as_a_whole_go_alone(
    account: Account, owner: User, batches_of_two: None
) -> None:
    factories.students(2)
    mailing = mailing_factories.prepared(owner, text="Hello, {first_name}")
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN, raw="made-up 6")
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble) == (State.SENDING, "")
    alone = mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN, raw="made-up 6")
    other = mailing_factories.sent(Outcome.TAKEN)
    assert [len(alone.messages), len(other.messages)] == [1, 1]
    assert mailing_factories.by_phone(mailing) == {"0000": "refused", "0001": "accepted"}
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_batch_of_bad_numbers_only_is_refused_and_pauses_nothing(mailing: Mailing) -> None:
    """Each number is bad for itself; a pause would come back after every resume, for ever."""
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.BAD_PHONE, raw="made-up 7")
    mailing.refresh_from_db()
    assert mailing.state == State.SENDING
    while (batch := claim.claim()) is not None:
        record.record(
            batch, mailing_factories.results(batch, Outcome.REFUSED, reason=Reason.BAD_PHONE)
        )
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "refused": 6}
    mailing_factories.assert_counters_equal_rows(mailing)


def test_refused_for_different_reasons_each_is_refused(mailing: Mailing) -> None:
    batch = mailing_factories.claimed()
    one, other = batch.messages
    record.record(
        batch,
        [
            SendResult(one.key, Outcome.REFUSED, reason=Reason.BAD_PHONE, raw="made-up 7"),
            SendResult(other.key, Outcome.REFUSED, raw="made-up 99"),
        ],
    )
    rows = Message.objects.in_bulk([one.key, other.key])
    assert [(row.status, row.reason) for row in rows.values()] == [
        (Status.REFUSED, Reason.BAD_PHONE),
        (Status.REFUSED, Reason.OTHER),
    ]


def test_what_a_service_refuses_one_by_one_is_not_refused_as_a_whole(
    mailing: Mailing, monkeypatch: Any
) -> None:
    """Each had a request of its own: there is nothing to try alone, and nobody to pause for."""
    monkeypatch.setattr(Simulator, "one_request_per_batch", False)
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.NO_ROUTE, raw="made-up 21408")
    mailing.refresh_from_db()
    assert mailing.state == State.SENDING
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "refused": 2, "waiting": 4}


def test_who_has_opted_out_at_the_service_gets_no_later_mailing(
    mailing: Mailing,
) -> None:
    batch = mailing_factories.claimed()
    one, other = batch.messages
    results = [
        SendResult(one.key, Outcome.REFUSED, reason=Reason.OPTED_OUT, raw="made-up 21610"),
        SendResult(other.key, Outcome.TAKEN),
    ]
    record.record(batch, results)
    opt_out = OptOut.objects.get()
    assert (opt_out.phone, opt_out.source) == (one.phone, OptOut.Source.PROVIDER)
    assert [event.phone for event in ConsentEvent.objects.all()] == [one.phone]
    record.record(batch, results)  # heard twice, written once
    assert ConsentEvent.objects.count() == 1


def test_a_long_code_of_the_service_is_cut_to_its_column(mailing: Mailing) -> None:
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN, raw="x" * 200)
    mailing.refresh_from_db()
    assert mailing.trouble_raw == "x" * 64


def test_the_answer_of_a_batch_repeated_changes_nothing(mailing: Mailing) -> None:
    """As after a lost connection at the commit: recorded, but we were not told."""
    batch = mailing_factories.claimed()
    one, other = batch.messages
    answers = [
        SendResult(one.key, Outcome.TAKEN, price=Decimal(3)),
        SendResult(other.key, Outcome.UNSENT),
    ]
    record.record(batch, answers)
    before = list(Message.objects.order_by("id").values("id", "status", "batch", "price"))
    record.record(batch, answers)
    assert list(Message.objects.order_by("id").values("id", "status", "batch", "price")) == before
    mailing_factories.assert_counters_equal_rows(mailing)


# --- the account -----------------------------------------------------------------------------
def test_trouble_rests_the_account_longer_each_time_and_success_wakes_it(
    mailing: Mailing, account: Account, settings: Any
) -> None:
    rests = []
    for _ in range(5):
        before = timezone.now()
        mailing_factories.sent(Outcome.UNSENT, reason=Reason.NO_MONEY, raw="made-up 3")
        account.refresh_from_db()
        assert account.cooldown_until is not None
        rests.append(round((account.cooldown_until - before).total_seconds()))
        assert (account.cooldown_reason, account.cooldown_raw) == (Reason.NO_MONEY, "made-up 3")
        assert claim.claim() is None
        Account.objects.update(cooldown_until=timezone.now() - timedelta(seconds=1))
    assert rests == [30, 60, 120, 300, 300]
    mailing_factories.sent(Outcome.TAKEN)
    account.refresh_from_db()
    assert (account.failures, account.cooldown_until) == (0, None)


def test_batches_that_fail_at_the_same_moment_are_one_trouble(
    mailing: Mailing, account: Account
) -> None:
    batches = [mailing_factories.claimed() for _ in range(3)]
    for batch in batches:
        record.record(batch, mailing_factories.results(batch, Outcome.UNSENT))
    account.refresh_from_db()
    assert account.failures == 1
    assert account.cooldown_reason == Reason.UNAVAILABLE


def test_answers_that_never_come_rest_the_account_too(mailing: Mailing, account: Account) -> None:
    mailing_factories.sent(Outcome.UNKNOWN, reason=Reason.NO_ANSWER)
    account.refresh_from_db()
    assert cooldown.is_on(account)


# --- providers that do not keep the contract --------------------------------------------------
class Raising(Simulator):
    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        raise ZeroDivisionError


class Forgetful(Simulator):
    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        """Answers about the first and about a message nobody gave it."""
        return [SendResult(messages[0].key, Outcome.TAKEN), SendResult(-1, Outcome.TAKEN)]


@pytest.mark.parametrize(
    ("provider", "statuses"),
    [(Raising, {"unknown": 2}), (Forgetful, {"accepted": 1, "unknown": 1})],
)
def test_what_a_provider_does_not_answer_is_unknown(
    owner: User, account: Account, monkeypatch: Any, provider: type[Simulator], statuses: Any
) -> None:
    monkeypatch.setattr("integrations.providers.REGISTRY", (provider,))
    factories.students(2)
    mailing = mailing_factories.prepared(owner)
    batch = mailing_factories.claimed()
    record.record(batch, worker.hand_over(batch))
    assert mailing_factories.statuses(mailing) == {"skipped": 1, **statuses}
    mailing_factories.assert_counters_equal_rows(mailing)


# --- recovering ------------------------------------------------------------------------------
def test_a_batch_is_recovered_only_after_the_lease(mailing: Mailing, settings: Any) -> None:
    batch = mailing_factories.claimed()
    mailing_factories.grown_older(seconds=settings.LEASE - 5)
    assert not worker.recover_due()
    assert "unknown" not in mailing_factories.statuses(mailing)
    mailing_factories.grown_older(seconds=10)
    assert worker.recover_due()
    assert not worker.recover_due()
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "unknown": 2, "waiting": 4}
    silent = Batch.objects.get(id=batch.batch_id)
    assert silent.state == Batch.State.SILENT
    assert silent.look_up_at is not None
    mailing_factories.assert_counters_equal_rows(mailing)


def test_what_a_receipt_has_settled_is_not_made_unknown(mailing: Mailing, settings: Any) -> None:
    batch = mailing_factories.claimed()
    mailing_factories.reported(batch, "delivered")
    mailing_factories.grown_older(seconds=settings.LEASE + 5)
    assert worker.recover_due()
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "delivered": 2, "waiting": 4}


@pytest.mark.parametrize(
    ("outcome", "becomes"),
    [
        (Outcome.TAKEN, {"accepted": 2, "waiting": 4}),
        (Outcome.UNSENT, {"waiting": 6}),
        (Outcome.UNKNOWN, {"unknown": 2, "waiting": 4}),
    ],
)
def test_an_answer_recorded_after_the_recovery_still_counts(
    mailing: Mailing, settings: Any, outcome: Outcome, becomes: dict[str, int]
) -> None:
    batch = mailing_factories.claimed()
    mailing_factories.grown_older(seconds=settings.LEASE + 5)
    worker.recover_due()
    record.record(batch, mailing_factories.results(batch, outcome))
    assert mailing_factories.statuses(mailing) == {"skipped": 1, **becomes}
    silent = Batch.objects.get(id=batch.batch_id)
    assert silent.state == Batch.State.SILENT  # nobody recorded an answer before the lease ended
    mailing_factories.assert_counters_equal_rows(mailing)


def test_an_answer_about_messages_that_go_again_already_leaves_them_alone(
    mailing: Mailing, settings: Any
) -> None:
    batch = mailing_factories.claimed()
    record.record(batch, mailing_factories.results(batch, Outcome.UNSENT))
    record.record(batch, mailing_factories.results(batch, Outcome.REFUSED, raw="late"))
    assert mailing_factories.statuses(mailing)["waiting"] == 6


def test_own_texts_refused_one_after_the_other_pause_the_mailing_after_a_while(
    account: Account, owner: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr(record, "BRAKE", 3)
    factories.students(6)
    monkeypatch.setattr(Simulator, "batch", 1)
    mailing = mailing_factories.prepared(owner, text="{first_name}, a word")
    for refused in (1, 2, 3):
        mailing.refresh_from_db()
        assert mailing.state == Mailing.State.SENDING, refused
        mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN, raw="made up 6")
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble) == (Mailing.State.PAUSED, Reason.TEXT_FORBIDDEN)
    assert mailing_factories.statuses(mailing)["waiting"] == 3


def test_one_message_taken_holds_the_brake_off(
    account: Account, owner: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr(record, "BRAKE", 2)
    factories.students(8)
    monkeypatch.setattr(Simulator, "batch", 1)
    mailing = mailing_factories.prepared(owner, text="{first_name}, a word")
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.BAD_PHONE)
    mailing_factories.sent(Outcome.TAKEN)
    for _ in range(3):
        mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN)
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.SENDING


def test_refused_tests_do_not_stop_later_tests(
    account: Account, owner: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr(record, "BRAKE", 1)
    draft = mailing_factories.draft()
    for _ in range(2):
        notifications.send_test(draft, owner, owner, "+79980000009")
        mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN)
    assert notifications.tests().state == Mailing.State.SENDING


@pytest.mark.parametrize(
    ("reason", "rests"), [(Reason.BUSY, True), (Reason.NO_MONEY, True), (Reason.UNAVAILABLE, False)]
)
def test_a_service_that_took_some_and_wants_no_more_rests(
    mailing: Mailing, account: Account, reason: Reason, rests: bool
) -> None:
    batch = mailing_factories.claimed()
    one, other = batch.messages
    unsent = SendResult(other.key, Outcome.UNSENT, reason=reason)
    record.record(batch, [SendResult(one.key, Outcome.TAKEN), unsent])
    account.refresh_from_db()
    assert cooldown.is_on(account) is rests
    mailing_factories.assert_counters_equal_rows(mailing)
