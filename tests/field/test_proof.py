"""Absence is no proof: what a service's books do not show goes again only when the same look shows that they
would have shown it. Source: the chaos run, findings S1 and "Schedules found by reading" 1, 3, 5, 6.
Through the real adapter, over HTTP, against the emulated SMSC.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from integrations.models import Account, FormerLogin
from integrations.providers.smsc.service import Smsc
from integrations.routing import accounts, cooldown, logins, service_clock
from mailings.lifecycle import unresolved
from mailings.models import Batch, Mailing, Message
from mailings.sending import reconciliation, worker
from tests import factories
from tests.emulators.smsc import SmscEmulator
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

Doubt = Batch.Doubt
NOON = datetime(2026, 11, 20, 9, tzinfo=UTC)  # 12:00 in Moscow
DAY = 24 * 3600.0
OTHER = {"login": "other", "password": "made-up"}


@pytest.fixture(autouse=True)
def quick(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.READ_TIMEOUT = 1
    monkeypatch.setattr(Smsc, "batch", 5)
    monkeypatch.setattr(
        cooldown, "start", lambda *_args, **_kwargs: None
    )  # or batches would leave one at a time


@pytest.fixture
def clock() -> Iterator[Any]:
    """Ours and the service's; how far its clock is from ours is the emulator's clock_off."""
    with time_machine.travel(NOON, tick=True) as travelling:
        yield travelling


@pytest.fixture
def smsc(smsc_emulator: SmscEmulator, clock: Any) -> SmscEmulator:
    smsc_emulator.manner.silent = True
    return smsc_emulator


@pytest.fixture
def account(db: None, smsc: SmscEmulator) -> Account:
    return factories.smsc()


@pytest.fixture
def mailing(account: Account, owner: User) -> Mailing:
    """Twenty people in four batches."""
    factories.students(20, digits="06")
    return mailing_factories.prepared(owner)


def lose(smsc: SmscEmulator, *names: str) -> None:
    """The next hand-overs get no answer."""
    smsc.misbehave(*names)


def hand_over() -> None:
    Account.objects.update(failures=0, cooldown_until=None)
    while worker.hand_over_due():
        pass


def look(times: int = 1) -> None:
    """The time of the next look has come."""
    for _ in range(times):
        Batch.objects.exclude(look_up_at=None).update(look_up_at=timezone.now())
        while reconciliation.reconcile_due():
            pass


def carry_on(clock: Any, rounds: int = 8, hours: float = 0.1) -> None:
    """Look and hand over, as the clock would; time passes."""
    for _ in range(rounds):
        clock.shift(timedelta(hours=hours))
        look()
        hand_over()


def went(smsc: SmscEmulator) -> Counter[str]:
    return Counter(phone for _, phone, _ in smsc.accepted)


def statuses(mailing: Mailing) -> dict[str, int]:
    mailing_factories.assert_counters_equal_rows(mailing)
    return {
        status: n
        for status, n in mailing_factories.statuses(mailing).items()
        if status != "skipped"
    }


def doubts() -> set[str]:
    batches = Batch.objects.filter(messages__status="unknown")
    return set(batches.values_list("doubt", flat=True).distinct())


# --- a usual one clears itself up -------------------------------------------------------------
@pytest.mark.parametrize("first", ["unread", "cut-after"])
def test_a_lost_batch_among_others_is_cleared_up_in_two_looks(
    mailing: Mailing, smsc: SmscEmulator, clock: Any, first: str
) -> None:
    """With few requests; the first batch of a login has only later witnesses, the last one earlier ones."""
    lose(smsc, first, "", "", "unread")
    hand_over()
    look(2)
    hand_over()
    assert set(went(smsc).values()) == {1}
    assert len(went(smsc)) == 20
    assert "unknown" not in statuses(mailing)
    assert len([command for command, _ in smsc.requests if command == "get"]) <= 6


# --- no witness ------------------------------------------------------------------------------
def test_the_only_message_of_a_small_school_waits_for_a_person(
    account: Account, smsc: SmscEmulator, owner: User, clock: Any, as_: Any, settings: Any
) -> None:
    factories.students(1, digits="06")
    mailing = mailing_factories.prepared(owner)
    lose(smsc, "unread")
    hand_over()
    carry_on(clock)
    assert statuses(mailing) == {"unknown": 1}
    assert doubts() == {Doubt.NO_PROOF}
    assert not smsc.accepted
    settings.LANGUAGE_CODE = "en"
    page = as_(owner).get(reverse("mailing", args=[mailing.id])).content.decode()
    assert "SMSC was asked and cannot tell" in page
    assert reverse("mailing-send-again", args=[mailing.id]) in page
    assert unresolved.send_again(mailing, owner) == 1
    hand_over()
    assert statuses(mailing) == {"accepted": 1}


@pytest.mark.parametrize("hours", [2.0, 24.0 * 7])
def test_an_older_witness_and_the_service_s_date_will_do(
    account: Account, smsc: SmscEmulator, owner: User, clock: Any, hours: float
) -> None:
    clock.shift(timedelta(hours=-hours))
    mailing_factories.taken_before(account)
    clock.shift(timedelta(hours=hours))
    factories.students(1, digits="06")
    mailing = mailing_factories.prepared(owner)
    lose(smsc, "unread")
    hand_over()
    carry_on(clock)
    assert statuses(mailing) == {"accepted": 1}
    assert set(went(smsc).values()) == {1}


def test_without_the_service_s_date_nothing_is_concluded(
    mailing: Mailing, smsc: SmscEmulator, clock: Any
) -> None:
    smsc.dates = False
    lose(smsc, "", "unread")
    hand_over()
    carry_on(clock)
    assert statuses(mailing) == {"accepted": 15, "unknown": 5}
    smsc.dates = True
    carry_on(clock)
    assert statuses(mailing) == {"accepted": 20}


def test_an_empty_history_proves_nothing(mailing: Mailing, smsc: SmscEmulator, clock: Any) -> None:
    """Error 3, "nothing found", to every question."""
    lose(smsc, "", "cut-after", "cut-after")
    hand_over()
    smsc.plan.commands = frozenset({"get"})
    smsc.plan.share, smsc.plan.among = 1, ("error-3",)
    carry_on(clock)
    assert statuses(mailing) == {"accepted": 10, "unknown": 10}
    assert set(went(smsc).values()) == {1}
    smsc.plan.share = 0
    look()
    assert "unknown" not in statuses(mailing)


@pytest.mark.parametrize("many", [2, 10], ids=["by phone", "by sweep"])
def test_a_history_without_the_newest_or_the_oldest_rows_proves_nothing(
    account: Account, owner: User, smsc: SmscEmulator, clock: Any, monkeypatch: Any, many: int
) -> None:
    """It shows something, and not what it is known to have had about then."""
    mailing_factories.taken_before(account, phone="+79990000099")
    factories.students(many, digits="06")
    mailing = mailing_factories.prepared(owner)
    lose(smsc, *["cut-after"] * 2)
    hand_over()
    shown = smsc._backwards
    monkeypatch.setattr(
        smsc, "_backwards", lambda fields: (r for r in shown(fields) if r.int_id > 99)
    )
    carry_on(clock)
    assert statuses(mailing) == {"unknown": many}
    assert set(went(smsc).values()) == {1}


# --- another clock ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "ahead", [3600, DAY, 9 * DAY, -DAY], ids=["an hour", "a day", "nine days", "a day slow"]
)
@pytest.mark.parametrize("batches", [1, 4], ids=["first batch", "all batches"])
def test_while_our_clock_is_wrong_nothing_is_concluded(
    mailing: Mailing, smsc: SmscEmulator, clock: Any, owner: User, ahead: float, batches: int
) -> None:
    """Seen: 118 of 594 people twice with our clock a day fast. What is found counts all the same."""
    smsc.clock_off = -ahead
    lose(smsc, *["cut-after", "unread", "cut-after", "cut-after"][:batches])
    hand_over()
    carry_on(clock)
    assert set(went(smsc).values()) == {1}
    left = 5 if batches == 4 else 0
    assert statuses(mailing).get("unknown", 0) == left
    assert doubts() == ({Doubt.CLOCK} if left else set())
    off = Account.objects.get().clock_off
    assert off is not None
    assert abs(off - ahead) <= 2


@pytest.mark.parametrize("ahead", [3600, DAY, 3 * DAY], ids=["an hour", "a day", "three days"])
@pytest.mark.parametrize("before", [True, False], ids=["known before", "new login"])
def test_hand_overs_under_a_wrong_clock_that_is_right_again(
    account: Account, smsc: SmscEmulator, owner: User, clock: Any, ahead: float, before: bool
) -> None:
    """The look comes when the time of the claim has passed by the right clock, too."""
    if before:
        mailing_factories.taken_before(account)
    factories.students(20, digits="06")
    mailing = mailing_factories.prepared(owner)
    clock.shift(ahead)
    smsc.clock_off = -ahead
    lose(smsc, "", "cut-after", "unread", "cut-after")
    hand_over()
    clock.shift(-ahead)
    smsc.clock_off = 0
    carry_on(clock, rounds=12, hours=(ahead / 3600 + 1) / 10)
    assert set(went(smsc).values()) == {1}
    left = statuses(mailing)
    assert sum(left.values()) == 20
    assert left.keys() <= {"accepted", "no_receipt", "unknown"}
    assert left.get("unknown", 0) in (0, 5)  # what never left, or nothing


def test_the_clock_is_an_alarm_on_the_pages_until_it_is_right(
    mailing: Mailing, account: Account, smsc: SmscEmulator, owner: User, as_: Any, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "en"
    smsc.clock_off = -3600
    hand_over()
    for address in (reverse("integration", args=["smsc"]), reverse("dashboard")):
        assert "clock of this server" in as_(owner).get(address).content.decode()
    smsc.clock_off = 20  # may differ so much
    accounts.check(account)
    for address in (reverse("integration", args=["smsc"]), reverse("dashboard")):
        assert "clock of this server" not in as_(owner).get(address).content.decode()


# --- another login ----------------------------------------------------------------------------
def connect(account: Account, **credentials: str) -> None:
    accounts.connect("smsc", credentials, sender="School", price=account.price, by=None)


def test_after_another_login_is_entered_the_old_one_is_asked(
    mailing: Mailing, account: Account, smsc: SmscEmulator, clock: Any
) -> None:
    """Seen: 20 people twice. The new books show its own messages, and none of the old ones."""
    lose(smsc, "", "cut-after", "unread", "cut-after")
    hand_over()
    connect(account, **OTHER)
    factories.students(5, start=100, digits="06")
    mailing_factories.prepared(User.objects.get(email="olga@example.com"), name="By the new one")
    hand_over()
    assert FormerLogin.objects.count() == 1
    assert "made-up" not in str(FormerLogin.objects.values("login"))
    carry_on(clock)
    assert statuses(mailing) == {"accepted": 20}
    by_mailing = Counter((id_, phone) for id_, phone, _ in smsc.accepted)
    assert set(by_mailing.values()) == {1}
    assert len([1 for _, _, text in smsc.accepted]) == 20 + 25


def test_the_old_login_is_forgotten_when_nothing_is_open_under_it(
    mailing: Mailing, account: Account, smsc: SmscEmulator, clock: Any, settings: Any
) -> None:
    hand_over()
    connect(account, **OTHER)
    assert FormerLogin.objects.count() == 1
    clock.shift(timedelta(seconds=settings.RECEIPT_WAIT + 60))
    look(2)
    reconciliation.reconcile_due()
    assert not FormerLogin.objects.exists()
    connect(account, login="third", password="made-up")
    assert not FormerLogin.objects.exists()


def test_a_login_that_is_not_kept_leaves_it_to_a_person(
    mailing: Mailing,
    account: Account,
    smsc: SmscEmulator,
    owner: User,
    clock: Any,
    as_: Any,
    settings: Any,
) -> None:
    """Disconnecting deletes what was kept. The same login connected again is asked again."""
    lose(smsc, "", "cut-after", "unread", "cut-after")
    hand_over()
    accounts.disconnect(account, owner)
    connect(account, **OTHER)
    carry_on(clock)
    assert statuses(mailing) == {"accepted": 5, "unknown": 15}
    assert doubts() == {Doubt.LOGIN}
    settings.LANGUAGE_CODE = "en"
    page = as_(owner).get(reverse("mailing", args=[mailing.id])).content.decode()
    assert "another login of SMSC" in page
    assert reverse("mailing-send-again", args=[mailing.id]) in page
    connect(account, login="school", password="made-up")
    carry_on(clock)
    assert statuses(mailing) == {"accepted": 20}
    assert set(went(smsc).values()) == {1}


def test_a_new_password_or_sender_is_the_same_login() -> None:
    first = logins.fingerprint("smsc", {"host": "smsc.ru", "login": "School", "password": "a"})
    assert first == logins.fingerprint("smsc", {"login": "school ", "password": "b"})
    assert first != logins.fingerprint("smsc", {"login": "school2", "password": "a"})
    assert first != logins.fingerprint("smsc", {"host": "smsc.kz", "login": "school"})
    assert first != logins.fingerprint("twilio", {"login": "school"})
    sid = {"account_sid": "AC" + "0" * 32}
    assert logins.fingerprint("twilio", sid | {"auth_token": "a"}) == logins.fingerprint(
        "twilio", sid | {"auth_token": "b", "api_key_sid": "SK1"}
    )


def test_a_fingerprint_outlives_a_change_of_keys(account: Account, settings: Any) -> None:
    login = logins.fingerprint(account.provider, account.credentials)
    settings.FIELD_KEYS = ["eW91IGFyZSBjdXJpb3VzLCBtYWRlIHVwIGtleSAxMjM=", *settings.FIELD_KEYS]
    assert logins.fingerprint(account.provider, account.credentials) != login
    assert logins.is_current(account, login)


# --- put off by the service -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("hour", "waits_until"), [(12, None), (20, None), (21, 34), (23, 34), (3, 10), (9, 10)]
)
def test_what_was_handed_over_at_night_counts_in_the_morning_only(
    account: Account,
    smsc: SmscEmulator,
    owner: User,
    clock: Any,
    hour: int,
    waits_until: int | None,
) -> None:
    """Hours of the recipients, here of Moscow. The history may not show what SMSC puts off."""
    midnight = datetime(2026, 11, 19, 21, tzinfo=UTC)
    clock.move_to(midnight + timedelta(hours=hour, minutes=10))
    mailing_factories.taken_before(account)
    factories.students(10, digits="06")
    mailing = mailing_factories.prepared(owner)
    lose(smsc, "", "unread")
    hand_over()
    carry_on(clock, rounds=4, hours=0.1)
    if waits_until is None:
        assert statuses(mailing) == {"accepted": 10}
        return
    assert statuses(mailing) == {"accepted": 5, "unknown": 5}
    assert doubts() == {Doubt.PUT_OFF}
    batch = Batch.objects.filter(messages__status="unknown").distinct().get()
    opens = midnight + timedelta(hours=waits_until, seconds=Smsc.settle_seconds)
    assert batch.look_up_at == opens
    clock.move_to(opens + timedelta(seconds=1))
    carry_on(clock, rounds=3)
    assert statuses(mailing) == {"accepted": 10}


# --- a slow service ---------------------------------------------------------------------------
def test_the_pause_grows_with_the_service_s_trouble(
    mailing: Mailing, account: Account, smsc: SmscEmulator, clock: Any, settings: Any
) -> None:
    smsc.plan.share, smsc.plan.among = 1, ("503",)
    hand_over()
    hand_over()
    hand_over()
    hand_over()
    account.refresh_from_db()
    assert service_clock.slowness(account) == 3 * settings.LOOK_UP_PAUSE
    clock.shift(timedelta(hours=1, seconds=1))
    assert service_clock.slowness(account) == 0


def test_late_acceptances_make_it_wait_longer(
    mailing: Mailing, account: Account, smsc: SmscEmulator, clock: Any
) -> None:
    lose(smsc, "cut-after")
    hand_over()
    for row in smsc._rows[:5]:
        row.sent_at += 600
    clock.shift(timedelta(minutes=11))
    look()
    account.refresh_from_db()
    assert 2300 <= service_clock.slowness(account) <= 2500


def test_a_claim_in_the_future_is_not_asked_about_from_the_future(
    mailing: Mailing, smsc: SmscEmulator, clock: Any
) -> None:
    lose(smsc, "", "cut-after")
    hand_over()
    Batch.objects.filter(messages__status="unknown").update(
        claimed_at=F("claimed_at") + timedelta(days=2)
    )
    look(3)
    assert statuses(mailing) == {"accepted": 20}
    assert Message.objects.filter(status="waiting").count() == 0
