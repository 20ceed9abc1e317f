"""The page of what is going to be sent."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from integrations.reasons import Reason
from mailings.models import Batch, Counters, Mailing
from mailings.reports.upcoming import UpcomingSend, upcoming
from tests import factories
from tests.mailings import mailing_factories
from tests.mailings.reports.test_views import text_of
from users.models import Group, Segment, User

As = Callable[[User], Client]
State = Mailing.State
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)  # 15:00 in Moscow
ADDRESS = "/mailings/calendar/"


@pytest.fixture(autouse=True)
def clock(db: None, settings: Any) -> Any:
    settings.LANGUAGE_CODE = "en"
    factories.simulator()
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def mailing(state: str, name: str = "Webinar", waiting: int = 0, **fields: Any) -> Mailing:
    made = mailing_factories.draft(state=state, name=name, **fields)
    Counters.objects.create(mailing=made, waiting=waiting)
    return made


def batch(of: Mailing, size: int, **fields: Any) -> Batch:
    return Batch.objects.create(mailing=of, size=size, reference=Batch.new_reference(), **fields)


def lines() -> list[UpcomingSend]:
    return [line for day in upcoming().days for line in day.lines]


def test_empty_it_says_so_and_offers_a_mailing(as_: As, manager: User) -> None:
    for state in (State.DRAFT, State.SENDING, State.DONE, State.CANCELLED):
        mailing(state, starts_at=NOON + timedelta(days=1))
    page = text_of(as_(manager).get(ADDRESS))
    assert "Nothing is planned" in page
    assert "New mailing" in page


def test_the_zone_stands_on_the_page(as_: As, manager: User) -> None:
    assert "Times of Europe/Moscow, UTC+03:00" in text_of(as_(manager).get(ADDRESS))


def test_scheduled_mailings_stand_by_day_and_time(as_: As, manager: User) -> None:
    tomorrow = mailing(State.SCHEDULED, "Second", starts_at=NOON + timedelta(hours=9))
    today = mailing(State.SCHEDULED, "First", starts_at=NOON + timedelta(hours=8, minutes=59))
    found = upcoming().days
    assert [(str(day.day), [line.mailing for line in day.lines]) for day in found] == [
        ("2026-03-01", [today]),
        ("2026-03-02", [tomorrow]),
    ]
    page = text_of(as_(manager).get(ADDRESS))
    assert page.index("Today, 1 March") < page.index("First") < page.index("Monday, 2 March")
    assert "11:59 p.m." in page or "23:59" in page
    assert "The whole mailing" in page


def test_a_countdown_stands_at_its_end_and_one_on_entry_says_what_begins(
    as_: As, manager: User
) -> None:
    leaves = NOON + timedelta(seconds=60)
    counting = mailing(State.SCHEDULED, leaves_at=leaves, when=Mailing.When.ON_ENTRY)
    assert lines() == [UpcomingSend(leaves, counting)]
    assert "Begins to watch its rule" in text_of(as_(manager).get(ADDRESS))


def test_batches_held_back_stand_by_mailing_and_moment(as_: As, manager: User) -> None:
    quiet, other = mailing(State.SENDING), mailing(State.WATCHING, "Other")
    morning = NOON + timedelta(hours=18)
    batch(quiet, 500, not_before=morning)
    batch(quiet, 20, not_before=morning)
    batch(quiet, 3, not_before=morning + timedelta(hours=1))
    batch(other, 1, not_before=morning)
    batch(quiet, 7, not_before=NOON)  # may leave now
    batch(quiet, 9, not_before=morning, state=Batch.State.ANSWERED)
    assert lines() == [
        UpcomingSend(morning, quiet, 520),
        UpcomingSend(morning, other, 1),
        UpcomingSend(morning + timedelta(hours=1), quiet, 3),
    ]
    page = text_of(as_(manager).get(ADDRESS))
    assert "520 messages, held here until then" in page
    assert "1 message, held here until then" in page


def test_what_the_service_keeps_until_then_stands_apart(as_: As, manager: User) -> None:
    early = mailing(State.SENDING)
    at = NOON + timedelta(hours=2)
    batch(early, 500, send_at=at, state=Batch.State.ANSWERED)
    batch(early, 300, send_at=at, not_before=NOON)  # not handed over yet
    batch(early, 100, send_at=NOON - timedelta(hours=1), state=Batch.State.ANSWERED)
    assert lines() == [UpcomingSend(at, early, 300), UpcomingSend(at, early, 500, at_service=True)]
    assert "500 messages, kept by the SMS service until then" in text_of(as_(manager).get(ADDRESS))


def test_what_was_cancelled_does_not_leave_but_what_the_service_keeps_does() -> None:
    cancelled = mailing(State.CANCELLED)
    at = NOON + timedelta(hours=2)
    batch(cancelled, 5, not_before=at)
    batch(cancelled, 6, send_at=at, state=Batch.State.ANSWERED)
    assert lines() == [UpcomingSend(at, cancelled, 6, at_service=True)]


def test_what_a_pause_keeps_back_has_no_time_but_what_the_service_keeps_has() -> None:
    paused = mailing(State.PAUSED)
    at = NOON + timedelta(hours=2)
    batch(paused, 5, not_before=at)
    batch(paused, 6, send_at=at, state=Batch.State.IN_FLIGHT)
    assert lines() == [UpcomingSend(at, paused, 6, at_service=True)]


def test_tests_and_notifications_are_no_mailings() -> None:
    batch(mailing(State.SENDING, kind=Mailing.Kind.TEST), 5, not_before=NOON + timedelta(hours=2))
    assert lines() == []


def test_what_has_no_time_stands_below(as_: As, manager: User) -> None:
    mailing(State.WATCHING, "On entry", watching_since=NOON, when=Mailing.When.ON_ENTRY)
    mailing(State.AWAITING, "Large", asked_at=NOON, asked_by=manager, starts_at=NOON)
    mailing(State.PAUSED, "By hand", waiting=12)
    mailing(State.PAUSED, "By itself", trouble=Reason.NO_MONEY)
    page = text_of(as_(manager).get(ADDRESS))
    parts = [
        *("To each who comes under the rule", "On entry", "Everyone · Watching the rule since"),
        *(
            "Waiting for a second person to launch",
            "Large",
            "asked 03/01/2026 3 p.m. · Maria · planned for",
        ),
        *("Paused: nothing leaves", "By hand", "Paused by a person. 12 messages wait."),
        *("By itself", "Paused by itself: Not enough money"),
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert "Nothing is planned" not in page


def test_it_takes_as_many_queries_for_any_number(as_: As, manager: User) -> None:
    client = as_(manager)
    names = map(str, itertools.count())

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(ADDRESS).status_code == 200
        return len(captured)

    def some() -> None:
        at = NOON + timedelta(hours=2)
        mailing(State.SCHEDULED, starts_at=at)
        mailing(State.AWAITING, asked_at=NOON, asked_by=manager)
        mailing(State.PAUSED)
        on_entry: dict[str, Any] = {"when": Mailing.When.ON_ENTRY, "everyone": False}
        mailing(State.WATCHING, **on_entry).groups.add(Group.objects.create(name=next(names)))
        rule = Segment.objects.create(name=next(names))
        mailing(State.WATCHING, segment=rule, **on_entry)
        batch(mailing(State.SENDING), 5, not_before=at)
        batch(mailing(State.SENDING), 5, send_at=at, state=Batch.State.ANSWERED)

    some()
    before = queries()
    for _ in range(5):
        some()
    assert queries() == before


@pytest.mark.parametrize("address", ["/", "/mailings/"])
def test_the_way_there(as_: As, manager: User, address: str) -> None:
    assert f'href="{ADDRESS}"' in as_(manager).get(address).content.decode()
