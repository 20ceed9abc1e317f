"""Mailings that watch their rule: once to each who comes under it, and nobody missed or written twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.models import Account
from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from mailings.audience import audience
from mailings.errors import WrongState
from mailings.lifecycle import on_entry, transitions
from mailings.models import Arrival, Batch, Counters, Mailing, Message
from mailings.reports import history
from mailings.sending import claim, prepare, record
from smsmail.models import SetAside
from tests import factories
from tests.mailings import mailing_factories
from tests.mailings.mailing_factories import join, leave, watching
from users.models import AuditEvent, Group, Segment, User, audit

State = Mailing.State
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(seconds=60)


@pytest.fixture
def clock(db: None) -> Any:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def account(db: None) -> Account:
    return factories.simulator()


@pytest.fixture
def group(clock: Any, account: Account) -> Group:
    return Group.objects.create(name="Course")


def a_minute_later(clock: Any) -> None:
    clock.shift(MINUTE)
    look()


def look() -> None:
    while on_entry.watch_due():
        pass
    for mailing in Mailing.objects.filter(when=Mailing.When.ON_ENTRY, counters__isnull=False):
        mailing_factories.assert_counters_equal_rows(mailing)


def got(mailing: Mailing) -> list[str]:
    """The first names of those with a message that goes or went, as they came."""
    rows = Message.objects.filter(mailing=mailing).exclude(status="skipped").order_by("id")
    return list(rows.values_list("user__first_name", flat=True))


def segment(rule: dict[str, Any] | None = None, name: str = "Kazan") -> Segment:
    rule = rule or {"field": "city", "op": "is", "value": "Kazan"}
    return Segment.objects.create(name=name, rule={"version": 1, "all": [rule]})


# --- who gets it ------------------------------------------------------------------------------
def test_who_is_there_at_the_start_and_who_comes_later_get_it_once(
    group: Group, clock: Any
) -> None:
    first, second = factories.students(2)
    join(group, first)
    mailing = watching(group)
    look()
    assert got(mailing) == ["Student0"]
    join(group, second)
    a_minute_later(clock)
    a_minute_later(clock)
    assert got(mailing) == ["Student0", "Student1"]
    mailing.refresh_from_db()
    assert (mailing.state, mailing.watching_since) == (State.WATCHING, NOON)
    assert list(Arrival.objects.order_by("user_id").values_list("user_id", "at", "before")) == [
        (first.id, NOON, False),
        (second.id, NOON + MINUTE, False),
    ]


def test_only_those_who_come_from_now_on_if_so_chosen(group: Group, clock: Any) -> None:
    first, second = factories.students(2)
    join(group, first)
    mailing = watching(group, present_too=False)
    look()
    assert got(mailing) == []
    assert Arrival.objects.get().before
    leave(group, first)
    join(group, second)
    a_minute_later(clock)
    join(group, first)
    a_minute_later(clock)
    assert got(mailing) == ["Student1"]


def test_who_leaves_and_comes_back_does_not_get_it_twice(group: Group, clock: Any) -> None:
    (vera,) = factories.students(1)
    join(group, vera)
    mailing = watching(group)
    look()
    leave(group, vera)
    a_minute_later(clock)
    join(group, vera)
    a_minute_later(clock)
    assert got(mailing) == ["Student0"]


def test_who_was_left_out_for_a_reason_is_not_tried_again(group: Group, clock: Any) -> None:
    vera = factories.person("vera", phone="")
    join(group, vera)
    mailing = watching(group)
    look()
    User.objects.filter(pk=vera.pk).update(phone="+79980000011")
    a_minute_later(clock)
    row = Message.objects.get(mailing=mailing)
    assert (row.status, row.reason, row.user_id) == ("skipped", Reason.NO_PHONE, vera.id)


def test_a_phone_gets_one_sms_whoever_comes_with_it_and_when(group: Group, clock: Any) -> None:
    vera, pavel = (factories.person(name, phone="+79980000011") for name in ("vera", "pavel"))
    join(group, vera)
    mailing = watching(group)
    look()
    join(group, pavel)
    a_minute_later(clock)
    assert got(mailing) == ["Vera"]
    assert Message.objects.get(user=pavel).reason == Reason.SAME_PHONE


def test_each_gets_the_text_with_their_own_name_and_who_has_none_is_left_out(
    group: Group, clock: Any
) -> None:
    vera = factories.person("vera", phone="+79980000011")
    nameless = factories.person("nameless", phone="+79980000012", first_name="")
    mailing = watching(group, text="{first_name}")
    join(group, vera, nameless)
    look()
    assert Message.objects.get(user=vera).text == "Vera"
    assert Message.objects.get(user=nameless).reason == Reason.EMPTY_TEXT
    assert Counters.objects.get(mailing=mailing).waiting == 1


def test_everyone_means_who_registers_later_too(account: Account, clock: Any) -> None:
    factories.students(1)
    mailing = watching(everyone=True)
    look()
    factories.person("late", phone="+79980000099")
    a_minute_later(clock)
    assert got(mailing) == ["Student0", "Late"]


def test_the_cap_looks_at_the_moment_of_each(group: Group, clock: Any) -> None:
    mailing_factories.policy(cap_messages=1, cap_days=1)
    vera, pavel = factories.students(2)
    owner = factories.owner()
    other = mailing_factories.prepared(owner, everyone=True)
    mailing_factories.sent()
    mailing = watching(group)
    join(group, vera)
    look()
    clock.shift(timedelta(days=1, seconds=1))
    join(group, pavel)
    look()
    assert got(mailing) == ["Student1"]
    assert Message.objects.get(mailing=mailing, user=vera).reason == Reason.HAD_LATELY
    assert other.pk != mailing.pk


# --- the clock ----------------------------------------------------------------------------------
def test_it_looks_once_a_minute_and_says_when(group: Group, clock: Any) -> None:
    mailing = watching(group)
    look()
    join(group, *factories.students(1))
    clock.shift(timedelta(seconds=59))
    look()
    assert got(mailing) == []
    mailing.refresh_from_db()
    assert mailing.watched_at == NOON
    clock.shift(timedelta(seconds=1))
    look()
    assert got(mailing) == ["Student0"]
    mailing.refresh_from_db()
    assert mailing.watched_at == NOON + MINUTE


def test_many_are_taken_in_chunk_by_chunk_without_waiting_a_minute(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_entry, "CHUNK", 4)
    join(group, *factories.students(10))
    mailing = watching(group)
    assert on_entry.watch_due()
    mailing.refresh_from_db()
    assert (Arrival.objects.count(), mailing.cursor > 0) == (4, True)
    assert on_entry.watch_due()
    assert not on_entry.watch_due()
    mailing.refresh_from_db()
    assert (Arrival.objects.count(), mailing.cursor) == (10, 0)
    assert mailing_factories.statuses(mailing) == {"waiting": 10}


def test_a_look_takes_the_same_queries_for_any_number(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = watching(group)
    look()

    def queries(count: int, start: int) -> int:
        join(group, *factories.students(count, start=start))
        clock.shift(MINUTE)
        with CaptureQueriesContext(connection) as captured:
            assert not on_entry.watch_some(mailing.id)
        return len(captured)

    assert queries(2, 0) == queries(200, 2)
    assert Arrival.objects.count() == 202


def test_what_is_taken_in_goes_out_while_it_watches_on(group: Group, clock: Any) -> None:
    mailing = watching(group)
    join(group, *factories.students(1))
    look()
    mailing_factories.sent()
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert (mailing.state, mailing_factories.statuses(mailing)) == (State.WATCHING, {"accepted": 1})


def test_refusals_for_the_text_pause_it(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "BRAKE", 1)
    mailing = watching(group)
    join(group, *factories.students(1))
    look()
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN)
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble) == (State.PAUSED, Reason.TEXT_FORBIDDEN)


def test_one_that_fails_half_way_holds_up_no_other(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = factories.students(2)
    join(group, second)
    broken, sound = watching(group), watching(group)
    Mailing.objects.filter(pk=broken.pk).update(cursor=first.pk)
    Mailing.objects.update(watching_since=NOON, watched_at=NOON)
    enter = prepare.enter

    def fail(mailing: Mailing, chosen: Any) -> None:
        if mailing.pk == broken.pk:
            raise ZeroDivisionError
        enter(mailing, chosen)

    monkeypatch.setattr(prepare, "enter", fail)
    clock.shift(MINUTE)
    for _ in range(2):
        clock.shift(timedelta(seconds=2))
        on_entry.watch_due()
    assert SetAside.objects.get().about == f"mailing {broken.pk}"
    assert got(sound) == ["Student1"]


def test_others_are_not_touched(group: Group, clock: Any, owner: User) -> None:
    join(group, *factories.students(1))
    draft = watching(group)
    Mailing.objects.filter(pk=draft.pk).update(state=State.DRAFT)
    one_time = mailing_factories.launched(owner, everyone=True)
    look()
    assert not Arrival.objects.exists()
    assert not Message.objects.filter(mailing=one_time).exists()


# --- the rule -----------------------------------------------------------------------------------
def test_a_changed_segment_counts_from_the_next_look_and_the_history_says_whose_change_it_was(
    account: Account, clock: Any, manager: User
) -> None:
    factories.person("vera", phone="+79980000011", city="Kazan")
    factories.person("pavel", phone="+79980000012", city="Omsk")
    chosen = segment()
    mailing = watching(segment=chosen)
    look()
    assert got(mailing) == ["Vera"]
    clock.shift(timedelta(seconds=20))
    chosen.rule = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Omsk"}]}
    chosen.save()
    audit(manager, "segment_changed", f"segment {chosen.pk}")
    clock.shift(timedelta(seconds=40))
    look()
    assert got(mailing) == ["Vera", "Pavel"]
    event = AuditEvent.objects.get(target=f"mailing {mailing.pk}", what="rule_changed")
    change = AuditEvent.objects.get(what="segment_changed")
    assert (event.by, event.at) == (manager, change.at)
    (line,) = history.history(mailing)
    assert "Omsk" in str(line.words)
    a_minute_later(clock)
    assert AuditEvent.objects.filter(what="rule_changed").count() == 1


def test_a_change_of_a_segment_inside_it_counts_too(
    account: Account, clock: Any, manager: User
) -> None:
    factories.person("pavel", phone="+79980000012", city="Omsk")
    inner = segment()
    outer = segment({"segment": inner.pk}, name="Outer")
    mailing = watching(segment=outer)
    look()
    assert got(mailing) == []
    inner.rule = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Omsk"}]}
    inner.save()
    audit(manager, "segment_changed", f"segment {inner.pk}")
    a_minute_later(clock)
    assert got(mailing) == ["Pavel"]
    assert AuditEvent.objects.get(what="rule_changed").by == manager


def test_a_one_time_mailing_keeps_the_rule_of_its_launch(
    account: Account, clock: Any, owner: User
) -> None:
    factories.person("vera", phone="+79980000011", city="Kazan")
    chosen = segment()
    mailing = mailing_factories.launched(owner, everyone=False, segment=chosen)
    chosen.rule = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Omsk"}]}
    chosen.save()
    while prepare.prepare_some(mailing.id):
        pass
    assert got(mailing) == ["Vera"]


def test_a_rule_that_can_no_longer_be_read_pauses_it_until_it_is_put_right(
    group: Group, clock: Any, owner: User
) -> None:
    other = Group.objects.create(name="Other")
    (vera,) = factories.students(1)
    join(other, vera)
    chosen = segment({"field": "group", "op": "in", "value": str(group.pk)})
    mailing = watching(segment=chosen)
    second = watching(everyone=True)
    look()
    group.delete()
    a_minute_later(clock)
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble) == (State.PAUSED, Reason.BAD_RULE)
    second.refresh_from_db()
    assert (second.state, second.watched_at) == (State.WATCHING, NOON + MINUTE)
    chosen.rule = {
        "version": 1,
        "all": [{"field": "group", "op": "in", "value": str(other.pk)}],
    }
    chosen.save()
    transitions.resume(mailing, owner)
    a_minute_later(clock)
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble, got(mailing)) == (State.WATCHING, "", ["Student0"])


def test_groups_that_are_gone_pause_it_too(group: Group, clock: Any) -> None:
    mailing = watching(group)
    look()
    group.delete()
    a_minute_later(clock)
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble) == (State.PAUSED, Reason.BAD_RULE)
    assert mailing_factories.halts(mailing) == [Reason.BAD_RULE]


# --- stop, pause, cancel ------------------------------------------------------------------------
def test_paused_it_takes_nobody_and_after_that_those_who_came_meanwhile(
    group: Group, clock: Any, owner: User
) -> None:
    mailing = watching(group)
    look()
    transitions.pause(mailing, owner)
    join(group, *factories.students(1))
    a_minute_later(clock)
    assert got(mailing) == []
    assert claim.claim() is None
    transitions.resume(mailing, owner)
    assert mailing.state == State.WATCHING
    a_minute_later(clock)
    assert got(mailing) == ["Student0"]


def test_stopped_it_takes_nobody_new_and_goes_on_to_its_end(
    group: Group, clock: Any, owner: User
) -> None:
    vera, pavel = factories.students(2)
    mailing = watching(group)
    join(group, vera)
    look()
    transitions.stop_watching(mailing, owner)
    join(group, pavel)
    a_minute_later(clock)
    assert got(mailing) == ["Student0"]
    batch = mailing_factories.sent()
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.state == State.SETTLING
    mailing_factories.reported(batch, "delivered")
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert (mailing.state, mailing.finished_at) == (State.DONE, NOON + MINUTE)
    assert [event.what for event in AuditEvent.objects.filter(target=f"mailing {mailing.pk}")] == [
        "watching_stopped"
    ]


def test_one_that_never_had_anybody_is_done_when_stopped(
    group: Group, clock: Any, owner: User
) -> None:
    mailing = watching(group)
    look()
    transitions.stop_watching(mailing, owner)
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.state == State.DONE


def test_stopped_while_paused_it_stays_paused_and_then_sends_what_waits(
    group: Group, clock: Any, owner: User
) -> None:
    vera, pavel = factories.students(2)
    mailing = watching(group)
    join(group, vera)
    look()
    transitions.pause(mailing, owner)
    transitions.stop_watching(mailing, owner)
    assert mailing.state == State.PAUSED
    join(group, pavel)
    transitions.resume(mailing, owner)
    assert mailing.state == State.SENDING
    a_minute_later(clock)
    assert got(mailing) == ["Student0"]
    mailing_factories.sent()


@pytest.mark.parametrize("state", [State.DONE, State.CANCELLED, State.SENDING, State.DRAFT])
def test_what_watches_no_more_cannot_be_stopped_again(
    group: Group, clock: Any, owner: User, state: str
) -> None:
    mailing = watching(group)
    Mailing.objects.update(state=state, prepared_at=None if state == State.DRAFT else NOON)
    with pytest.raises(WrongState):
        transitions.stop_watching(mailing, owner)
    assert not AuditEvent.objects.exists()


def test_cancelled_nobody_new_is_taken_and_what_waits_is_cancelled(
    group: Group, clock: Any, owner: User
) -> None:
    vera, pavel = factories.students(2)
    mailing = watching(group)
    join(group, vera)
    look()
    assert transitions.split(mailing) == transitions.Split(stopped=1, gone=0)
    assert transitions.cancel(mailing, owner) == transitions.Split(stopped=1, gone=0)
    join(group, pavel)
    a_minute_later(clock)
    while prepare.prepare_due():
        pass
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert (mailing.state, mailing.finished_at) == (State.CANCELLED, NOON + MINUTE)
    assert mailing_factories.statuses(mailing) == {"cancelled": 1}


# --- whatever happens -----------------------------------------------------------------------------
def test_killed_within_a_look_it_all_comes_again(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(group, *factories.students(3))
    mailing = watching(group)
    for place in (
        "mailings.sending.ledger._count",
        "mailings.sending.prepare.new_batches",
        "mailings.sending.prepare.enter",
    ):
        with monkeypatch.context() as broken:
            broken.setattr(place, lambda *_args, **_kwargs: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                on_entry.watch_some(mailing.id)
        assert not Arrival.objects.exists()
        assert not Message.objects.exists()
        assert not Batch.objects.exists()
        clock.shift(MINUTE)
    look()
    assert mailing_factories.statuses(mailing) == {"waiting": 3}
    assert Arrival.objects.count() == 3


def test_whom_two_workers_have_found_the_first_takes_in(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one's search took longer than a minute."""
    join(group, *factories.students(3))
    mailing = watching(group)
    search = audience.newcomers

    def slow_search(asked: Mailing, limit: int) -> list[int]:
        found = search(asked, limit)
        monkeypatch.setattr(audience, "newcomers", search)
        a_minute_later(clock)
        return found

    monkeypatch.setattr(audience, "newcomers", slow_search)
    look()
    assert mailing_factories.statuses(mailing) == {"waiting": 3}


def test_nobody_is_taken_in_before_those_are_written_down_who_are_there_already(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has the mailing locked just then."""
    join(group, *factories.students(1))
    mailing = watching(group, present_too=False)
    locked = on_entry._locked
    answers = [lambda _mailing: None, locked]
    with monkeypatch.context() as patched:
        patched.setattr(on_entry, "_locked", lambda asked: answers.pop(0)(asked))
        look()
    assert not Message.objects.exists()
    a_minute_later(clock)
    assert Arrival.objects.get().before
    assert got(mailing) == []


def test_who_has_left_again_when_it_takes_in_may_come_another_time(
    group: Group, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (vera,) = factories.students(1)
    join(group, vera)
    mailing = watching(group)
    search = audience.newcomers

    def gone_meanwhile(asked: Mailing, limit: int) -> list[int]:
        found = search(asked, limit)
        leave(group, vera)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(audience, "newcomers", gone_meanwhile)
        look()
    assert not Arrival.objects.exists()
    join(group, vera)
    a_minute_later(clock)
    assert got(mailing) == ["Student0"]
