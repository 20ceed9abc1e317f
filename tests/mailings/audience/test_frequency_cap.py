"""The frequency cap: how many SMS of mailings one phone gets in so many days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from mailings.audience import audience, funnel
from mailings.audience.funnel import Funnel
from mailings.lifecycle import transitions
from mailings.models import Batch, Mailing, Message
from mailings.notifications import send
from mailings.sending import prepare
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(db: None) -> Any:
    factories.simulator()
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def cap(messages: int, days: int = 1) -> None:
    mailing_factories.policy(cap_messages=messages, cap_days=days)


def sent(by: User, outcome: Outcome = Outcome.TAKEN, **fields: Any) -> Mailing:
    mailing = mailing_factories.prepared(by, **fields)
    mailing_factories.sent(outcome)
    return mailing


def reasons(mailing: Mailing) -> list[str]:
    rows = Message.objects.filter(mailing=mailing, status="skipped").order_by("user_id")
    return list(rows.values_list("reason", flat=True))


def test_without_a_cap_nobody_is_left_out(owner: User) -> None:
    factories.students(1)
    sent(owner)
    assert funnel.count(mailing_factories.draft()).will_receive == 1


def test_who_had_one_is_left_out_until_the_days_are_over(owner: User, clock: Any) -> None:
    cap(1, days=2)
    factories.students(2)
    assert funnel.count(mailing_factories.draft()).will_receive == 2
    sent(owner)
    clock.shift(timedelta(days=2))
    assert funnel.count(mailing_factories.draft()) == Funnel(
        3, {Reason.NO_PHONE: 1, Reason.HAD_LATELY: 2}, 0
    )
    clock.shift(timedelta(seconds=1))
    assert funnel.count(mailing_factories.draft()).will_receive == 2


def test_two_of_three_leave_room_for_one(owner: User) -> None:
    cap(3)
    factories.students(1)
    for _ in range(2):
        sent(owner)
        assert funnel.count(mailing_factories.draft()).will_receive == 1
    sent(owner)
    assert funnel.count(mailing_factories.draft()).excluded[Reason.HAD_LATELY] == 1


def test_it_is_the_phone_that_has_had_one(owner: User) -> None:
    cap(1)
    vera = factories.person("vera", phone="+79980000011")
    sent(owner)
    User.objects.filter(pk=vera.pk).update(phone="+79980000012")
    factories.person("pavel", phone="+79980000011")
    factories.person("zoya", phone="+79980000011")
    said = funnel.count(mailing_factories.draft())
    assert said.excluded == {Reason.NO_PHONE: 1, Reason.HAD_LATELY: 2}
    assert said.will_receive == 1


def test_what_still_waits_to_leave_counts(owner: User) -> None:
    cap(1)
    factories.students(1)
    mailing_factories.prepared(owner)
    assert funnel.count(mailing_factories.draft()).excluded[Reason.HAD_LATELY] == 1


def test_what_leaves_only_after_these_days_does_not_count(owner: User) -> None:
    cap(1, days=1)
    factories.students(1)
    mailing_factories.prepared(owner)
    Batch.objects.update(not_before=NOON + timedelta(days=1))
    assert funnel.count(mailing_factories.draft()).will_receive == 1


def test_what_was_cancelled_does_not_count(owner: User) -> None:
    cap(1)
    factories.students(1)
    waiting = mailing_factories.prepared(owner)
    transitions.cancel(waiting, owner)
    assert funnel.count(mailing_factories.draft()).will_receive == 1
    mailing_factories.settle()
    assert funnel.count(mailing_factories.draft()).will_receive == 1


@pytest.mark.parametrize("outcome", [Outcome.TAKEN, Outcome.UNKNOWN, Outcome.UNSENT])
def test_what_may_have_reached_the_phone_or_still_will_counts(
    owner: User, outcome: Outcome
) -> None:
    cap(1)
    factories.students(1)
    sent(owner, outcome)
    assert funnel.count(mailing_factories.draft()).excluded[Reason.HAD_LATELY] == 1


@pytest.mark.parametrize("status", ["undelivered", "expired"])
def test_what_never_arrived_does_not_count(owner: User, status: str) -> None:
    cap(1)
    factories.students(1)
    mailing_factories.prepared(owner)
    batch = mailing_factories.sent()
    mailing_factories.reported(batch, status)
    assert funnel.count(mailing_factories.draft()).will_receive == 1


def test_a_test_message_does_not_count(owner: User) -> None:
    cap(1)
    (vera,) = factories.students(1)
    send.send_test(mailing_factories.draft(), vera, owner)
    mailing_factories.sent()
    assert funnel.count(mailing_factories.draft()).will_receive == 1


def test_a_mailing_does_not_leave_out_its_own_people(owner: User) -> None:
    """Shared phones, too, keep their own reason: the first chunk is in the books by then."""
    cap(1)
    factories.students(2)
    factories.person("twin", phone="+79980000000")
    mailing = mailing_factories.launched(owner)
    said = funnel.count(mailing)
    usual, prepare.CHUNK = prepare.CHUNK, 1
    try:
        while prepare.prepare_some(mailing.id):
            mailing_factories.sent() if Batch.objects.filter(state="waiting").exists() else None
    finally:
        prepare.CHUNK = usual
    assert reasons(mailing) == [Reason.NO_PHONE, Reason.SAME_PHONE]
    assert said.excluded == {Reason.NO_PHONE: 1, Reason.SAME_PHONE: 1}
    assert said.will_receive == 2


def test_a_long_preparation_looks_at_the_same_days_throughout(owner: User, clock: Any) -> None:
    cap(1, days=1)
    factories.students(2)
    sent(owner)
    clock.shift(timedelta(hours=23, minutes=59))
    factories.person("vera", phone="+79980000055")  # without whom nobody would get it
    mailing = mailing_factories.launched(owner)
    said = funnel.count(mailing)
    clock.shift(timedelta(hours=1))
    while prepare.prepare_some(mailing.id):
        pass
    assert reasons(mailing).count(Reason.HAD_LATELY) == said.excluded[Reason.HAD_LATELY] == 2


def test_of_two_mailings_launched_at_once_only_the_first_reaches_a_phone(owner: User) -> None:
    cap(1)
    factories.students(6)
    first, second = mailing_factories.launched(owner), mailing_factories.launched(owner)
    usual, prepare.CHUNK = prepare.CHUNK, 2
    try:
        while prepare.prepare_some(second.id) | prepare.prepare_some(first.id):
            pass
        while prepare.prepare_some(second.id):
            pass
    finally:
        prepare.CHUNK = usual
    assert mailing_factories.statuses(first) == {"waiting": 6, "skipped": 1}
    assert mailing_factories.statuses(second) == {"skipped": 7}
    assert reasons(second).count(Reason.HAD_LATELY) == 6


def test_a_paused_one_holds_up_nobody_and_comes_second_then(owner: User) -> None:
    cap(1)
    factories.students(2)
    first, second = mailing_factories.launched(owner), mailing_factories.launched(owner)
    transitions.pause(first, owner)
    while prepare.prepare_some(second.id):
        pass
    transitions.resume(first, owner)
    while prepare.prepare_some(first.id):
        pass
    assert mailing_factories.statuses(second)["waiting"] == 2
    assert mailing_factories.statuses(first) == {"skipped": 3}


def test_what_a_cancellation_would_stop_leaves_them_out_too(owner: User) -> None:
    cap(1)
    factories.students(2)
    sent(owner)
    factories.person("vera", phone="+79980000055")
    mailing = mailing_factories.launched(owner)
    assert audience.to_come(mailing) == 1
