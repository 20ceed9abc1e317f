"""What a clock that was wrong for a moment leaves behind, stage by stage: nothing waits for it.

Source: chaos run of smsmail (schedules 2 and 9): times written while the clock was fast by
an hour or a day lay in the future afterwards, and everybody believed them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from integrations.models import Account, SimulatedSms
from integrations.providers import simulator
from integrations.providers.contract import Outcome, SendResult
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from integrations.routing import balances, cooldown, rate_limit, routing
from mailings.lifecycle import on_entry, recall, start, transitions
from mailings.models import Batch, ClockReading, Mailing, Message
from mailings.sending import claim, clock_repair, prepare, receipts, reconciliation, record, worker
from smsmail.jobs import moments, steady_clock
from smsmail.jobs.periodic import BY_NAME
from tests import factories
from tests.mailings import mailing_factories
from users.consent import confirmation
from users.models import Group, User

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
JUMPS = [HOUR, DAY, timedelta(days=30)]


@pytest.fixture(params=JUMPS, ids=str)
def jump(request: pytest.FixtureRequest) -> timedelta:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Simulator, "batch", 2)
    return iter(())


def fast(by: timedelta) -> time_machine.travel:
    """As our clock shows it while it is wrong."""
    return time_machine.travel(timezone.now() + by)


def after(time: timedelta) -> time_machine.travel:
    """So much later, by a right clock."""
    return time_machine.travel(timezone.now() + time)


def students(count: int = 6) -> list[User]:
    return factories.students(count, start=10)


# --- the idea itself ------------------------------------------------------------------------------
def test_a_moment_is_believed_as_far_as_anybody_waits() -> None:
    now = timezone.now()
    near, far = now + 5 * MINUTE, now + HOUR
    assert moments.believed(near, 5 * MINUTE, now) == near
    assert moments.believed(far, 5 * MINUTE, now) is None
    assert moments.believed(None, 5 * MINUTE, now) is None
    assert moments.believed(now - DAY, 5 * MINUTE, now) == now - DAY
    # Two machines with good clocks may differ by seconds.
    assert not moments.beyond(near + timedelta(seconds=5), 5 * MINUTE, now)


# --- the account: its pace, its rest, its balance ---------------------------------------------------
def test_the_pace_does_not_stand_still(jump: timedelta, small_batches: None) -> None:
    factories.simulator(per_second=10)
    students()
    mailing_factories.prepared(factories.owner())
    with fast(jump):
        mailing_factories.sent()
    with after(timedelta(seconds=1)):
        assert rate_limit.wait_of(Account.objects.get()) == 0
        mailing_factories.sent()  # and from here on it counts again
        assert 0 < rate_limit.wait_of(Account.objects.get()) < 1


def test_the_pace_is_put_right_where_people_see_it(jump: timedelta) -> None:
    account = factories.simulator(per_second=10)
    Account.objects.update(next_free_at=timezone.now() + jump)
    clock_repair.mend_due()
    account.refresh_from_db()
    assert account.next_free_at is not None
    assert account.next_free_at <= timezone.now() + rate_limit.longest_wait(account)


def test_a_rest_lasts_as_long_as_its_failures_tell(jump: timedelta) -> None:
    """Not as long as the longest: half a minute of a wrong clock cost ten of sending."""
    account = factories.simulator()
    with fast(jump):
        cooldown.start(account.id, Reason.BUSY, "429")
    account.refresh_from_db()
    clock_repair.mend_due()
    account.refresh_from_db()
    with after(timedelta(seconds=settings.PROVIDER_COOLDOWN + 1)):
        assert not cooldown.is_on(account)
        assert routing.sender() is not None


def test_a_rest_that_may_be_one_is_believed() -> None:
    account = factories.simulator()
    for _ in range(6):
        Account.objects.update(cooldown_until=None)
        cooldown.start(account.id, Reason.BUSY, "429")
    account.refresh_from_db()
    assert account.cooldown_until is not None
    before = account.cooldown_until
    clock_repair.mend_due()
    account.refresh_from_db()
    assert cooldown.is_on(account)
    assert account.cooldown_until == before


def test_a_balance_is_asked_for_again(jump: timedelta) -> None:
    factories.simulator()
    with fast(jump):
        balances.refresh_balances()
    Account.objects.update(balance=1)
    balances.refresh_balances()
    assert Account.objects.get().balance == 10_000


# --- a batch in hand ----------------------------------------------------------------------------------
def test_a_dead_workers_batch_is_recovered_after_the_lease_from_now_on(
    jump: timedelta, settings: Any
) -> None:
    factories.simulator()
    students()
    mailing = mailing_factories.prepared(factories.owner())
    with fast(jump):
        batch = mailing_factories.claimed()
    clock_repair.mend_due()
    assert not worker.recover_due()  # it may be alive: it was claimed a moment ago
    with after(timedelta(seconds=settings.LEASE + 5)):
        assert worker.recover_due()
    assert mailing_factories.statuses(mailing)["unknown"] == len(batch.messages)
    # Where it may have gone is looked for from long before: nobody knows when it was claimed.
    claimed = Batch.objects.get(id=batch.batch_id)
    assert claimed.books_since is not None
    assert claimed.books_since < timezone.now() - DAY


def test_a_dead_workers_batch_holds_no_place_for_longer_than_usual(
    jump: timedelta, small_batches: None
) -> None:
    factories.simulator()
    Account.objects.update(parallel=1)
    students()
    mailing_factories.prepared(factories.owner())
    with fast(jump):
        mailing_factories.claimed()
    assert claim.claim() is None
    with after(claim.BUSY + timedelta(seconds=5)):
        assert claim.claim() is not None


def test_a_live_batch_that_was_recovered_too_early_is_written_down_by_its_worker(
    jump: timedelta,
) -> None:
    """A clock that jumps forward makes a batch in the air look old. What left is taken, what did not
    leave goes again, and nothing does both."""
    factories.simulator()
    students()
    mailing = mailing_factories.prepared(factories.owner())
    batch = mailing_factories.claimed()
    with fast(jump):
        assert worker.recover_due()
    first, *others = batch.messages
    record.record(
        batch,
        [
            SendResult(first.key, Outcome.TAKEN),
            *(SendResult(each.key, Outcome.UNSENT, withheld=True) for each in others),
        ],
    )
    assert mailing_factories.statuses(mailing) == {
        "skipped": 1,
        "accepted": 1,
        "waiting": len(others),
    }
    again = mailing_factories.claimed()
    assert {each.key for each in again.messages} == {each.key for each in others}
    mailing_factories.assert_counters_equal_rows(mailing)


# --- looking up ---------------------------------------------------------------------------------------
def test_unknown_messages_are_asked_about_after_a_lease_and_heard_twice(
    jump: timedelta, settings: Any
) -> None:
    factories.simulator()
    students()
    mailing = mailing_factories.prepared(factories.owner())
    clock_repair.mend_due()
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    with fast(jump):
        clock_repair.mend_due()  # every clock writes down what it shows
        reconciliation.reconcile_due()  # too early: it may still be on its way
    assert Batch.objects.get(id=batch.batch_id).look_ups == 1
    clock_repair.mend_due()
    assert Batch.objects.get(id=batch.batch_id).look_ups == 0
    with after(timedelta(seconds=settings.LEASE + 1)):
        reconciliation.reconcile_due()
        assert "waiting" not in mailing_factories.statuses(mailing)
    with after(timedelta(seconds=settings.LEASE + 3 * settings.LOOK_UP_PAUSE)):
        reconciliation.reconcile_due()
        assert mailing_factories.statuses(mailing)["waiting"] == len(batch.messages)


def test_a_look_up_is_not_put_off_until_tomorrow(jump: timedelta, settings: Any) -> None:
    factories.simulator()
    students()
    mailing_factories.prepared(factories.owner())
    with fast(jump):
        clock_repair.mend_due()
        mailing_factories.sent(Outcome.UNKNOWN)
    clock_repair.mend_due()
    look_up_at = Batch.objects.get(claimed_at__isnull=False).look_up_at
    assert look_up_at is not None
    assert look_up_at <= timezone.now() + timedelta(seconds=settings.LEASE)


def test_a_clock_that_was_wrong_for_a_second_puts_no_look_up_off(settings: Any) -> None:
    """Nobody has written down what it showed; the batch itself tells."""
    factories.simulator()
    students()
    mailing_factories.prepared(factories.owner())
    batch = mailing_factories.claimed()
    with fast(DAY):
        record.record(batch, mailing_factories.results(batch, Outcome.UNKNOWN))
    clock_repair.mend_due()
    look_up_at = Batch.objects.get(id=batch.batch_id).look_up_at
    assert look_up_at is not None
    assert look_up_at <= timezone.now() + timedelta(seconds=settings.LEASE)


def test_what_a_service_keeps_is_asked_back_at_once(jump: timedelta) -> None:
    factories.simulator()
    students()
    mailing_factories.prepared(factories.owner())
    batch = mailing_factories.sent()
    later = timezone.now() + 60 * DAY
    Batch.objects.update(send_at=later, recall_at=timezone.now() + jump)
    SimulatedSms.objects.update(at=later)
    clock_repair.mend_due()
    recall.recall_due()
    assert Batch.objects.get(id=batch.batch_id).recall_at is None


# --- before a batch: launch, list, send window -------------------------------------------------------------
def test_a_countdown_counts_from_now_on(jump: timedelta) -> None:
    factories.simulator()
    students()
    with fast(jump):
        mailing = mailing_factories.draft()
        transitions.launch(mailing, factories.owner(), countdown=30)
    start.start_due()
    mailing.refresh_from_db()
    assert mailing.leaves_at is not None
    assert mailing.leaves_at <= timezone.now() + timedelta(seconds=600)
    with after(11 * MINUTE):
        start.start_due()
        mailing.refresh_from_db()
        assert mailing.state == Mailing.State.PREPARING


def test_what_is_set_for_later_stays_so() -> None:
    factories.simulator()
    students()
    mailing = mailing_factories.launched(factories.owner(), starts_at=timezone.now() + 3 * DAY)
    planned = mailing.leaves_at
    start.start_due()
    clock_repair.mend_due()
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.SCHEDULED
    assert mailing.leaves_at == planned


def test_a_list_that_was_formed_tomorrow_leaves_now(jump: timedelta) -> None:
    factories.simulator()
    students()
    mailing = mailing_factories.launched(factories.owner())
    with fast(jump):
        prepare.prepare_due()
    assert claim.claim() is None
    clock_repair.mend_due()
    assert claim.claim() is not None
    assert Batch.objects.filter(mailing=mailing, state="in_flight").exists()


@pytest.mark.parametrize("by", [2 * HOUR, DAY, timedelta(days=3)])
def test_a_night_that_is_tomorrows_is_not_waited_for(by: timedelta) -> None:
    """Held for quiet hours by a clock that showed the evening; it is noon."""
    mailing_factories.policy(quiet_from="21:00", quiet_until="09:00")
    factories.simulator()
    factories.students(6, start=10, time_zone="Etc/GMT-3")
    with time_machine.travel("2026-10-06T09:00:00Z"):  # noon for them
        mailing = mailing_factories.launched(factories.owner())
        clock_repair.mend_due()
    with time_machine.travel(datetime(2026, 10, 6, 19, tzinfo=UTC) + by):
        while prepare.prepare_some(mailing.id):
            pass
        clock_repair.mend_due()
        assert claim.claim() is None
    with time_machine.travel("2026-10-06T09:01:00Z"):
        clock_repair.mend_due()
        assert claim.claim() is not None


def test_a_night_that_is_tonights_is_waited_for() -> None:
    mailing_factories.policy(quiet_from="21:00", quiet_until="09:00")
    factories.simulator()
    factories.students(6, start=10, time_zone="Etc/GMT-3")
    with time_machine.travel("2026-10-06T19:00:00Z"):  # 22 o'clock for them
        mailing = mailing_factories.launched(factories.owner())
        while prepare.prepare_some(mailing.id):
            pass
        before = list(mailing.batches.values_list("not_before", flat=True))
        ClockReading.objects.create(id=1, latest=timezone.now() + DAY)  # somebody's clock was wrong
        clock_repair.mend_due()
        assert list(mailing.batches.values_list("not_before", flat=True)) == before
        assert claim.claim() is None


def test_a_watched_rule_is_looked_at_within_the_minute(jump: timedelta) -> None:
    factories.simulator()
    group = Group.objects.create(name="New")
    mailing = mailing_factories.watching(group)
    with fast(jump):
        on_entry.watch_due()
    mailing_factories.join(group, *students(2))
    on_entry.watch_due()
    assert Message.objects.filter(mailing=mailing).count() == 2


# --- codes -------------------------------------------------------------------------------------------
def test_a_code_may_be_asked_for_again(jump: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def keep(_person: User, nonce: str) -> str:
        sent.append(nonce)
        return ""

    sender = confirmation.CodeSender(can=lambda: True, send=keep)
    monkeypatch.setattr(confirmation.sender, "given", sender)
    student = factories.student()
    with fast(jump):
        confirmation.send(student)
    confirmation.send(student)
    assert len(sent) == 2
    with pytest.raises(confirmation.NoCode):
        confirmation.send(student)  # the minute holds as ever


# --- the simulator, which everybody tries first --------------------------------------------------------
def test_a_mailing_through_the_simulator_ends_in_time(jump: timedelta) -> None:
    factories.simulator()
    students()
    mailing = mailing_factories.prepared(factories.owner())
    with fast(jump):
        worker.hand_over(batch := mailing_factories.claimed())
        record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))
    with after(timedelta(seconds=simulator.LATEST + 1)):
        simulator.report_due()
        receipts.process_due()
        mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.DONE


# --- nothing is written while all is well ---------------------------------------------------------------
def test_good_clocks_change_nothing(django_assert_max_num_queries: Any) -> None:
    account = factories.simulator(per_second=100)
    students()
    mailing_factories.prepared(factories.owner())
    mailing_factories.sent(Outcome.UNKNOWN)
    clock_repair.mend_due()

    def written() -> list[Any]:
        account.refresh_from_db()
        return [
            list(Batch.objects.order_by("id").values()),
            list(Mailing.objects.values()),
            (account.next_free_at, account.cooldown_until),
        ]

    before = written()
    with django_assert_max_num_queries(13):
        clock_repair.mend_due()
    assert written() == before


def test_one_of_two_workers_hears_that_a_clock_was_set_back() -> None:
    ClockReading.objects.create(id=1, latest=timezone.now() + DAY)
    assert clock_repair._set_back(timezone.now())
    assert not clock_repair._set_back(timezone.now())
    assert ClockReading.objects.get().latest <= timezone.now()


# --- a clock that has just been set decides nothing that cannot be undone ----------------------------------
@pytest.fixture
def own_clock(monkeypatch: pytest.MonkeyPatch) -> steady_clock.Steadiness:
    own = steady_clock.Steadiness()
    monkeypatch.setattr(steady_clock, "sample", own.sample)
    monkeypatch.setattr(steady_clock, "holds", own.holds)
    own.sample()
    return own


@pytest.mark.parametrize("by", [HOUR, DAY, -HOUR, -DAY], ids=str)
def test_a_mailing_set_for_later_does_not_begin_because_a_clock_has_jumped(
    own_clock: steady_clock.Steadiness, by: timedelta
) -> None:
    factories.simulator()
    students()
    mailing = mailing_factories.launched(
        factories.owner(), starts_at=timezone.now() + 30 * MINUTE + 3 * HOUR
    )
    with fast(by):
        BY_NAME["start"].run()
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.SCHEDULED
    assert mailing.trouble == ""
    BY_NAME["start"].run()  # set right, which is a jump as well
    assert not steady_clock.holds()


def test_what_a_clock_shows_after_a_jump_is_written_down_by_whatever_job_comes_first(
    own_clock: steady_clock.Steadiness,
) -> None:
    with fast(HOUR):
        BY_NAME["settle"].run()
    assert ClockReading.objects.get().latest > timezone.now() + 50 * MINUTE
    BY_NAME["prepare"].run()
    assert ClockReading.objects.get().latest < timezone.now() + MINUTE


def test_a_jump_recovers_no_live_batch(own_clock: steady_clock.Steadiness) -> None:
    factories.simulator()
    students()
    mailing = mailing_factories.prepared(factories.owner())
    mailing_factories.claimed()
    with fast(DAY):
        BY_NAME["recover"].run()
    assert "unknown" not in mailing_factories.statuses(mailing)


def test_a_jump_makes_nobody_too_late_and_holds_nothing_else(
    own_clock: steady_clock.Steadiness, small_batches: None
) -> None:
    factories.simulator()
    students()
    hurried = mailing_factories.prepared(factories.owner(), valid_minutes=30)
    with fast(DAY):
        BY_NAME["mend"].run()
        assert claim.claim() is None
    assert mailing_factories.statuses(hurried)["waiting"] == 6
    calm = mailing_factories.prepared(User.objects.get(email="olga@example.com"))
    batch = mailing_factories.claimed()
    assert batch.mailing_id == calm.id


def test_a_clock_that_is_set_by_a_little_is_as_good_as_before(
    own_clock: steady_clock.Steadiness,
) -> None:
    with fast(timedelta(seconds=3)):
        own_clock.sample()
        assert own_clock.holds()


def test_after_a_lease_a_clock_that_was_set_is_believed(
    own_clock: steady_clock.Steadiness, settings: Any
) -> None:
    with fast(DAY):
        own_clock.sample()
        assert not own_clock.holds()
        settings.LEASE = 0
        assert own_clock.holds()
