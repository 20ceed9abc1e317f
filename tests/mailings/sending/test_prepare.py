"""Preparation: people become messages in batches, chunk by chunk, once, whatever happens between."""

import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.models import Account
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from mailings.errors import CannotLaunch
from mailings.lifecycle import transitions
from mailings.models import Batch, Mailing, Message
from mailings.sending import claim, prepare
from mailings.text import template
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

State = Mailing.State
Status = Message.Status


@pytest.fixture
def account(db: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(Simulator, "batch", 3)
    return factories.simulator()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 4)


@pytest.fixture
def mailing(owner: User, account: Account, small_chunks: None) -> Mailing:
    """Launched to the owner, who has no phone, and ten students: three chunks."""
    factories.students(10)
    return mailing_factories.launched(owner)


def state_of(mailing: Mailing) -> str:
    mailing.refresh_from_db()
    return mailing.state


def prepare_all(mailing: Mailing) -> int:
    chunks = 0
    while prepare.prepare_some(mailing.id):
        chunks += 1
        mailing_factories.assert_counters_equal_rows(mailing)
    mailing.refresh_from_db()
    return chunks


def test_people_become_messages_with_their_own_text(owner: User, account: Account) -> None:
    factories.person("vera", phone="+79980000011")
    factories.person("nameless", phone="+79980000012", first_name="")
    mailing = mailing_factories.prepared(owner, text="Hello, {first_name|friend}! Ёлка")
    rows = Message.objects.filter(mailing=mailing).order_by("user__email")
    assert [(row.key, row.phone, row.text, row.parts, row.status, row.reason) for row in rows] == [
        ("+79980000012", "+79980000012", "Hello, friend! Ёлка", 1, "waiting", ""),
        (f"user:{owner.id}", "", "", 0, "skipped", "no_phone"),
        ("+79980000011", "+79980000011", "Hello, Vera! Ёлка", 1, "waiting", ""),
    ]
    assert {row.batch_id is None for row in rows if row.status == "skipped"} == {True}
    assert [row.final_at is None for row in rows] == [True, False, True]
    mailing_factories.assert_counters_equal_rows(mailing)


def test_batches_are_as_large_as_the_service_takes(owner: User, account: Account) -> None:
    factories.students(7)
    mailing = mailing_factories.prepared(owner)
    batches = Batch.objects.filter(mailing=mailing).order_by("id")
    assert [batch.size for batch in batches] == [3, 3, 1]
    assert [batch.messages.count() for batch in batches] == [3, 3, 1]
    assert len({batch.reference for batch in batches}) == 3
    assert {batch.state for batch in batches} == {Batch.State.WAITING}


def test_it_goes_on_where_the_last_chunk_ended(mailing: Mailing) -> None:
    assert prepare.prepare_some(mailing.id)
    mailing.refresh_from_db()
    assert Message.objects.count() == 4
    assert mailing.cursor == max(Message.objects.values_list("user_id", flat=True))
    assert state_of(mailing) == State.PREPARING
    assert prepare_all(mailing) == 2
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": 10}
    assert state_of(mailing) == State.SENDING
    assert mailing.prepared_at is not None
    assert not prepare.prepare_some(mailing.id)


def test_what_is_prepared_can_be_sent_while_the_rest_is_not(mailing: Mailing) -> None:
    prepare.prepare_some(mailing.id)
    mailing_factories.sent()
    prepare_all(mailing)
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": 7, "accepted": 3}


def test_who_registers_after_the_launch_is_not_in_it(mailing: Mailing) -> None:
    late = factories.person("late", phone="+79980000099")
    prepare_all(mailing)
    assert not Message.objects.filter(user=late).exists()
    assert Message.objects.count() == 11


def test_one_phone_in_different_chunks_gets_one_sms(
    owner: User, account: Account, small_chunks: None
) -> None:
    first = factories.person("vera", phone="+79980000077")
    factories.students(8)
    for name in ("pavel", "zoya"):
        factories.person(name, phone="+79980000077")
    mailing = mailing_factories.launched(owner)
    prepare_all(mailing)
    same = Message.objects.filter(phone="+79980000077").order_by("id")
    assert [(row.status, row.reason) for row in same] == [
        ("waiting", ""),
        ("skipped", Reason.SAME_PHONE),
        ("skipped", Reason.SAME_PHONE),
    ]
    assert same[0].user_id == first.id


def test_one_phone_in_one_chunk_gets_one_sms(owner: User, account: Account) -> None:
    for name in ("vera", "pavel"):
        factories.person(name, phone="+79980000077")
    mailing = mailing_factories.prepared(owner)
    assert mailing_factories.statuses(mailing) == {"skipped": 2, "waiting": 1}


