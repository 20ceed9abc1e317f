"""Launch, pause, resume, cancel, settle: each change once, from the right state, to the end."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from integrations.models import Account
from integrations.providers.contract import Outcome, SendResult
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from integrations.routing import accounts
from mailings.errors import CannotLaunch, WrongState
from mailings.lifecycle import transitions
from mailings.lifecycle.transitions import Split
from mailings.models import Batch, Counters, Mailing, Message
from mailings.sending import claim, prepare, record
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, Group, User

State = Mailing.State
Status = Message.Status


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """The words below are the source strings, whatever the language of the installation."""
    with translation.override("en"):
        yield


@pytest.fixture
def account(db: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(Simulator, "batch", 2)
    return factories.simulator()


@pytest.fixture
def mailing(owner: User, account: Account) -> Mailing:
    """Six students in three batches; the owner is left out."""
    factories.students(6)
    return mailing_factories.prepared(owner)


def state_of(mailing: Mailing) -> str:
    mailing.refresh_from_db()
    return mailing.state


def statuses(mailing: Mailing) -> dict[str, int]:
    mailing_factories.assert_counters_equal_rows(mailing)
    return {
        status: n
        for status, n in mailing_factories.statuses(mailing).items()
        if status != "skipped"
    }


# --- launching -------------------------------------------------------------------------------
def test_a_launch_is_written_down_and_prepares(owner: User, account: Account) -> None:
    factories.students(2)
    mailing = mailing_factories.launched(owner)
    assert mailing.state == State.PREPARING
    assert mailing.launched_by == owner
    assert mailing.launched_at is not None
    assert mailing.ceiling == User.objects.order_by("id").last().id  # type: ignore[union-attr]
    assert Counters.objects.get(mailing=mailing).total == 0
    assert AuditEvent.objects.get().what == "launched"


def test_a_second_launch_is_refused_and_changes_nothing(owner: User, account: Account) -> None:
    factories.students(2)
    mailing = mailing_factories.launched(owner)
    factories.students(1, start=5)
    with pytest.raises(CannotLaunch, match="already"):
        transitions.launch(mailing, owner)
    before = mailing.ceiling
    mailing.refresh_from_db()
    assert mailing.ceiling == before
    assert AuditEvent.objects.count() == 1


def no_service(draft: Mailing) -> None:
    accounts.disconnect(Account.objects.get(), None)


def no_text(draft: Mailing) -> None:
    Mailing.objects.update(text="  \n ")


def bad_text(draft: Mailing) -> None:
    Mailing.objects.update(text="Hello, {first_nam}")


def no_people(draft: Mailing) -> None:
    Mailing.objects.update(everyone=False)


def nobody_fit(draft: Mailing) -> None:
    User.objects.update(sms_forbidden=True)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_service, "No SMS service"),
        (no_text, "text is empty"),
        (bad_text, "first_nam"),
        (no_people, "Nobody would get it"),
        (nobody_fit, "Nobody would get it"),
    ],
)
def test_a_draft_that_cannot_go_stays_a_draft(
    owner: User, account: Account, spoil: Callable[[Mailing], None], words: str
) -> None:
    """Also when it was spoilt after the page was drawn: `draft` is as it was before."""
    factories.students(2)
    draft = mailing_factories.draft()
    spoil(draft)
    with pytest.raises(CannotLaunch, match=words):
        transitions.launch(draft, owner)
    assert state_of(draft) == State.DRAFT
    assert draft.launched_at is None
    assert not Counters.objects.exists()
    assert not AuditEvent.objects.filter(what="launched").exists()


@pytest.mark.django_db(transaction=True)
def test_two_launches_at_the_same_moment_are_one() -> None:
    factories.simulator()
    factories.students(2)
    owner = factories.owner()
    draft = mailing_factories.draft()
    both = threading.Barrier(2, timeout=20)
    results: list[str] = []

    def click() -> None:
        try:
            mine = Mailing.objects.get(id=draft.id)
            both.wait()
            transitions.launch(mine, owner)
            results.append("launched")
        except CannotLaunch:
            results.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["launched", "refused"]
    assert Counters.objects.count() == AuditEvent.objects.count() == 1


# --- from each state -------------------------------------------------------------------------
ALLOWED: dict[str, dict[str, State]] = {
    "pause": dict.fromkeys(Mailing.PAUSABLE, State.PAUSED),
    "resume": {State.PAUSED: State.SENDING},
    "cancel": dict.fromkeys(Mailing.STOPPABLE, State.CANCELLED),
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("what", list(ALLOWED))
def test_each_button_works_from_its_states_only(
    mailing: Mailing, owner: User, what: str, state: State
) -> None:
    change = {
        "pause": transitions.pause,
        "resume": transitions.resume,
        "cancel": transitions.cancel,
    }
    Mailing.objects.update(state=state)
    if state in ALLOWED[what]:
        change[what](mailing, owner)
        assert state_of(mailing) == ALLOWED[what][state]
    else:
        with pytest.raises(WrongState):
            change[what](mailing, owner)
        assert state_of(mailing) == state
    assert AuditEvent.objects.exclude(what="launched").count() == (state in ALLOWED[what])


def test_a_mailing_paused_while_preparing_resumes_there(owner: User, account: Account) -> None:
    factories.students(2)
    mailing = mailing_factories.launched(owner)
    transitions.pause(mailing, owner)
    transitions.resume(mailing, owner)
    assert mailing.state == State.PREPARING


def test_a_launched_mailing_cannot_be_deleted_and_a_draft_can(
    mailing: Mailing, owner: User
) -> None:
    with pytest.raises(WrongState):
        transitions.delete_draft(mailing, owner)
    draft = mailing_factories.draft(everyone=False)
    draft.groups.add(Group.objects.create(name="Evening"))
    transitions.delete_draft(draft, owner)
    assert list(Mailing.objects.all()) == [mailing]
    assert AuditEvent.objects.get(what="deleted").details == {"name": "Webinar"}


# --- cancelling ------------------------------------------------------------------------------
def test_a_cancellation_says_what_it_stops_and_what_had_gone(mailing: Mailing, owner: User) -> None:
    mailing_factories.sent()
    mailing_factories.claimed()
    assert transitions.cancel(mailing, owner) == Split(stopped=2, gone=4)


def test_of_a_batch_in_hand_each_message_is_counted_once(mailing: Mailing, owner: User) -> None:
    """Receipts overtook its answer: those messages have gone already."""
    batch = mailing_factories.claimed()
    mailing_factories.reported(batch, "delivered")
    assert transitions.cancel(mailing, owner) == Split(stopped=4, gone=2)


def test_people_not_yet_prepared_are_stopped_too(
    owner: User, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 3)
    for name in ("vera", "pavel"):
        factories.person(name, phone="+79980000001")
    factories.students(5)  # one of them has Vera's phone
    factories.person("last", phone="+79980000099", sms_forbidden=True)
    mailing = mailing_factories.launched(owner)
    factories.students(1, start=50)
    prepare.prepare_some(mailing.id)
    mailing_factories.sent()
    said = transitions.cancel(mailing, owner)
    assert said == Split(stopped=4, gone=1)
    while prepare.prepare_some(mailing.id):
        pass
    mailing_factories.settle()
    assert statuses(mailing) == {"accepted": said.gone, "cancelled": said.stopped}


def test_a_cancelled_mailing_is_swept_some_batches_at_a_time_to_its_end(
    mailing: Mailing, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "SWEEP", 2)
    transitions.cancel(mailing, owner)
    assert transitions.settle_due()
    assert statuses(mailing) == {"cancelled": 4, "waiting": 2}
    assert not transitions.settle_due()
    assert statuses(mailing) == {"cancelled": 6}
    transitions.settle_due()
    assert state_of(mailing) == State.CANCELLED
    assert mailing.finished_at is not None
    cancelled = Message.objects.filter(status=Status.CANCELLED)
    assert set(cancelled.values_list("reason", flat=True)) == {Reason.CANCELLED}
    assert not Batch.objects.filter(state=Batch.State.WAITING).exists()


def test_the_sweep_leaves_other_mailings_alone(mailing: Mailing, owner: User) -> None:
    other = mailing_factories.prepared(owner)
    transitions.cancel(mailing, owner)
    mailing_factories.settle()
    assert statuses(other) == {"waiting": 6}
    assert state_of(other) == State.SENDING


def test_a_cancelled_mailing_is_over_when_the_batches_in_hand_are(
    mailing: Mailing, owner: User
) -> None:
    batch = mailing_factories.claimed()
    transitions.cancel(mailing, owner)
    mailing_factories.settle()
    assert statuses(mailing) == {"waiting": 2, "cancelled": 4}
    assert state_of(mailing) == State.CANCELLED
    assert mailing.finished_at is None
    record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))
    mailing_factories.reported(batch, "delivered")
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.finished_at is not None
    assert statuses(mailing) == {"delivered": 2, "cancelled": 4}


# --- settling --------------------------------------------------------------------------------
def test_a_mailing_settles_when_nothing_waits_and_is_done_when_all_is_final(
    mailing: Mailing,
) -> None:
    batches = [mailing_factories.sent() for _ in range(3)]
    transitions.settle_due()
    assert state_of(mailing) == State.SETTLING
    for batch in batches[:2]:
        mailing_factories.reported(batch, "delivered")
    mailing_factories.settle()
    assert state_of(mailing) == State.SETTLING
    assert mailing.finished_at is None
    mailing_factories.reported(batches[2], "undelivered")
    mailing_factories.settle()
    assert state_of(mailing) == State.DONE
    assert mailing.finished_at is not None
    assert mailing.trouble == ""


@pytest.mark.parametrize("left", ["waiting", "accepted", "unknown"])
def test_one_message_left_keeps_a_mailing_from_being_done(mailing: Mailing, left: str) -> None:
    answers = {"waiting": Outcome.UNSENT, "accepted": Outcome.TAKEN, "unknown": Outcome.UNKNOWN}
    for number in range(3):
        batch = mailing_factories.claimed()
        rest = batch.messages[1:] if number == 0 else batch.messages
        results = [SendResult(sms.key, Outcome.REFUSED, raw=sms.phone) for sms in rest]
        if number == 0:
            results.append(SendResult(batch.messages[0].key, answers[left]))
        record.record(batch, results)
    mailing_factories.settle()
    assert statuses(mailing) == {left: 1, "refused": 5}
    assert state_of(mailing) != State.DONE


def test_sending_goes_on_while_preparation_does(
    owner: User, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 2)
    factories.students(4, start=1)
    mailing = mailing_factories.launched(owner)
    prepare.prepare_some(mailing.id)
    mailing_factories.reported(mailing_factories.sent(), "delivered")
    mailing_factories.settle()
    assert state_of(mailing) == State.PREPARING  # nothing waits now, more will


def test_a_message_that_waits_again_brings_the_mailing_back_to_sending(mailing: Mailing) -> None:
    for _ in range(2):
        mailing_factories.reported(mailing_factories.sent(), "delivered")
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    transitions.settle_due()
    assert state_of(mailing) == State.SETTLING
    send_again(batch)
    assert claim.claim() is None
    transitions.settle_due()
    assert state_of(mailing) == State.SENDING
    Account.objects.update(failures=0, cooldown_until=None)
    mailing_factories.reported(mailing_factories.sent(), "delivered")
    mailing_factories.settle()
    assert state_of(mailing) == State.DONE


def send_again(batch: claim.ClaimedBatch) -> None:
    with transaction.atomic():
        known = Batch.objects.select_related("mailing").get(id=batch.batch_id)
        record.send_again(known, [sms.key for sms in batch.messages])


def test_a_paused_mailing_stays_paused_though_an_unknown_message_waits_again(
    mailing: Mailing, owner: User
) -> None:
    """Else settling would have forgotten the pause, and sent what a person holds back."""
    for _ in range(2):
        mailing_factories.reported(mailing_factories.sent(), "delivered")
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    transitions.pause(mailing, owner)
    mailing_factories.settle()
    send_again(batch)
    mailing_factories.settle()
    assert state_of(mailing) == State.PAUSED
    transitions.resume(mailing, owner)
    Account.objects.update(failures=0, cooldown_until=None)
    mailing_factories.reported(mailing_factories.sent(), "delivered")
    mailing_factories.settle()
    assert state_of(mailing) == State.DONE


def test_a_paused_mailing_of_which_nothing_is_left_is_done(mailing: Mailing, owner: User) -> None:
    batches = [mailing_factories.sent() for _ in range(3)]
    Mailing.objects.update(state=State.PAUSED, trouble=Reason.TEXT_FORBIDDEN, trouble_raw="6")
    for batch in batches:
        mailing_factories.reported(batch, "delivered")
    mailing_factories.settle()
    assert state_of(mailing) == State.DONE
    assert (mailing.trouble, mailing.trouble_raw) == ("", "")


def test_settling_takes_the_same_queries_for_any_number_of_mailings(
    mailing: Mailing, owner: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            transitions.settle_due()
        return len(captured)

    for_one = queries()
    for _ in range(4):
        mailing_factories.prepared(owner)
    while (batch := claim.claim()) is not None:
        record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))
    assert queries() == for_one
    assert set(Mailing.objects.values_list("state", flat=True)) == {State.SETTLING}


def test_a_sweep_takes_the_same_queries_for_any_size(
    owner: User, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "batch", 500)

    def queries(count: int, start: int) -> int:
        factories.students(count, start=start)
        transitions.cancel(mailing_factories.prepared(owner), owner)
        with CaptureQueriesContext(connection) as captured:
            transitions.settle_due()
        return len(captured)

    assert queries(2, 0) == queries(300, 2)
    assert not Message.objects.filter(status=Status.WAITING).exists()
