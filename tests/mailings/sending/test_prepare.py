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
from tests import people
from tests.mailings import ground
from users.models import User

State = Mailing.State
Status = Message.Status


@pytest.fixture
def account(db: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(Simulator, "batch", 3)
    return people.simulator()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 4)


@pytest.fixture
def mailing(olga: User, account: Account, small_chunks: None) -> Mailing:
    """Launched to the owner, who has no phone, and ten students: three chunks."""
    people.students(10)
    return ground.launched(olga)


def state_of(mailing: Mailing) -> str:
    mailing.refresh_from_db()
    return mailing.state


def prepare_all(mailing: Mailing) -> int:
    chunks = 0
    while prepare.prepare_some(mailing.id):
        chunks += 1
        ground.assert_counters_equal_rows(mailing)
    mailing.refresh_from_db()
    return chunks


def test_people_become_messages_with_their_own_text(olga: User, account: Account) -> None:
    people.person("vera", phone="+79980000011")
    people.person("nameless", phone="+79980000012", first_name="")
    mailing = ground.prepared(olga, text="Hello, {first_name|friend}! Ёлка")
    rows = Message.objects.filter(mailing=mailing).order_by("user__email")
    assert [(row.key, row.phone, row.text, row.parts, row.status, row.reason) for row in rows] == [
        ("+79980000012", "+79980000012", "Hello, friend! Ёлка", 1, "waiting", ""),
        (f"user:{olga.id}", "", "", 0, "skipped", "no_phone"),
        ("+79980000011", "+79980000011", "Hello, Vera! Ёлка", 1, "waiting", ""),
    ]
    assert {row.batch_id is None for row in rows if row.status == "skipped"} == {True}
    assert [row.final_at is None for row in rows] == [True, False, True]
    ground.assert_counters_equal_rows(mailing)


def test_batches_are_as_large_as_the_service_takes(olga: User, account: Account) -> None:
    people.students(7)
    mailing = ground.prepared(olga)
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
    assert ground.statuses(mailing) == {"skipped": 1, "waiting": 10}
    assert state_of(mailing) == State.SENDING
    assert mailing.prepared_at is not None
    assert not prepare.prepare_some(mailing.id)


def test_what_is_prepared_can_be_sent_while_the_rest_is_not(mailing: Mailing) -> None:
    prepare.prepare_some(mailing.id)
    ground.sent()
    prepare_all(mailing)
    assert ground.statuses(mailing) == {"skipped": 1, "waiting": 7, "accepted": 3}


def test_who_registers_after_the_launch_is_not_in_it(mailing: Mailing) -> None:
    late = people.person("late", phone="+79980000099")
    prepare_all(mailing)
    assert not Message.objects.filter(user=late).exists()
    assert Message.objects.count() == 11


def test_one_phone_in_different_chunks_gets_one_sms(
    olga: User, account: Account, small_chunks: None
) -> None:
    first = people.person("vera", phone="+79980000077")
    people.students(8)
    for name in ("pavel", "zoya"):
        people.person(name, phone="+79980000077")
    mailing = ground.launched(olga)
    prepare_all(mailing)
    same = Message.objects.filter(phone="+79980000077").order_by("id")
    assert [(row.status, row.reason) for row in same] == [
        ("waiting", ""),
        ("skipped", Reason.SAME_PHONE),
        ("skipped", Reason.SAME_PHONE),
    ]
    assert same[0].user_id == first.id


def test_one_phone_in_one_chunk_gets_one_sms(olga: User, account: Account) -> None:
    for name in ("vera", "pavel"):
        people.person(name, phone="+79980000077")
    mailing = ground.prepared(olga)
    assert ground.statuses(mailing) == {"skipped": 2, "waiting": 1}


def test_a_chunk_of_people_left_out_makes_no_batch(
    olga: User, account: Account, small_chunks: None
) -> None:
    people.students(4, start=10, sms_forbidden=True)
    people.students(1)
    mailing = ground.launched(olga)
    prepare.prepare_some(mailing.id)
    assert not Batch.objects.exists()
    prepare_all(mailing)
    assert [batch.size for batch in Batch.objects.all()] == [1]


