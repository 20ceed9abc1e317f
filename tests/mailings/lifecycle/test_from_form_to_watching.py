"""A mailing on entry from its form to its end: the countdown or the time set, then the watching."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from mailings.lifecycle import on_entry as watch
from mailings.lifecycle import start, transitions
from mailings.models import Mailing, Message
from mailings.reports.upcoming import UpcomingSend, upcoming
from mailings.sending import claim, prepare
from tests import factories
from tests.mailings import mailing_factories
from tests.mailings.reports.test_views import text_of
from users.models import Group, User

As = Callable[[User], Client]
State = Mailing.State
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def clock(db: None) -> Any:
    factories.smsc()
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def group() -> Group:
    return Group.objects.create(name="Course")


def on_entry(*groups: Group, **fields: Any) -> Mailing:
    draft = mailing_factories.draft(when=Mailing.When.ON_ENTRY, everyone=not groups, **fields)
    draft.groups.set(groups)
    return draft


def pass_time(mailing: Mailing) -> None:
    """As the clock would."""
    start.start_due()
    while watch.watch_due() or prepare.prepare_due():
        pass
    mailing.refresh_from_db()


def lines() -> list[UpcomingSend]:
    return [line for day in upcoming().days for line in day.lines]


@pytest.mark.parametrize("present_too", [True, False])
def test_the_form_says_whether_those_who_are_there_get_it(
    as_: As, manager: User, present_too: bool
) -> None:
    data = {"name": "Welcome", "text": "Hello", "recipients": "everyone", "when": "on_entry"}
    client = as_(manager)
    client.post("/mailings/new/", data | {"present_too": str(present_too)})
    draft = Mailing.objects.get()
    assert (draft.when, draft.present_too) == ("on_entry", present_too)
    page = client.get(f"/mailings/{draft.pk}/edit/").content.decode()
    inputs = re.findall(r"<input[^>]*present_too[^>]*>", page)
    (chosen,) = [each for each in inputs if "checked" in each]
    assert f'value="{present_too}"' in chosen


def test_the_launch_says_who_gets_it_at_once(as_: As, manager: User, settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    factories.students(3)
    client = as_(manager)
    too, later = on_entry(), on_entry(present_too=False)
    page = text_of(client.get(f"/mailings/{too.pk}/launch/"))
    assert "Begin to watch the rule? 3 people are under the rule already and get it too." in page
    page = text_of(client.get(f"/mailings/{later.pk}/launch/"))
    assert "Begin to watch the rule? Who is under the rule already does not get it." in page
    assert "Recipients" not in page
    page = text_of(client.get(f"/mailings/{mailing_factories.draft().pk}/launch/"))
    assert "Send to 3 people?" in page
    assert "under the rule" not in page


def test_after_the_countdown_it_watches(group: Group, owner: User, clock: Any) -> None:
    mailing_factories.join(group, *factories.students(1))
    mailing = on_entry(group)
    transitions.launch(mailing, owner, countdown=60)
    pass_time(mailing)
    assert (mailing.state, lines()) == (State.SCHEDULED, [UpcomingSend(NOON + MINUTE, mailing)])
    clock.shift(MINUTE)
    pass_time(mailing)
    assert (mailing.state, mailing_factories.statuses(mailing)) == (State.WATCHING, {"waiting": 1})


def test_with_a_time_set_the_list_is_handed_over_hours_before_and_who_comes_later_gets_it_at_once(
    group: Group, owner: User, clock: Any
) -> None:
    first, second = factories.students(2)
    mailing_factories.join(group, first)
    at = NOON + timedelta(hours=10)
    mailing = on_entry(group, starts_at=at)
    transitions.launch(mailing, owner)
    assert lines() == [UpcomingSend(at, mailing)]
    clock.move_to(NOON + timedelta(hours=7, seconds=1))
    pass_time(mailing)
    assert lines() == [UpcomingSend(at, mailing, 1)]
    batch = mailing_factories.sent()
    assert [(sms.phone, sms.at) for sms in batch.messages] == [(first.phone, at)]
    assert lines() == [UpcomingSend(at, mailing, 1, at_service=True)]
    clock.move_to(NOON + timedelta(hours=30))
    mailing_factories.join(group, second)
    pass_time(mailing)
    batch = mailing_factories.sent()
    assert [(sms.phone, sms.at) for sms in batch.messages] == [(second.phone, None)]


def test_paused_it_goes_on_where_it_was(group: Group, owner: User, clock: Any) -> None:
    mailing = on_entry(group)
    transitions.launch(mailing, owner, countdown=60)
    transitions.pause(mailing, owner)
    transitions.resume(mailing, owner)
    assert mailing.state == State.SCHEDULED
    clock.shift(MINUTE)
    pass_time(mailing)
    transitions.pause(mailing, owner)
    transitions.resume(mailing, owner)
    assert mailing.state == State.WATCHING
    transitions.pause(mailing, owner)
    transitions.stop_watching(mailing, owner)
    transitions.resume(mailing, owner)
    mailing_factories.join(group, *factories.students(1))
    clock.shift(MINUTE)
    pass_time(mailing)
    assert not Message.objects.exists()
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.state == State.DONE


def test_stopped_before_it_began_it_never_begins(group: Group, owner: User, clock: Any) -> None:
    mailing_factories.join(group, *factories.students(1))
    mailing = on_entry(group)
    transitions.launch(mailing, owner, countdown=60)
    transitions.pause(mailing, owner)
    transitions.stop_watching(mailing, owner)
    transitions.resume(mailing, owner)
    clock.shift(MINUTE)
    pass_time(mailing)
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert (mailing.state, Message.objects.count()) == (State.DONE, 0)


def test_cancelled_before_it_began_nobody_is_in_it(owner: User, clock: Any) -> None:
    factories.students(1)
    mailing = on_entry()
    transitions.launch(mailing, owner, countdown=60)
    transitions.cancel(mailing, owner)
    pass_time(mailing)
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert (mailing.finished_at, Message.objects.count()) == (NOON, 0)


def test_taken_back_it_is_a_draft_as_before(group: Group, owner: User, clock: Any) -> None:
    mailing = on_entry(group)
    transitions.launch(mailing, owner, countdown=60)
    transitions.take_back(mailing, owner)
    assert mailing.state == State.DRAFT
    transitions.launch(mailing, owner)
    pass_time(mailing)
    assert mailing.state == State.WATCHING
    assert claim.claim() is None
