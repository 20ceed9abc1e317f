"""What a resting worker goes by: the database says when each job has something to do, never too late."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from integrations.models import Account, Receipt, SimulatedSms
from mailings.lifecycle import on_entry, recall, transitions
from mailings.models import Batch, Click, Mailing, Message
from mailings.notifications import editing
from mailings.notifications.send import raise_event
from mailings.sending import epoch
from smsmail.jobs import due_times
from smsmail.jobs.periodic import BY_NAME
from smsmail.models import SetAside
from tests import factories
from tests.field.scenes import SCENES
from tests.mailings import mailing_factories
from users.models import Group, User

pytestmark = pytest.mark.django_db(transaction=True)

State = Mailing.State
HOUR = timedelta(hours=1)
RESTING = sorted(due_times.jobs())


@pytest.fixture
def school(owner: User, smsc_emulator: Any) -> User:
    """An owner, three students and the simulator."""
    factories.students(3, digits="77")
    factories.simulator()
    epoch.is_held()
    return owner


def due_at(job: str) -> datetime | None:
    return due_times.due_times().get(job)


def is_due(job: str) -> bool:
    at = due_at(job)
    return at is not None and at <= timezone.now()


@contextmanager
def writing() -> Iterator[list[str]]:
    """The statements that have changed a row."""
    changed: list[str] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        words = sql.lstrip().upper()
        if words.startswith(("INSERT", "UPDATE", "DELETE")) and context["cursor"].rowcount:
            changed.append(sql)
        return result

    with connection.execute_wrapper(note):
        yield changed


@pytest.mark.parametrize("job", RESTING)
def test_a_job_with_something_to_do_is_due(job: str, school: User) -> None:
    assert not is_due(job)

    SCENES[job]()

    assert is_due(job)


def test_nothing_is_due_in_a_new_school(school: User) -> None:
    assert due_times.due_times() == {}


def test_no_job_ever_changes_anything_while_it_is_not_due(
    school: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the whole life of a mailing of every kind, until nothing is left to do."""
    monkeypatch.setattr(on_entry, "EVERY", timedelta())
    mailing_factories.policy(countdown=60)
    group = Group.objects.create(name="Course")
    mailing_factories.join(group, *User.objects.filter(role="student"))
    plain = mailing_factories.launched(school)
    staged = mailing_factories.launched(school, first_wave=1, error_limit=100)
    set_ = mailing_factories.launched(school, starts_at=timezone.now() + HOUR)
    stopped = mailing_factories.launched(school, starts_at=timezone.now() + HOUR, hand_over="hold")
    watching = mailing_factories.watching(group)
    paid = Mailing(event="paid", name="Paid", text="Paid", event_values=[])
    editing.add(paid, school)
    editing.switch(paid, school, on=True)
    student = User.objects.filter(role="student").first()
    assert student is not None
    raise_event("paid", student, key="order:15")
    let_time_pass()

    for step in range(40):
        if step == 1:
            transitions.cancel(stopped, school)
        for job in RESTING:
            due = is_due(job)
            with writing() as changed:
                BY_NAME[job].run()
            assert due or not changed, (step, job, changed)
        if step == 2:
            recall.recall(set_, school)
            click(plain)
        if step == 12:
            transitions.stop_watching(watching, school)
        let_time_pass()

    for each in (plain, staged, set_, stopped, watching):
        each.refresh_from_db()
        assert each.state in (State.DONE, State.CANCELLED), each.state
        assert each.finished_at is not None
    assert Message.objects.filter(mailing=paid, status="delivered").exists()
    assert not [job for job in RESTING if is_due(job)]


def let_time_pass() -> None:
    """Whatever waits for its time has waited long enough."""
    now = timezone.now()
    Mailing.objects.filter(state=State.SCHEDULED).update(leaves_at=now)
    SimulatedSms.objects.filter(reported=False).update(report_at=now)
    Batch.objects.filter(recall_at__isnull=False).update(recall_at=now)
    Batch.objects.filter(look_up_at__isnull=False).update(look_up_at=now)


def click(mailing: Mailing) -> None:
    message = Message.objects.filter(mailing=mailing).exclude(batch=None).first()
    assert message is not None
    Click.objects.create(message=message, mailing=mailing, position=0, kind="person", method="GET")


# --- what is still to come ----------------------------------------------------------------------
def test_a_countdown_and_a_set_time_are_known_beforehand(school: User) -> None:
    mailing_factories.policy(countdown=60)
    mailing = mailing_factories.launched(school)

    assert due_at("start") == mailing.leaves_at


def test_the_end_of_quiet_hours_is_known_beforehand(school: User) -> None:
    mailing_factories.prepared(school)
    later = timezone.now() + HOUR
    Batch.objects.update(not_before=later)

    assert due_at("hand_over") == later
    assert due_at("notify") is None


def test_the_end_of_a_lease_is_known_beforehand(school: User) -> None:
    mailing_factories.prepared(school)
    batch = Batch.objects.get(id=mailing_factories.claimed().batch_id)

    assert batch.claimed_at is not None
    assert due_at("recover") == batch.claimed_at + timedelta(seconds=settings.LEASE)


def test_the_next_look_at_a_rule_is_known_beforehand(school: User) -> None:
    now = timezone.now()
    mailing_factories.watching(Group.objects.create(name="Course"), watched_at=now)

    assert due_at("watch") == now + on_entry.EVERY


def test_a_look_up_and_a_recall_are_known_beforehand(school: User) -> None:
    mailing_factories.prepared(school)
    batch = mailing_factories.sent()
    later = timezone.now() + HOUR
    Batch.objects.filter(id=batch.batch_id).update(look_up_at=later, recall_at=later)

    assert due_at("reconcile") == due_at("recall") == later


@pytest.mark.parametrize("job", ["process_receipts", "process_clicks"])
def test_the_next_try_of_what_was_set_aside_is_known_beforehand(job: str, school: User) -> None:
    now = timezone.now()
    receipt = Receipt.objects.create(account=Account.objects.get())
    SetAside.objects.create(
        job=job, kind="receipt", item_id=receipt.pk, first_at=now, next_try_at=now + HOUR
    )
    if job == "process_clicks":
        receipt.delete()

    assert due_at(job) == now + HOUR


@pytest.mark.parametrize("state", [State.PAUSED, State.CANCELLED])
def test_the_batches_of_a_mailing_that_does_not_run_are_not_due(state: str, school: User) -> None:
    mailing = mailing_factories.prepared(school)
    assert is_due("hand_over")
    Mailing.objects.filter(id=mailing.id).update(state=state)

    assert not is_due("hand_over")


def test_a_later_wave_is_due_once_the_first_has_passed(school: User) -> None:
    mailing = mailing_factories.prepared(school, first_wave=1)
    Batch.objects.filter(wave=0).update(state=Batch.State.ANSWERED)
    assert not is_due("hand_over")

    Mailing.objects.filter(id=mailing.id).update(wave_passed_at=timezone.now())

    assert is_due("hand_over")