def test_a_mailing_cancelled_meanwhile_keeps_everybody_as_cancelled(
    mailing: Mailing, olga: User
) -> None:
    prepare.prepare_some(mailing.id)
    transitions.cancel(mailing, olga)
    prepare_all(mailing)
    assert ground.statuses(mailing) == {"skipped": 1, "waiting": 3, "cancelled": 7}
    assert claim.claim() is None
    ground.settle()
    assert ground.statuses(mailing) == {"skipped": 1, "cancelled": 10}
    assert state_of(mailing) == State.CANCELLED
    assert mailing.finished_at is not None
    cancelled = Message.objects.filter(status=Status.CANCELLED)
    assert set(cancelled.values_list("reason", flat=True)) == {Reason.CANCELLED}
    assert all(row.text.startswith("Webinar") for row in cancelled)


def test_a_cancelled_mailing_is_not_over_before_everybody_is_in_it(
    mailing: Mailing, olga: User
) -> None:
    transitions.cancel(mailing, olga)
    ground.settle()
    mailing.refresh_from_db()
    assert mailing.finished_at is None
    assert prepare.prepare_due()


def test_a_paused_mailing_is_not_prepared_until_it_is_resumed(mailing: Mailing, olga: User) -> None:
    prepare.prepare_some(mailing.id)
    transitions.pause(mailing, olga)
    assert not prepare.prepare_due()
    assert not prepare.prepare_some(mailing.id)
    assert Message.objects.count() == 4
    transitions.resume(mailing, olga)
    while prepare.prepare_due():
        pass
    assert ground.statuses(mailing) == {"skipped": 1, "waiting": 10}
    assert state_of(mailing) == State.SENDING


def test_a_draft_is_not_prepared(olga: User, account: Account) -> None:
    draft = ground.draft()
    assert not prepare.prepare_due()
    assert not prepare.prepare_some(draft.id)
    assert not Message.objects.exists()


def test_every_mailing_gets_its_turn(mailing: Mailing, olga: User) -> None:
    other = ground.launched(olga)
    assert prepare.prepare_due()
    assert ground.statuses(mailing) == ground.statuses(other) == {"skipped": 1, "waiting": 3}


def test_a_chunk_takes_the_same_queries_for_any_size(
    olga: User, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries(count: int, start: int) -> int:
        people.students(count, start=start)
        mailing = ground.launched(olga)
        with CaptureQueriesContext(connection) as captured:
            prepare.prepare_some(mailing.id)
        assert Message.objects.filter(mailing=mailing).count() == start + count + 1
        return len(captured)

    monkeypatch.setattr(Simulator, "batch", 20)
    assert queries(2, 0) == queries(300, 2)


def test_a_text_that_cannot_be_rendered_is_never_launched(olga: User, account: Account) -> None:
    """Preparation would fail on it again and again; it cannot change after the launch either."""
    people.students(1)
    draft = ground.draft(text="Hello, {nobody}")
    with pytest.raises(CannotLaunch):
        transitions.launch(draft, olga)
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
    ground.assert_counters_equal_rows(mailing)
    prepare_all(mailing)
    assert ground.statuses(mailing) == {"skipped": 1, "waiting": 10}


@pytest.mark.django_db(transaction=True)
def test_two_preparers_at_once_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 3)
    people.simulator()
    people.students(40)
    mailing = ground.launched(people.olga())
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
    assert ground.statuses(mailing) == {"skipped": 1, "waiting": 40}
    ground.assert_counters_equal_rows(mailing)


def test_a_text_that_is_empty_for_a_person_leaves_them_out_and_says_why(
    olga: User, account: Account
) -> None:
    people.students(2)
    User.objects.filter(email="student0@example.com").update(first_name="")
    mailing = ground.prepared(olga, text="{first_name}")
    left_out = Message.objects.get(mailing=mailing, reason=Reason.EMPTY_TEXT)
    assert (left_out.status, left_out.phone) == ("skipped", "+79980000000")
    assert ground.statuses(mailing) == {"skipped": 2, "waiting": 1}
    ground.assert_counters_equal_rows(mailing)


def test_literal_braces_are_no_variable_also_after_the_launch(olga: User) -> None:
    people.students(1)
    people.simulator()
    mailing = ground.prepared(olga, text="Write {{code}}, {first_name}")
    assert Message.objects.get(mailing=mailing, status="waiting").text == "Write {code}, Student0"
