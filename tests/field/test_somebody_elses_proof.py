"""A message in the service's books vouches for one message of ours only, and only where it can be no other's.
Source: the chaos run, S1 "the same text to the same person within 10 minutes". Through the real adapter,
over HTTP, against the emulated Twilio, whose books know no reference of ours.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from integrations.models import Account, Stray
from integrations.providers.contract import Outcome
from integrations.providers.twilio.lookup import TwilioLookup
from integrations.providers.twilio.service import Twilio
from integrations.routing import accounts, cooldown
from mailings.lifecycle import unresolved
from mailings.models import Batch, Mailing, Message
from mailings.notifications import send
from mailings.sending import claim, reconciliation, record, worker
from tests import factories
from tests.emulators.twilio import TwilioEmulator
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "The lesson begins at seven"
MANY = 6


@pytest.fixture
def twilio(
    twilio_emulator: TwilioEmulator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> TwilioEmulator:
    settings.READ_TIMEOUT = 1
    monkeypatch.setattr(
        cooldown, "start", lambda *_args, **_kwargs: None
    )  # or batches would leave one at a time
    twilio_emulator.manner.silent = True
    return twilio_emulator


@pytest.fixture
def account(db: None, twilio: TwilioEmulator) -> Account:
    return factories.twilio()


@pytest.fixture
def students(account: Account) -> list[User]:
    return factories.students(MANY, digits="06")  # sent, and nothing is ever told


def mailing(by: User, **fields: Any) -> Mailing:
    return mailing_factories.prepared(by, text=TEXT, **fields)


def hand_over() -> None:
    Account.objects.update(failures=0, cooldown_until=None)
    while worker.hand_over_due():
        pass


def lose_all(twilio: TwilioEmulator, *names: str) -> None:
    twilio.plan.share, twilio.plan.among = (1, names) if names else (0, ())


def look(times: int = 1) -> None:
    """Each batch is old enough for the answer "never had it"."""
    for _ in range(times):
        CLOCK[0].shift(timedelta(seconds=700))
        Batch.objects.exclude(look_up_at=None).update(look_up_at=timezone.now())
        while reconciliation.reconcile_due():
            pass


CLOCK: list[Any] = []


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 20, 9, tzinfo=UTC)) as travelling:
        CLOCK[:] = [travelling]
        yield


def statuses(mailing: Mailing) -> dict[str, int]:
    mailing_factories.assert_counters_equal_rows(mailing)
    return {
        status: n
        for status, n in mailing_factories.statuses(mailing).items()
        if status != "skipped"
    }


def went(twilio: TwilioEmulator) -> set[int]:
    """How often anybody got it."""
    return set(Counter(phone for _, phone, text in twilio.accepted if text == TEXT).values())


def assert_no_id_twice() -> None:
    ids = Message.objects.exclude(provider_id="").values_list("provider_id", flat=True)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("text", ["as it was", "deleted", "smart"])
def test_the_earlier_mailing_does_not_vouch_for_the_later_one(
    twilio: TwilioEmulator, students: list[User], owner: User, text: str
) -> None:
    """Its texts may have been deleted from the books since, or re-encoded by the service."""
    first = mailing(owner, name="First")
    hand_over()
    for row in twilio._rows.values():
        row.body = {"deleted": "", "smart": "The lesson - begins at seven"}.get(text, row.body)
    second = mailing(owner, name="Second")
    lose_all(twilio, "unread")
    hand_over()
    assert statuses(second) == {"unknown": MANY}
    lose_all(twilio)
    Batch.objects.filter(mailing=first).update(look_up_at=None)  # not asked about this time
    look(2)
    assert statuses(first) == {"accepted": MANY}
    assert statuses(second) == {"waiting": MANY}
    hand_over()
    assert went(twilio) == {2}
    assert statuses(second) == {"accepted": MANY}
    assert_no_id_twice()


def test_nor_does_a_later_one_that_was_taken(
    twilio: TwilioEmulator, students: list[User], owner: User
) -> None:
    first = mailing(owner, name="First")
    lose_all(twilio, "unread")
    hand_over()
    lose_all(twilio)
    second = mailing(owner, name="Second")
    hand_over()
    look(2)
    hand_over()
    assert (statuses(first), statuses(second)) == ({"accepted": MANY}, {"accepted": MANY})
    assert went(twilio) == {2}


@pytest.mark.parametrize(
    ("first_lost", "second_lost"), [("unread", "cut-after"), ("cut-after", "unread")]
)
def test_of_two_at_once_nobody_knows_whose_the_one_row_is(
    twilio: TwilioEmulator, students: list[User], owner: User, first_lost: str, second_lost: str
) -> None:
    """No message that never left is declared sent, whether they are asked about together or apart."""
    both = []
    for name, lost in (("First", first_lost), ("Second", second_lost)):
        both.append(mailing(owner, name=name))
        lose_all(twilio, lost)
        hand_over()
    lose_all(twilio)
    for each in both:  # one by one
        CLOCK[0].shift(timedelta(seconds=700))
        Batch.objects.filter(mailing=each).update(look_up_at=timezone.now())
        Batch.objects.exclude(mailing=each).update(look_up_at=timezone.now() + timedelta(days=1))
        reconciliation.reconcile_due()
    look(2)
    hand_over()
    assert [statuses(each) for each in both] == [{"unknown": MANY}, {"unknown": MANY}]
    assert went(twilio) == {1}


def test_of_two_at_once_both_are_found_when_both_are_there(
    twilio: TwilioEmulator, students: list[User], owner: User
) -> None:
    both = [mailing(owner, name="First"), mailing(owner, name="Second")]
    lose_all(twilio, "cut-after")
    hand_over()
    hand_over()  # the account has had its rest
    look()
    assert [statuses(each) for each in both] == [{"accepted": MANY}, {"accepted": MANY}]
    assert_no_id_twice()


@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
def test_of_three_with_the_same_text(
    twilio: TwilioEmulator, students: list[User], owner: User, arrived: int
) -> None:
    mailing_factories.taken_before(Account.objects.get())
    some = []
    for number in range(3):
        some.append(mailing(owner, name=f"Number {number}"))
        lose_all(twilio, "cut-after" if number < arrived else "unread")
        hand_over()
    lose_all(twilio)
    look(2)
    expected = {0: "waiting", 3: "accepted"}.get(arrived, "unknown")
    assert [statuses(each) for each in some] == 3 * [{expected: MANY}]
    assert_no_id_twice()


def test_the_time_tells_two_apart_that_are_far_apart(
    twilio: TwilioEmulator, students: list[User], owner: User
) -> None:
    first = mailing(owner, name="First")
    lose_all(twilio, "cut-after")
    hand_over()
    CLOCK[0].shift(timedelta(hours=3))
    lose_all(twilio, "unread")
    second = mailing(owner, name="Second")
    hand_over()
    lose_all(twilio)
    look(3)  # at the first there is no witness yet
    hand_over()
    assert (statuses(first), statuses(second)) == ({"accepted": MANY}, {"accepted": MANY})
    assert went(twilio) == {2}


def test_what_is_in_the_air_just_now_may_be_whose_the_row_is(
    twilio: TwilioEmulator, students: list[User], owner: User, monkeypatch: Any
) -> None:
    """The second one's request has arrived, and its answer is not written down yet."""
    mailing_factories.taken_before(Account.objects.get())
    monkeypatch.setattr(Twilio, "batch", 100)
    first = mailing(owner, name="First")
    lose_all(twilio, "unread")
    hand_over()
    lose_all(twilio)
    Account.objects.update(failures=0, cooldown_until=None)
    second = mailing(owner, name="Second")
    batch = claim.claim()
    assert batch is not None
    results = worker.hand_over(batch)
    assert {result.outcome for result in results} == {Outcome.TAKEN}
    look(2)
    assert statuses(first) == {"unknown": MANY}
    record.record(batch, results)
    look(2)
    hand_over()
    assert (statuses(first), statuses(second)) == ({"accepted": MANY}, {"accepted": MANY})
    assert went(twilio) == {2}


