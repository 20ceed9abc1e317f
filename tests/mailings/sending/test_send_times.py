"""When a batch leaves, on a frozen clock: handed over early or held here, quiet hours where its people
are, lifetimes; at preparation, and again at the claim.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings

from integrations.providers.contract import Outcome
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from mailings.lifecycle import start, transitions
from mailings.models import Batch, Mailing, Message, Policy
from mailings.notifications import send
from mailings.sending import claim, prepare, reconciliation, record, worker
from tests import factories
from tests.emulators.seventech import SevenTechEmulator
from tests.emulators.smsc import SmscEmulator
from tests.emulators.twilio import TwilioEmulator
from tests.mailings import mailing_factories
from users.models import User

State = Mailing.State
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # 15:00 in Moscow
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
EVENING = NOON + 8 * HOUR  # 23:00 in Moscow, 01:00 in Yekaterinburg, 20:00 in London
LAND_LINE = "+73432123456"  # in Yekaterinburg


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


@pytest.fixture
def night(db: None) -> None:
    mailing_factories.policy(quiet_from=time(22), quiet_until=time(9))


def prepared_from_now_on(mailing: Mailing) -> None:
    start.start_due()
    while prepare.prepare_some(mailing.id):
        pass
    mailing.refresh_from_db()


def handed_over() -> None:
    while worker.hand_over_due():
        pass


# --- handed over early, or held --------------------------------------------------------------
def test_early_hand_over_gives_the_service_the_time(clock: Any, owner: User) -> None:
    factories.simulator()
    factories.students(3)
    mailing = mailing_factories.prepared(owner, starts_at=NOON + 2 * HOUR)
    batch = mailing_factories.claimed()
    assert {sms.at for sms in batch.messages} == {NOON + 2 * HOUR}
    assert mailing.batches.get().not_before == NOON


def test_held_here_it_leaves_at_the_minute(clock: Any, owner: User) -> None:
    factories.simulator()
    factories.students(3)
    mailing_factories.prepared(owner, starts_at=NOON + 2 * HOUR, hand_over="hold")
    clock.move_to(NOON + 2 * HOUR - SECOND)
    assert claim.claim() is None
    clock.move_to(NOON + 2 * HOUR)
    assert [sms.at for sms in mailing_factories.claimed().messages] == [None] * 3


def test_a_service_that_takes_no_time_gets_it_at_the_minute(clock: Any, owner: User) -> None:
    factories.seventech()
    factories.students(3)
    mailing = mailing_factories.prepared(owner, starts_at=NOON + 2 * HOUR)
    assert claim.claim() is None
    assert mailing.batches.get().not_before == NOON + 2 * HOUR
    clock.move_to(NOON + 2 * HOUR)
    assert [sms.at for sms in mailing_factories.claimed().messages] == [None] * 3


def test_too_near_for_the_service_it_is_held_and_never_comes_too_early(
    clock: Any, owner: User
) -> None:
    factories.smsc()
    factories.students(3)
    mailing = mailing_factories.prepared(owner, starts_at=NOON + 30 * SECOND)
    assert claim.claim() is None
    assert mailing.batches.get().not_before == NOON + 30 * SECOND
    clock.move_to(NOON + 30 * SECOND)
    assert [sms.at for sms in mailing_factories.claimed().messages] == [None] * 3


def test_a_time_that_passed_meanwhile_is_given_to_nobody(clock: Any, owner: User) -> None:
    factories.simulator()
    factories.students(3)
    mailing = mailing_factories.prepared(owner, starts_at=NOON + 2 * HOUR)
    clock.move_to(NOON + 2 * HOUR + MINUTE)
    assert [sms.at for sms in mailing_factories.claimed().messages] == [None] * 3
    assert mailing.batches.get().send_at is None


def test_surely_unsent_messages_keep_their_time_zone_lifetime_and_wave(
    clock: Any, owner: User, night: None
) -> None:
    factories.simulator()
    factories.students(3)
    at = NOON + 2 * HOUR
    mailing = mailing_factories.prepared(owner, starts_at=at, valid_minutes=90)
    Batch.objects.update(wave=1)
    Mailing.objects.update(wave_passed_at=NOON)
    batch = mailing_factories.sent(Outcome.UNSENT)
    fresh = mailing.batches.exclude(id=batch.batch_id).get()
    assert (fresh.send_at, fresh.expires_at) == (at, at + 90 * MINUTE)
    assert (fresh.zone, fresh.wave, fresh.not_before) == ("Europe/Moscow", 1, NOON)


@pytest.mark.django_db(transaction=True)
class TestTheJournals:
    """What really went over the wire."""

    def test_smsc_is_given_the_time_and_the_lifetime(
        self, clock: Any, smsc_emulator: SmscEmulator
    ) -> None:
        factories.smsc()
        factories.students(3, start=10)
        at = NOON + 2 * HOUR
        mailing = mailing_factories.prepared(factories.owner(), starts_at=at, valid_minutes=90)
        handed_over()
        (entry,) = smsc_emulator.journal.entries
        assert entry["time"] == int(at.timestamp())
        assert entry["valid"] == "01:30"
        assert mailing_factories.statuses(mailing) == {"accepted": 3, "skipped": 1}

    def test_twilio_is_given_the_time_and_the_lifetime(
        self, clock: Any, twilio_emulator: TwilioEmulator
    ) -> None:
        service = {"messaging_service_sid": "MG" + "00112233445566778899aabbccddeeff"}
        account = factories.twilio()
        account.credentials = account.credentials | service
        account.save()
        factories.students(3, start=10)
        mailing = mailing_factories.prepared(
            factories.owner(), starts_at=NOON + 2 * HOUR, valid_minutes=90
        )
        handed_over()
        entries = twilio_emulator.journal.entries
        assert [entry["send_at"] for entry in entries] == ["2026-11-20T14:00:00Z"] * 3
        assert [entry["validity"] for entry in entries] == ["5400"] * 3
        assert mailing_factories.statuses(mailing) == {"accepted": 3, "skipped": 1}

    def test_seventech_is_given_nothing_and_nothing_before_the_minute(
        self, clock: Any, seventech_emulator: SevenTechEmulator
    ) -> None:
        factories.seventech()
        factories.students(3, start=10)
        mailing_factories.prepared(factories.owner(), starts_at=NOON + 2 * HOUR, valid_minutes=90)
        handed_over()
        assert seventech_emulator.journal.entries == []
        clock.move_to(NOON + 2 * HOUR)
        handed_over()
        assert len(seventech_emulator.journal.entries) == 3
        assert not [entry for entry in seventech_emulator.journal.entries if "time" in entry]

    def test_no_time_is_given_for_what_leaves_now(
        self, clock: Any, smsc_emulator: SmscEmulator
    ) -> None:
        factories.smsc()
        factories.students(3, start=10)
        mailing_factories.prepared(factories.owner())
        handed_over()
        (entry,) = smsc_emulator.journal.entries
        assert (entry["time"], entry["valid"]) == (0, "")

    def test_cancelled_a_second_before_the_hand_over_nothing_goes(
        self, clock: Any, smsc_emulator: SmscEmulator
    ) -> None:
        factories.smsc()
        factories.students(3, start=10)
        owner = factories.owner()
        mailing = mailing_factories.launched(owner, starts_at=NOON + 5 * HOUR)
        clock.move_to(NOON + 2 * HOUR - SECOND)
        start.start_due()
        split = transitions.cancel(mailing, owner)
        assert (split.stopped, split.gone) == (3, 0)
        clock.move_to(NOON + 6 * HOUR)
        prepared_from_now_on(mailing)
        handed_over()
        assert smsc_emulator.journal.entries == []

    def test_cancelled_a_second_after_it_it_says_honestly_what_has_gone(
        self, clock: Any, smsc_emulator: SmscEmulator
    ) -> None:
        factories.smsc()
        factories.students(3, start=10)
        owner = factories.owner()
        mailing = mailing_factories.launched(owner, starts_at=NOON + 5 * HOUR)
        clock.move_to(NOON + 2 * HOUR)
        prepared_from_now_on(mailing)
        handed_over()
        clock.move_to(NOON + 2 * HOUR + SECOND)
        split = transitions.cancel(mailing, owner)
        assert (split.stopped, split.gone, split.scheduled) == (0, 0, 3)
        assert len(smsc_emulator.accepted) == 3


# --- receipts are waited for from the time set -----------------------------------------------
def test_receipts_are_waited_for_from_the_time_set(clock: Any, owner: User) -> None:
    factories.simulator()
    factories.students(2, digits="06")  # never a receipt
    at = NOON + 3 * HOUR
    mailing = mailing_factories.prepared(owner, starts_at=at)
    mailing_factories.sent(Outcome.TAKEN)
    batch = mailing.batches.get()
    assert batch.look_up_at == at + timedelta(seconds=django_settings.LOOK_UP_AFTER)
    wait = timedelta(seconds=django_settings.RECEIPT_WAIT)
    clock.move_to(NOON + wait + MINUTE)  # long after the hand-over, not so long after the time
    reconciliation.reconcile_due()
    assert mailing_factories.statuses(mailing)["accepted"] == 2
    clock.move_to(at + wait + MINUTE)
    reconciliation.reconcile_due()
    assert mailing_factories.statuses(mailing) == {"no_receipt": 2, "skipped": 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("lost", "again"), [("cut-after", False), ("unread", True)])
def test_before_its_time_the_books_prove_nothing_and_nobody_gets_it_twice(
    clock: Any, smsc_emulator: SmscEmulator, settings: Any, lost: str, again: bool
) -> None:
    """The answer to a hand-over for later is lost, and the history does not show what is kept."""
    settings.READ_TIMEOUT = 1
    mailing_factories.taken_before(factories.smsc())
    factories.students(3, start=10)
    at = NOON + 2 * HOUR
    mailing = mailing_factories.prepared(factories.owner(), starts_at=at)
    smsc_emulator.hides_kept = True
    smsc_emulator.plan.next.append(lost)
    handed_over()
    assert mailing_factories.statuses(mailing) == {"unknown": 3, "skipped": 1}
    for minutes in range(5, 120, 5):
        clock.move_to(NOON + minutes * MINUTE)
        reconciliation.reconcile_due()
        handed_over()
    assert mailing_factories.statuses(mailing) == {"unknown": 3, "skipped": 1}
    for minutes in range(0, 60, 5):
        clock.move_to(at + minutes * MINUTE)
        reconciliation.reconcile_due()
        handed_over()
    phones = [phone for _, phone, _ in smsc_emulator.accepted]
    assert sorted(phones) == sorted(set(phones))
    assert len(phones) == 3 + 1  # and the one before
    assert "unknown" not in mailing_factories.statuses(mailing)
    assert (mailing.batches.count() == 2) is again
    mailing_factories.assert_counters_equal_rows(mailing)


@pytest.mark.django_db(transaction=True)
def test_books_that_show_what_is_kept_are_believed_before_its_time(
    clock: Any, twilio_emulator: TwilioEmulator, settings: Any
) -> None:
    settings.READ_TIMEOUT = 1
    account = factories.twilio()
    service = {"messaging_service_sid": "MG" + "00112233445566778899aabbccddeeff"}
    account.credentials = account.credentials | service
    account.save()
    mailing_factories.taken_before(account)
    factories.students(1, start=10)
    mailing = mailing_factories.prepared(factories.owner(), starts_at=NOON + 2 * HOUR)
    twilio_emulator.plan.next.append("unread")
    handed_over()
    assert mailing_factories.statuses(mailing)["unknown"] == 1
    for minutes in range(5, 60, 5):
        clock.move_to(NOON + minutes * MINUTE)
        reconciliation.reconcile_due()
        handed_over()
    assert mailing_factories.statuses(mailing)["accepted"] == 1
    assert len(twilio_emulator.accepted) == 1 + 1  # and the one before


# --- quiet hours -----------------------------------------------------------------------------
@pytest.fixture
def abroad(owner: User) -> dict[str, User]:
    """One person each in London, Yekaterinburg (by the phone), Moscow (by the account)."""
    factories.simulator()
    return {
        "london": factories.person("liz", phone="+79980000011", time_zone="Europe/London"),
        "ural": factories.person("ula", phone=LAND_LINE),
        "here": factories.person("ira", phone="+79980000012"),
        "nonsense": factories.person("nia", phone="+79980000013", time_zone="Mars/Olympus"),
    }


def leaving(mailing: Mailing) -> dict[str, datetime]:
    """Phone -> when its batch may leave."""
    rows = Message.objects.filter(mailing=mailing, status="waiting").select_related("batch")
    return {row.phone: row.batch.not_before for row in rows if row.batch}


def test_each_sleeps_in_their_own_zone(
    clock: Any, owner: User, night: None, abroad: dict[str, User]
) -> None:
    clock.move_to(EVENING)
    mailing = mailing_factories.prepared(owner)
    morning = datetime(2026, 11, 21, tzinfo=UTC)
    assert leaving(mailing) == {
        "+79980000011": EVENING,  # 20:00 there
        LAND_LINE: morning + 4 * HOUR,
        "+79980000012": morning + 6 * HOUR,
        "+79980000013": morning + 6 * HOUR,
    }
    zones = set(mailing.batches.values_list("zone", flat=True))
    assert zones == {"Europe/London", "Asia/Yekaterinburg", "Europe/Moscow"}
    assert len(mailing_factories.claimed().messages) == 1
    assert claim.claim() is None


def test_a_time_set_in_the_night_is_shifted_for_those_who_sleep_then(
    clock: Any, owner: User, night: None, abroad: dict[str, User]
) -> None:
    mailing = mailing_factories.launched(owner, starts_at=EVENING)
    clock.move_to(EVENING - 2 * HOUR)
    prepared_from_now_on(mailing)
    given = {sms.phone: sms.at for _ in range(3) for sms in mailing_factories.sent().messages}
    assert given["+79980000011"] == EVENING
    assert given[LAND_LINE] == datetime(2026, 11, 21, 4, tzinfo=UTC)
    assert given["+79980000012"] == datetime(2026, 11, 21, 6, tzinfo=UTC)


@pytest.mark.parametrize("how", ["urgent", "test", "none"])
def test_what_is_not_subject_to_quiet_hours_goes_at_once(
    clock: Any, owner: User, night: None, abroad: dict[str, User], how: str
) -> None:
    clock.move_to(EVENING)
    if how == "test":
        send.send_test(mailing_factories.draft(), abroad["ural"], owner)
    elif how == "urgent":
        mailing_factories.prepared(owner, urgent=True)
    else:
        Policy.objects.update(quiet_from=None, quiet_until=None)
        mailing_factories.prepared(owner)
    assert len(mailing_factories.claimed().messages) == (1 if how == "test" else 4)
    assert set(Batch.objects.values_list("zone", flat=True)) == {""}


def test_people_who_fell_asleep_meanwhile_are_left_in_peace(
    clock: Any, owner: User, night: None, abroad: dict[str, User]
) -> None:
    """After a pause, an outage or a retry: the claim looks once more."""
    mailing = mailing_factories.prepared(owner)
    transitions.pause(mailing, owner)
    clock.move_to(EVENING)
    transitions.resume(mailing, owner)
    assert [sms.phone for sms in mailing_factories.claimed().messages] == ["+79980000011"]
    assert claim.claim() is None
    assert leaving(mailing)[LAND_LINE] == datetime(2026, 11, 21, 4, tzinfo=UTC)
    clock.move_to(datetime(2026, 11, 21, 6, tzinfo=UTC))
    woken = {sms.phone for _ in range(2) for sms in mailing_factories.sent().messages}
    assert woken == {LAND_LINE, "+79980000012", "+79980000013"}


def test_all_batches_of_a_sleeping_zone_are_held_in_one_go(
    clock: Any,
    owner: User,
    night: None,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    monkeypatch.setattr(Simulator, "batch", 1)
    factories.simulator()
    factories.students(40)
    mailing = mailing_factories.prepared(owner)
    clock.move_to(EVENING)
    Mailing.objects.update(starts_at=None)
    with django_assert_max_num_queries(20):
        assert claim.claim() is None
    moments = set(mailing.batches.values_list("not_before", flat=True))
    assert moments == {datetime(2026, 11, 21, 6, tzinfo=UTC)}


# --- lifetimes -------------------------------------------------------------------------------
def test_whose_lifetime_ends_before_they_wake_are_left_out_with_the_reason(
    clock: Any, owner: User, night: None, abroad: dict[str, User]
) -> None:
    clock.move_to(EVENING)
    mailing = mailing_factories.prepared(owner, valid_minutes=9 * 60)  # until 05:00 UTC
    assert mailing_factories.by_phone(mailing) == {
        "0011": "waiting",
        "3456": "waiting",  # wakes at 04:00 UTC
        "0012": "skipped",
        "0013": "skipped",
    }
    late = Message.objects.filter(mailing=mailing, status="skipped").exclude(user=owner)
    assert set(late.values_list("reason", flat=True)) == {Reason.TOO_LATE}


def test_who_waited_longer_than_the_lifetime_gets_nothing_and_it_is_said(
    clock: Any, owner: User
) -> None:
    factories.simulator()
    factories.students(3)
    mailing = mailing_factories.prepared(owner, valid_minutes=30)
    clock.move_to(NOON + 30 * MINUTE - SECOND)
    transitions.pause(mailing, owner)
    clock.move_to(NOON + 30 * MINUTE)
    transitions.resume(mailing, owner)
    batch = mailing_factories.claimed()
    assert batch.messages == ()
    record.record(batch, worker.hand_over(batch))
    rows = Message.objects.filter(mailing=mailing, reason=Reason.TOO_LATE)
    assert rows.count() == 3
    assert mailing_factories.statuses(mailing) == {"skipped": 4}
    mailing_factories.assert_counters_equal_rows(mailing)
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.state == State.DONE


def test_the_lifetime_counts_from_the_time_set(clock: Any, owner: User) -> None:
    factories.simulator()
    factories.students(3)
    mailing = mailing_factories.prepared(owner, starts_at=NOON + 2 * HOUR, valid_minutes=30)
    assert mailing.batches.get().expires_at == NOON + 2 * HOUR + 30 * MINUTE
    (until,) = {sms.valid_until for sms in mailing_factories.claimed().messages}
    assert until == NOON + 2 * HOUR + 30 * MINUTE
