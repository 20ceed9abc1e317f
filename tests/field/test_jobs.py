"""One mailing's trouble stops nobody else's (pages.md, "taking back a mailing on entry
poisons prepare"): every job of the clock with a row that the database refuses.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from mailings import errors
from mailings.lifecycle import on_entry, recall, start, transitions
from mailings.models import Batch, Counters, Mailing, Message
from mailings.sending import prepare, worker
from smsmail.jobs import set_aside
from smsmail.jobs.periodic import PERIODIC_JOBS, Job
from smsmail.jobs.set_aside import Thing, Work, in_halves, one_by_one
from smsmail.jobs.words import WORDS, words
from smsmail.models import LONGEST, STALE, SetAside
from tests import factories
from tests.field.poison import heal, poison
from tests.field.scenes import SCENES
from tests.mailings import mailing_factories
from users.models import AuditEvent, Group, User

pytestmark = pytest.mark.django_db(transaction=True)

State = Mailing.State
As = Callable[[User], Client]


@pytest.fixture
def school(owner: User, smsc_emulator: Any, settings: Any) -> User:
    """An owner, three students and the simulator; old messages are not kept for ever."""
    settings.KEEP_MESSAGES_DAYS = 90
    User.objects.filter(pk=owner.pk).update(language="en")
    factories.students(3, digits="77")
    factories.simulator()
    return owner


@pytest.fixture
def poisoned() -> Iterator[Callable[[str, str, str], None]]:
    tables = []

    def make(what: str, table: str, when: str) -> None:
        tables.append(table)
        poison(what, table, when)

    yield make
    for table in tables:
        heal(table)


def run(job: Job) -> None:
    """This run and the next ones, as the clock would."""
    for _ in range(3):
        job.run()


def let_time_pass() -> None:
    """Whatever waits for its next try, or for a lease to end, is due."""
    SetAside.objects.update(next_try_at=timezone.now())
    Batch.objects.filter(recall_at__isnull=False).update(recall_at=timezone.now())
    Batch.objects.filter(look_up_at__isnull=False).update(look_up_at=timezone.now())
    Mailing.objects.filter(watched_at__isnull=False).update(watched_at=None)


# They have one thing to do: when that fails, the job fails, and its heartbeat says so (test_health.py).
OF_ONE_THING = {"advance_epoch"}


@pytest.mark.parametrize(
    "job", [job for job in PERIODIC_JOBS if job.name not in OF_ONE_THING], ids=lambda job: job.name
)
def test_a_poisoned_row_stops_nobody_else_is_named_tried_again_and_heals(
    job: Job, school: User, as_: As, poisoned: Callable[..., None], caplog: Any
) -> None:
    scene = SCENES[job.name]()  # a new job needs a scene of its own
    what, table, when = scene.poison
    poisoned(what, table, when)

    run(job)

    assert scene.others()
    assert not scene.whole()
    rows = SetAside.objects.all()
    assert rows
    assert {row.failures for row in rows} == {1}  # not tried again before its time
    assert {row.error for row in rows} == {"IntegrityError"}
    assert all(row.next_try_at > timezone.now() for row in rows)
    pages = {(row.job, row.about) for row in rows}
    assert AuditEvent.objects.filter(what="set_aside").count() == len(pages)
    page = as_(school).get(scene.page).content.decode()
    assert "IntegrityError" in page
    assert str(words(rows[0].job)).split("'")[0] in page
    assert "79980000001" not in str(list(rows.values())) + str(list(AuditEvent.objects.values()))

    let_time_pass()
    run(job)
    assert max(row.failures for row in rows.all()) == 2

    heal(table)
    let_time_pass()
    run(job)
    assert scene.whole()
    assert not SetAside.objects.exists()
    assert AuditEvent.objects.filter(what="set_aside_over").exists()
    assert "IntegrityError" not in as_(school).get(scene.page).content.decode()


@pytest.mark.parametrize("job", PERIODIC_JOBS, ids=lambda job: job.name)
def test_every_job_has_words(job: Job) -> None:
    assert job.name in WORDS


# --- the mechanism ------------------------------------------------------------------------------
def failing(*bad: int) -> Callable[[int], None]:
    def treat(each: int) -> None:
        if each in bad:
            raise ValueError("a phone: +79980000001")

    return treat


def test_pauses_double_up_to_an_hour() -> None:
    work, pauses = Work("prepare"), []
    for _ in range(12):
        SetAside.objects.update(next_try_at=timezone.now())
        one_by_one(work, [Thing(7)], failing(7))
        row = SetAside.objects.get()
        pauses.append(round((row.next_try_at - timezone.now()).total_seconds()))
    assert pauses[:5] == [10, 20, 40, 80, 160]
    assert pauses[-1] == LONGEST.total_seconds()
    assert AuditEvent.objects.filter(what="set_aside").count() == 1


def test_the_good_path_costs_one_question_for_all(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        one_by_one(Work("prepare"), [], failing())
    with django_assert_num_queries(1):
        one_by_one(Work("prepare"), map(Thing, range(1000)), failing())


def test_an_outage_of_the_database_is_nobodys_fault() -> None:
    def treat(_each: int) -> None:
        raise OperationalError("the connection is lost")

    with pytest.raises(OperationalError):
        one_by_one(Work("prepare"), [Thing(1)], treat)
    with pytest.raises(OperationalError):
        in_halves(Work("process_receipts", "receipt"), [1, 2], lambda ids: treat(ids[0]))
    assert not SetAside.objects.exists()


def test_what_is_too_big_for_the_database_is_its_own_fault() -> None:
    """On PostgreSQL and SQLite alike that is an OperationalError too."""

    class TooBig(Exception):
        sqlstate = "54001"
        sqlite_errorname = "SQLITE_ERROR"

    error = OperationalError("stack depth limit exceeded")
    error.__cause__ = TooBig()
    assert not set_aside.is_outage(error)


def test_two_bad_ones_among_a_thousand_are_found_and_the_others_treated() -> None:
    treated: set[int] = set()

    def treat(ids: Any) -> None:
        if {13, 700} & set(ids):
            raise ValueError
        treated.update(ids)

    in_halves(Work("process_receipts", "receipt"), list(range(1000)), treat)
    assert treated == set(range(1000)) - {13, 700}
    assert sorted(SetAside.objects.values_list("item_id", flat=True)) == [13, 700]


def test_a_thousand_of_one_kind_are_one_line_for_people(caplog: Any) -> None:
    def treat(_ids: Any) -> None:
        raise ValueError

    in_halves(
        Work("process_receipts", "receipt"), list(range(50)), treat, lambda _id: "account smsc"
    )
    assert SetAside.objects.count() == 50
    assert AuditEvent.objects.filter(what="set_aside", target="account smsc").count() == 1
    assert len([each for each in caplog.records if each.exc_info]) == 1
    SetAside.objects.update(next_try_at=timezone.now())
    in_halves(Work("process_receipts", "receipt"), list(range(50)), lambda _ids: None)
    assert not SetAside.objects.exists()
    assert AuditEvent.objects.filter(what="set_aside_over").count() == 1


def test_a_time_written_by_a_clock_that_was_wrong_holds_nothing() -> None:
    tried: list[int] = []
    one_by_one(Work("prepare"), [Thing(7)], failing(7))
    SetAside.objects.update(next_try_at=timezone.now() + timedelta(days=1))
    assert not SetAside.objects.resting("prepare").exists()
    one_by_one(Work("prepare"), [Thing(7)], tried.append)
    assert tried == [7]


def test_what_is_not_due_any_more_is_no_trouble_on_a_page() -> None:
    one_by_one(Work("prepare"), [Thing(7)], failing(7))
    assert SetAside.objects.current().exists()
    SetAside.objects.update(next_try_at=timezone.now() - STALE)
    assert not SetAside.objects.current().exists()


def test_with_a_cap_the_first_in_the_row_holds_up_nobody(
    school: User, poisoned: Callable[..., None]
) -> None:
    """With a cap mailings are prepared in turn: one that cannot be prepared must lose its turn."""

    mailing_factories.policy(cap_messages=5, countdown=0)
    first, second = mailing_factories.launched(school), mailing_factories.launched(school)
    poisoned("INSERT", "mailings_message", f"NEW.mailing_id = {first.pk}")
    for _ in range(4):
        prepare.prepare_due()
    assert Message.objects.filter(mailing=second, status="waiting").count() == 3


# --- the field's case ---------------------------------------------------------------------------
def asked_back_on_entry(owner: User) -> Mailing:
    """Three of four got it: the row of the one left out is what was written a second time."""
    group = Group.objects.create(name="Course")
    factories.person("petr", role="student")  # has no phone
    mailing_factories.join(group, *User.objects.filter(role="student"))
    mailing = mailing_factories.draft(
        everyone=False,
        when=Mailing.When.ON_ENTRY,
        starts_at=timezone.now() + timedelta(hours=2),
    )
    mailing.groups.set([group])
    transitions.launch(mailing, owner)
    start.start_due()
    on_entry.watch_due()
    while worker.hand_over_due():
        pass
    assert mailing_factories.statuses(mailing) == {"accepted": 3, "skipped": 1}
    assert recall.recall(mailing, owner) == 3
    return mailing


def test_pages_s1_after_taking_back_a_mailing_on_entry_others_are_prepared(school: User) -> None:
    mailing = asked_back_on_entry(school)
    assert _again(mailing).state == State.CANCELLED
    assert mailing.prepared_at is not None
    later = mailing_factories.launched(school)
    for _ in range(3):
        prepare.prepare_due()
    assert Counters.objects.get(mailing=later).waiting == 3
    assert mailing_factories.statuses(mailing) == {
        "accepted": 3,
        "skipped": 1,
    }  # nobody has a second row
    assert not SetAside.objects.exists()
    while recall.recall_due():
        pass
    mailing_factories.settle()
    assert _again(mailing).finished_at is not None
    mailing_factories.assert_counters_equal_rows(mailing)


def test_rows_left_poisoned_are_healed_and_hold_up_nobody_meanwhile(school: User) -> None:
    mailing = asked_back_on_entry(school)
    Mailing.objects.filter(pk=mailing.pk).update(prepared_at=None, cursor=0)  # as it was left
    assert prepare.prepare_due() is False
    assert not SetAside.objects.exists()
    migration = import_module("mailings.migrations.0010_heal_recalled_mailings_on_entry")
    migration.heal(apps, None)
    assert _again(mailing).prepared_at is not None


@pytest.mark.parametrize("state", sorted(Mailing.STOPPABLE | {State.SETTLING}))
def test_from_every_state_recall_leaves_a_mailing_complete(school: User, state: str) -> None:
    mailing = asked_back_on_entry(school)
    Batch.objects.update(recalled_at=None, recall_at=None)
    Mailing.objects.filter(pk=mailing.pk).update(state=state, prepared_at=None)
    mailing.refresh_from_db()
    recall.recall(mailing, school)
    assert (mailing.state, mailing.prepared_at is not None) == (State.CANCELLED, True)


def test_with_the_services_data_deleted_nobody_is_promised_to_be_asked(
    school: User, as_: As
) -> None:
    from integrations.models import Account
    from integrations.routing import accounts

    mailing = mailing_factories.prepared(school, starts_at=timezone.now() + timedelta(hours=2))
    while worker.hand_over_due():
        pass
    page = as_(school).get(f"/mailings/{mailing.pk}/").content.decode()
    assert f"/mailings/{mailing.pk}/recall/" in page

    accounts.disconnect(Account.objects.get(), school)

    page = as_(school).get(f"/mailings/{mailing.pk}/").content.decode()
    assert f"/mailings/{mailing.pk}/recall/" not in page
    assert "it may give them back" not in page
    asked = as_(school).get(f"/mailings/{mailing.pk}/recall/", follow=True).content.decode()
    assert "its access data has been deleted" in asked
    with pytest.raises(errors.WrongState):
        recall.recall(mailing, school)
    assert _again(mailing).state != State.CANCELLED


def test_what_the_service_did_not_give_back_is_not_offered_again(school: User) -> None:
    from integrations.models import SimulatedSms

    mailing = mailing_factories.prepared(school, starts_at=timezone.now() + timedelta(hours=2))
    while worker.hand_over_due():
        pass
    SimulatedSms.objects.update(at=timezone.now())  # they have left the service already
    recall.recall(mailing, school)
    while recall.recall_due():
        pass
    assert recall.progress(mailing).not_returned == 3
    assert not recall.can_recall(mailing)


def test_a_service_disconnected_after_the_wish_is_not_said_to_be_asked(
    school: User, as_: As
) -> None:
    from integrations.models import Account
    from integrations.routing import accounts

    mailing = mailing_factories.prepared(school, starts_at=timezone.now() + timedelta(hours=2))
    while worker.hand_over_due():
        pass
    recall.recall(mailing, school)
    accounts.disconnect(Account.objects.get(), school)
    while recall.recall_due():
        pass
    found = recall.progress(mailing)
    assert (found.to_ask, found.out_of_reach, found.being_asked, found.not_returned) == (3, 3, 0, 0)
    page = as_(school).get(f"/mailings/{mailing.pk}/").content.decode()
    assert "its access data has been deleted" in page
    accounts.connect("simulator", {"on": "yes"}, sender="", price=0, by=school)  # type: ignore[arg-type]
    while recall.recall_due():
        pass
    assert recall.progress(mailing).taken_back == 3


def _again(mailing: Mailing) -> Mailing:
    mailing.refresh_from_db()
    return mailing