def test_what_is_handed_over_while_the_books_are_read_counts_too(
    twilio: TwilioEmulator, students: list[User], owner: User, monkeypatch: Any
) -> None:
    first = mailing(owner, name="First")
    lose_all(twilio, "unread")
    hand_over()
    lose_all(twilio)
    real = TwilioLookup._rows

    def meanwhile(self: TwilioLookup, phone: str) -> Any:
        if not Mailing.objects.filter(name="Second").exists():
            Mailing.objects.filter(id=first.id).update(state="settling")
        return real(self, phone)

    second = mailing(owner, name="Second")
    ask = reconciliation._ask

    def after_the_first_look(*args: Any) -> Any:
        hand_over()
        return ask(*args)

    monkeypatch.setattr(TwilioLookup, "_rows", meanwhile)
    monkeypatch.setattr(reconciliation, "_ask", after_the_first_look)
    look()
    monkeypatch.setattr(reconciliation, "_ask", ask)
    assert statuses(second) == {"accepted": MANY}
    assert statuses(first) == {"unknown": MANY}
    look(2)
    hand_over()
    assert statuses(first) == {"accepted": MANY}
    assert_no_id_twice()


@pytest.mark.parametrize("lost", ["", "cut-after"])
def test_a_test_from_the_settings_page_vouches_for_nobody(
    twilio: TwilioEmulator,
    account: Account,
    students: list[User],
    owner: User,
    lost: str,
    monkeypatch: Any,
) -> None:
    """With its answer, and without."""
    monkeypatch.setattr(Twilio, "batch", 1)
    mailing_factories.taken_before(account)
    phone = students[0].phone
    twilio.misbehave(lost)
    accounts.try_out(account, phone, TEXT, owner)
    stray = Stray.objects.get()
    assert bool(stray.provider_id) is not bool(lost)
    own = mailing(owner)
    lose_all(twilio, "unread")
    for _ in range(MANY):
        hand_over()
    lose_all(twilio)
    look(2)
    hand_over()
    left = {"accepted": MANY} if not lost else {"accepted": MANY - 1, "unknown": 1}
    assert statuses(own) == left
    assert Message.objects.filter(mailing=own, phone=phone, status="accepted").exists() is not bool(
        lost
    )


