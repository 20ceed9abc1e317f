"""The first wave goes alone; the rest follows when few enough of it have failed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from integrations.providers.contract import Outcome
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from mailings.lifecycle import staged, start, transitions
from mailings.models import Batch, Mailing
from mailings.sending import claim
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

State = Mailing.State
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


@pytest.fixture
def mailing(clock: Any, owner: User, monkeypatch: pytest.MonkeyPatch) -> Mailing:
    """Twelve people in batches of two; the first four go first, and a quarter may fail."""
    monkeypatch.setattr(Simulator, "batch", 2)
    factories.simulator()
    factories.students(12)
    return mailing_factories.prepared(owner, first_wave=4, error_limit=25)


def judged(mailing: Mailing) -> tuple[str, bool]:
    staged.judge_due()
    mailing.refresh_from_db()
    return mailing.state, mailing.wave_passed_at is not None


def first_wave_sent() -> list[claim.ClaimedBatch]:
    batches = [mailing_factories.sent(), mailing_factories.sent()]
    assert claim.claim() is None
    return batches


def test_only_the_first_wave_leaves_at_first(mailing: Mailing) -> None:
    first_wave_sent()
    assert mailing_factories.statuses(mailing) == {"accepted": 4, "waiting": 8, "skipped": 1}
    assert judged(mailing) == (State.SENDING, False)
    assert claim.claim() is None


def test_enough_of_it_delivered_the_rest_goes(mailing: Mailing) -> None:
    for batch in first_wave_sent():
        mailing_factories.reported(batch, "delivered")
    assert judged(mailing) == (State.SENDING, True)
    assert len(mailing_factories.claimed().messages) == 2


def test_too_many_errors_hold_the_rest_and_a_person_lets_it_go(
    mailing: Mailing, owner: User
) -> None:
    one, other = first_wave_sent()
    mailing_factories.reported(one, "undelivered", reason=Reason.UNREACHABLE)
    # Two of four are too many, whatever becomes of the others.
    assert judged(mailing) == (State.PAUSED, False)
    assert mailing.trouble == Reason.WAVE_ERRORS
    assert claim.claim() is None
    mailing_factories.reported(other, "delivered")
    transitions.resume(mailing, owner)
    assert (mailing.state, mailing.wave_passed_at) == (State.SENDING, NOON)
    assert len(mailing_factories.claimed().messages) == 2
    assert mailing_factories.halts(mailing) == [Reason.WAVE_ERRORS]


def test_errors_at_the_limit_are_not_over_it(mailing: Mailing) -> None:
    one, other = first_wave_sent()
    mailing_factories.reported(one, "delivered")
    mailing_factories.reported(
        replace(other, messages=other.messages[:1]), "undelivered", reason=Reason.UNREACHABLE
    )
    mailing_factories.reported(replace(other, messages=other.messages[1:]), "delivered")
    assert judged(mailing) == (State.SENDING, True)


def test_after_five_minutes_those_that_have_a_receipt_tell(mailing: Mailing, clock: Any) -> None:
    one, _other = first_wave_sent()
    mailing_factories.reported(one, "delivered")
    clock.move_to(NOON + 5 * MINUTE - SECOND)
    assert judged(mailing) == (State.SENDING, False)
    clock.move_to(NOON + 5 * MINUTE)
    assert judged(mailing) == (State.SENDING, True)


def test_of_a_time_set_the_five_minutes_count_from_that_time(
    clock: Any, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "batch", 2)
    factories.simulator()
    factories.students(6)
    at = NOON + timedelta(hours=1)
    mailing = mailing_factories.prepared(owner, first_wave=2, starts_at=at)
    mailing_factories.sent()
    clock.move_to(at + 5 * MINUTE - SECOND)
    assert judged(mailing) == (State.SENDING, False)
    clock.move_to(at + 5 * MINUTE)
    assert judged(mailing) == (State.SENDING, True)


def test_a_retry_of_the_first_wave_is_of_the_first_wave(mailing: Mailing) -> None:
    mailing_factories.sent()
    mailing_factories.sent(Outcome.UNSENT, reason=Reason.DUPLICATE)
    assert judged(mailing) == (State.SENDING, False)
    assert mailing.batches.filter(state=Batch.State.WAITING, wave=0).count() == 1


def test_one_in_a_hundred_is_counted_at_the_launch(clock: Any, owner: User) -> None:
    factories.simulator()
    factories.students(250)
    mailing = mailing_factories.prepared(owner, first_percent=1)
    assert mailing.first_wave == 2
    sizes = dict(mailing.batches.values_list("wave", "size"))
    assert sizes == {0: 2, 1: 248}


def test_a_mailing_all_of_which_is_the_first_wave_has_nothing_to_hold(
    clock: Any, owner: User
) -> None:
    factories.simulator()
    factories.students(3)
    mailing = mailing_factories.prepared(owner, first_wave=50, error_limit=0)
    mailing_factories.reported(mailing_factories.sent(), "undelivered", reason=Reason.UNREACHABLE)
    assert judged(mailing) == (State.SENDING, True)


def test_who_paused_it_meanwhile_wins(mailing: Mailing, owner: User) -> None:
    for batch in first_wave_sent():
        mailing_factories.reported(batch, "delivered")
    transitions.pause(mailing, owner)
    assert judged(mailing) == (State.PAUSED, False)
    transitions.resume(mailing, owner)
    assert judged(mailing) == (State.SENDING, True)


def test_a_mailing_without_waves_is_never_judged(clock: Any, owner: User) -> None:
    factories.simulator()
    factories.students(3)
    mailing = mailing_factories.prepared(owner)
    mailing_factories.reported(mailing_factories.sent(), "undelivered", reason=Reason.UNREACHABLE)
    assert judged(mailing) == (State.SENDING, False)
    assert start.first_wave(mailing) == 0