def test_a_chunk_of_people_left_out_makes_no_batch(
    owner: User, account: Account, small_chunks: None
) -> None:
    factories.students(4, start=10, sms_forbidden=True)
    factories.students(1)
    mailing = mailing_factories.launched(owner)
    prepare.prepare_some(mailing.id)
    assert not Batch.objects.exists()
    prepare_all(mailing)
    assert [batch.size for batch in Batch.objects.all()] == [1]


def test_a_mailing_cancelled_meanwhile_keeps_everybody_as_cancelled(
    mailing: Mailing, owner: User
) -> None:
    prepare.prepare_some(mailing.id)
    transitions.cancel(mailing, owner)
    prepare_all(mailing)
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": 3, "cancelled": 7}
    assert claim.claim() is None
    mailing_factories.settle()
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "cancelled": 10}
    assert state_of(mailing) == State.CANCELLED
    assert mailing.finished_at is not None
    cancelled = Message.objects.filter(status=Status.CANCELLED)
    assert set(cancelled.values_list("reason", flat=True)) == {Reason.CANCELLED}
    assert all(row.text.startswith("Webinar") for row in cancelled)


def test_a_cancelled_mailing_is_not_over_before_everybody_is_in_it(
    mailing: Mailing, owner: User
) -> None:
    transitions.cancel(mailing, owner)
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.finished_at is None
    assert prepare.prepare_due()


def test_a_paused_mailing_is_not_prepared_until_it_is_resumed(
    mailing: Mailing, owner: User
) -> None:
    prepare.prepare_some(mailing.id)
    transitions.pause(mailing, owner)
    assert not prepare.prepare_due()
    assert not prepare.prepare_some(mailing.id)
    assert Message.objects.count() == 4
    transitions.resume(mailing, owner)
    while prepare.prepare_due():
        pass
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": 10}
    assert state_of(mailing) == State.SENDING


def test_a_draft_is_not_prepared(owner: User, account: Account) -> None:
    draft = mailing_factories.draft()
    assert not prepare.prepare_due()
    assert not prepare.prepare_some(draft.id)
    assert not Message.objects.exists()


def test_every_mailing_gets_its_turn(mailing: Mailing, owner: User) -> None:
    other = mailing_factories.launched(owner)
    assert prepare.prepare_due()
    assert (
        mailing_factories.statuses(mailing)
        == mailing_factories.statuses(other)
        == {"skipped": 1, "waiting": 3}
    )


def test_a_chunk_takes_the_same_queries_for_any_size(
    owner: User, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries(count: int, start: int) -> int:
        factories.students(count, start=start)
        mailing = mailing_factories.launched(owner)
        with CaptureQueriesContext(connection) as captured:
            prepare.prepare_some(mailing.id)
        assert Message.objects.filter(mailing=mailing).count() == start + count + 1
        return len(captured)

    monkeypatch.setattr(Simulator, "batch", 20)
    assert queries(2, 0) == queries(300, 2)


def test_a_text_that_cannot_be_rendered_is_never_launched(owner: User, account: Account) -> None:
    """Preparation would fail on it again and again; it cannot change after the launch either."""
    factories.students(1)
    draft = mailing_factories.draft(text="Hello, {nobody}")
    with pytest.raises(CannotLaunch):
        transitions.launch(draft, owner)
    with pytest.raises(template.BadText):
        template.parse(draft.text)
    assert not prepare.prepare_due()


def test_killed_within_a_chunk_the_same_chunk_comes_again(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare.prepare_some(mailing.id)
    with monkeypatch.context() as broken:
        broken.setattr(Mailing, "save", lambda *_args, **_kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare.prepare_some(mailing.id)
    assert Message.objects.count() == 4
    mailing_factories.assert_counters_equal_rows(mailing)
    prepare_all(mailing)
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": 10}


@pytest.mark.django_db(transaction=True)
def test_two_preparers_at_once_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 3)
    factories.simulator()
    factories.students(40)
    mailing = mailing_factories.launched(factories.owner())
    errors: list[Exception] = []

    def work() -> None:
        try:
            while Mailing.objects.get(id=mailing.id).prepared_at is None:
                prepare.prepare_due()
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": 40}
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_text_that_is_empty_for_a_person_leaves_them_out_and_says_why(
    owner: User, account: Account
) -> None:
    factories.students(2)
    User.objects.filter(email="student0@example.com").update(first_name="")
    mailing = mailing_factories.prepared(owner, text="{first_name}")
    left_out = Message.objects.get(mailing=mailing, reason=Reason.EMPTY_TEXT)
    assert (left_out.status, left_out.phone) == ("skipped", "+79980000000")
    assert mailing_factories.statuses(mailing) == {"skipped": 2, "waiting": 1}
    mailing_factories.assert_counters_equal_rows(mailing)


def test_literal_braces_are_no_variable_also_after_the_launch(owner: User) -> None:
    factories.students(1)
    factories.simulator()
    mailing = mailing_factories.prepared(owner, text="Write {{code}}, {first_name}")
    assert Message.objects.get(mailing=mailing, status="waiting").text == "Write {code}, Student0"