def test_a_test_of_the_text_to_oneself_vouches_for_nobody(
    twilio: TwilioEmulator, account: Account, owner: User
) -> None:
    User.objects.filter(id=owner.id).update(phone="+79990000006")
    owner.refresh_from_db()
    draft = mailing_factories.draft(text=TEXT)
    send.send_test(draft, owner, owner, owner.phone)
    hand_over()
    assert went(twilio) == {1}
    own = mailing(owner, name="Own")
    lose_all(twilio, "unread")
    hand_over()
    lose_all(twilio)
    look(2)
    hand_over()
    assert statuses(own) == {"accepted": 1}
    assert went(twilio) == {2}


@pytest.mark.parametrize("close_unknown", [True, False])
def test_what_a_person_decided_about_vouches_for_nobody(
    twilio: TwilioEmulator, students: list[User], owner: User, settings: Any, close_unknown: bool
) -> None:
    """Its first try may stand in the books: nobody ever told its id."""
    mailing_factories.taken_before(Account.objects.get())
    first = mailing(owner, name="First")
    lose_all(twilio, "cut-after")
    hand_over()
    lose_all(twilio)
    Batch.objects.filter(messages__status="unknown").update(doubt="no_proof")
    CLOCK[0].shift(timedelta(seconds=700))
    decide = unresolved.close_unknown if close_unknown else unresolved.send_again
    assert decide(first, owner) == MANY
    hand_over()
    second = mailing(owner, name="Second")
    lose_all(twilio, "unread")
    hand_over()
    lose_all(twilio)
    look(2)
    hand_over()
    assert statuses(second) == {"accepted": MANY}
    assert went(twilio) == {2 if close_unknown else 3}
