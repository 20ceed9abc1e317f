"""From the launch to the forming of the list, on a frozen clock: the countdown, a time set, a time
missed, and the ways back.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone, translation

from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from mailings.errors import CannotLaunch, WrongState
from mailings.lifecycle import start, transitions
from mailings.lifecycle.transitions import Split
from mailings.models import Batch, Counters, Mailing, Policy
from mailings.sending import claim, prepare
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, User

State = Mailing.State
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


@pytest.fixture
def school(clock: Any, owner: User) -> User:
    """Six students, the simulator, and a countdown of a minute."""
    factories.simulator()
    factories.students(6)
    mailing_factories.policy(countdown=60)
    return owner


def state_of(mailing: Mailing) -> str:
    mailing.refresh_from_db()
    return mailing.state


def prepare_all(mailing: Mailing) -> None:
    while prepare.prepare_some(mailing.id):
        pass


# --- the countdown ---------------------------------------------------------------------------
def test_a_launch_waits_out_the_countdown_before_anything_is_prepared(
    school: User, clock: Any
) -> None:
    mailing = mailing_factories.launched(school)
    assert (mailing.state, mailing.leaves_at) == (State.SCHEDULED, NOON + MINUTE)
    clock.move_to(NOON + MINUTE - SECOND)
    start.start_due()
    prepare.prepare_due()
    assert state_of(mailing) == State.SCHEDULED
    assert not Batch.objects.exists()
    clock.move_to(NOON + MINUTE)
    start.start_due()
    assert state_of(mailing) == State.PREPARING
    prepare_all(mailing)
    assert mailing_factories.statuses(mailing) == {"waiting": 6, "skipped": 1}


def test_without_a_countdown_it_begins_at_once(school: User) -> None:
    Policy.objects.update(countdown=0)
    assert mailing_factories.launched(school).state == State.PREPARING


def test_the_real_countdown_is_a_minute() -> None:
    assert Policy._meta.get_field("countdown").default == 60


def test_who_registers_during_the_countdown_gets_it_too(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school)
    factories.students(1, start=50)
    clock.move_to(NOON + MINUTE)
    start.start_due()
    factories.students(1, start=60)
    prepare_all(mailing)
    assert mailing_factories.statuses(mailing)["waiting"] == 7


def test_one_button_takes_everything_back(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school)
    transitions.take_back(mailing, school)
    assert state_of(mailing) == State.DRAFT
    assert (mailing.launched_at, mailing.launched_by, mailing.leaves_at) == (None, None, None)
    assert not Counters.objects.exists()
    assert AuditEvent.objects.last().what == "taken_back"  # type: ignore[union-attr]
    clock.move_to(NOON + HOUR)
    start.start_due()
    prepare.prepare_due()
    assert not mailing.messages.exists()
    # And it can be launched again, with another rule and text.
    transitions.launch(mailing, school)
    assert state_of(mailing) == State.SCHEDULED


def test_what_has_begun_can_no_longer_be_taken_back(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school)
    clock.move_to(NOON + MINUTE)
    start.start_due()
    with pytest.raises(WrongState, match="Preparing"):
        transitions.take_back(mailing, school)
    assert state_of(mailing) == State.PREPARING
    assert Counters.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("button", [transitions.take_back, transitions.cancel, transitions.pause])
def test_a_click_at_the_very_moment_wins_or_loses_whole(button: Callable[..., Any]) -> None:
    factories.simulator()
    factories.students(3)
    owner = factories.owner()
    for _ in range(5):
        mailing = mailing_factories.draft()
        transitions.launch(mailing, owner, countdown=60)
        Mailing.objects.filter(id=mailing.id).update(leaves_at=timezone.now())
        result = clicked_while_it_starts(mailing, owner, button)
        mailing.refresh_from_db()
        counters = Counters.objects.filter(mailing=mailing).count()
        if button is transitions.take_back:
            begun = (State.PREPARING, 1) if result == "too late" else (State.DRAFT, 0)
            assert (mailing.state, counters) == begun
        else:
            assert result == "done"
            assert mailing.state in {State.CANCELLED, State.PAUSED}
            assert counters == 1


def clicked_while_it_starts(mailing: Mailing, by: User, button: Callable[..., Any]) -> str:
    both = threading.Barrier(2, timeout=20)
    results: list[str] = []

    def click() -> None:
        try:
            mine = Mailing.objects.get(id=mailing.id)
            both.wait()
            button(mine, by)
            results.append("done")
        except WrongState:
            results.append("too late")
        finally:
            connection.close()

    thread = threading.Thread(target=click)
    thread.start()
    both.wait()
    start.start_due()
    thread.join()
    return results[0]


def test_it_can_be_paused_and_cancelled_during_the_countdown(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school)
    transitions.pause(mailing, school)
    clock.move_to(NOON + HOUR)
    start.start_due()
    assert state_of(mailing) == State.PAUSED
    transitions.resume(mailing, school)
    start.start_due()
    assert state_of(mailing) == State.PREPARING


def test_cancelled_before_its_list_is_formed_it_says_whom_it_would_have_reached(
    school: User, clock: Any
) -> None:
    mailing = mailing_factories.launched(school)
    assert transitions.cancel(mailing, school) == Split(stopped=6, gone=0)
    prepare_all(mailing)
    mailing_factories.settle()
    assert mailing_factories.statuses(mailing) == {"cancelled": 6, "skipped": 1}
    assert state_of(mailing) == State.CANCELLED
    assert mailing.finished_at is not None
    assert not Batch.objects.exists()


def test_an_urgent_launch_is_written_down(school: User) -> None:
    mailing = mailing_factories.launched(school, urgent=True)
    whats = AuditEvent.objects.filter(target=f"mailing {mailing.id}").values_list("what", flat=True)
    assert list(whats) == ["launched", "launched_urgent"]


# --- a time set ------------------------------------------------------------------------------
def test_the_list_is_formed_three_hours_before(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school, starts_at=NOON + 5 * HOUR)
    assert mailing.leaves_at == NOON + 2 * HOUR
    clock.move_to(NOON + 2 * HOUR - SECOND)
    start.start_due()
    assert state_of(mailing) == State.SCHEDULED
    clock.move_to(NOON + 2 * HOUR)
    start.start_due()
    assert state_of(mailing) == State.PREPARING


def test_launched_late_it_does_its_best(school: User) -> None:
    mailing = mailing_factories.launched(school, starts_at=NOON + HOUR)
    assert mailing.leaves_at == NOON + MINUTE


def test_a_time_that_has_passed_cannot_be_launched(school: User) -> None:
    draft = mailing_factories.draft(starts_at=NOON)
    with pytest.raises(CannotLaunch, match="has passed"):
        transitions.launch(draft, school)
    assert state_of(draft) == State.DRAFT


def test_one_that_waits_for_people_begins_to_watch(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school, when=Mailing.When.ON_ENTRY)
    planned = mailing_factories.launched(
        school, when=Mailing.When.ON_ENTRY, starts_at=NOON + 5 * HOUR
    )
    clock.move_to(NOON + MINUTE)
    start.start_due()
    assert (state_of(mailing), state_of(planned)) == (State.WATCHING, State.SCHEDULED)
    clock.move_to(NOON + 2 * HOUR)
    start.start_due()
    assert state_of(planned) == State.WATCHING


# --- a time missed ---------------------------------------------------------------------------
def test_within_the_grace_it_sends_after_all(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school, starts_at=NOON + 5 * HOUR)
    clock.move_to(NOON + 6 * HOUR)
    start.start_due()
    assert state_of(mailing) == State.PREPARING
    prepare_all(mailing)
    assert len(mailing_factories.claimed().messages) == 6


def test_later_it_is_held_and_asks_and_a_person_lets_it_go(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school, starts_at=NOON + 5 * HOUR)
    clock.move_to(NOON + 6 * HOUR + SECOND)
    start.start_due()
    assert (state_of(mailing), mailing.trouble) == (State.PAUSED, Reason.MISSED_TIME)
    transitions.resume(mailing, school)
    start.start_due()
    assert (state_of(mailing), mailing.trouble) == (State.PREPARING, "")
    assert mailing_factories.halts(mailing) == [Reason.MISSED_TIME]
    prepare_all(mailing)
    assert len(mailing_factories.claimed().messages) == 6


def test_prepared_in_time_and_not_handed_over_it_is_held_by_the_claim_itself(
    school: User, clock: Any
) -> None:
    """No job has to come first: the claim that would send it holds it."""
    mailing = mailing_factories.launched(school, starts_at=NOON + 5 * HOUR, hand_over="hold")
    clock.move_to(NOON + 2 * HOUR)
    start.start_due()
    prepare_all(mailing)
    clock.move_to(NOON + 6 * HOUR + SECOND)
    assert claim.claim() is None
    assert (state_of(mailing), mailing.trouble) == (State.PAUSED, Reason.MISSED_TIME)
    assert mailing_factories.statuses(mailing) == {"waiting": 6, "skipped": 1}
    transitions.resume(mailing, school)
    assert len(mailing_factories.claimed().messages) == 6
    assert mailing_factories.halts(mailing) == [Reason.MISSED_TIME]


def test_what_has_begun_in_time_is_brought_to_its_end(
    school: User, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.providers.simulator.Simulator.batch", 2)
    mailing = mailing_factories.launched(school, starts_at=NOON + 5 * HOUR, hand_over="hold")
    clock.move_to(NOON + 2 * HOUR)
    start.start_due()
    prepare_all(mailing)
    clock.move_to(NOON + 5 * HOUR)
    mailing_factories.sent(Outcome.TAKEN)
    clock.move_to(NOON + 9 * HOUR)
    mailing_factories.sent(Outcome.TAKEN)
    mailing_factories.sent(Outcome.TAKEN)
    assert mailing_factories.statuses(mailing) == {"accepted": 6, "skipped": 1}


def test_a_pause_of_ones_own_is_no_missed_time(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school, starts_at=NOON + 5 * HOUR, hand_over="hold")
    clock.move_to(NOON + 2 * HOUR)
    start.start_due()
    prepare_all(mailing)
    transitions.pause(mailing, school)
    clock.move_to(NOON + 9 * HOUR)
    transitions.resume(mailing, school)
    assert len(mailing_factories.claimed().messages) == 6


def test_a_mailing_without_a_time_has_none_to_miss(school: User, clock: Any) -> None:
    mailing = mailing_factories.launched(school)
    clock.move_to(NOON + 48 * HOUR)
    start.start_due()
    prepare_all(mailing)
    assert len(mailing_factories.claimed().messages) == 6
    assert timezone.now() == NOON + 48 * HOUR
