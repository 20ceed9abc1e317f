"""Whatever changes between two looks, and whoever looks at the same time: everybody who was seen under
the rule is taken in once, and no phone gets two SMS.
"""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.models import Account
from integrations.providers.contract import Outcome
from mailings.lifecycle import on_entry
from mailings.models import Arrival, Batch, Counters, Mailing, Message
from mailings.sending import claim, record
from tests import factories
from tests.examples import examples
from tests.mailings import mailing_factories
from tests.processes import wait_until
from users.models import AuditEvent, Group, Membership, Segment, User

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEOPLE = 6
WHO = st.integers(0, PEOPLE - 1)
CITIES = st.sampled_from(["Kazan", "Omsk"])
STEPS = st.one_of(
    st.tuples(st.just("join"), WHO),
    st.tuples(st.just("leave"), WHO),
    st.tuples(st.just("move"), WHO, CITIES),
    st.tuples(st.just("new_phone"), WHO, st.integers(0, 3)),
    st.tuples(st.just("change_rule"), CITIES),
    st.tuples(st.sampled_from(["look", "look", "look_for_a_chunk", "send", "pause", "resume"])),
)


@dataclass
class World:
    """A watching mailing, and who was under its rule when it looked."""

    clock: time_machine.Traveller
    mailing: Mailing
    segment: Segment
    group: Group
    people: list[User]
    city: str = "Kazan"
    seen: set[int] = field(default_factory=set)

    def step(self, name: str, *values: Any) -> None:
        getattr(self, name)(*values)
        self.check()

    def join(self, who: int) -> None:
        mailing_factories.join(self.group, self.people[who])

    def leave(self, who: int) -> None:
        mailing_factories.leave(self.group, self.people[who])

    def move(self, who: int, city: str) -> None:
        User.objects.filter(pk=self.people[who].pk).update(city=city)

    def new_phone(self, who: int, digit: int) -> None:
        User.objects.filter(pk=self.people[who].pk).update(phone=f"+7998000001{digit}")

    def change_rule(self, city: str) -> None:
        self.city = city
        Segment.objects.filter(pk=self.segment.pk).update(rule=rule(self.group, city))

    def pause(self) -> None:
        Mailing.objects.update(state=Mailing.State.PAUSED)

    def resume(self) -> None:
        Mailing.objects.update(state=Mailing.State.WATCHING)

    def send(self) -> None:
        batch = claim.claim()
        if batch is not None:
            record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))

    def look_for_a_chunk(self) -> None:
        self.clock.shift(on_entry.EVERY)
        on_entry.watch_due()

    def look(self) -> None:
        """To the end, and once more: the first may have been the rest of a look begun before."""
        for _ in range(2):
            self.clock.shift(on_entry.EVERY)
            while on_entry.watch_due():
                pass
        if Mailing.objects.get().state == Mailing.State.WATCHING:
            self.seen |= set(Membership.objects.values_list("user_id", flat=True))
            self.seen |= set(User.objects.filter(city=self.city).values_list("id", flat=True))

    def check(self) -> None:
        arrived = dict(Arrival.objects.values_list("user_id", "before"))
        assert set(arrived) >= self.seen
        rows = Message.objects.filter(mailing=self.mailing)
        taken_in = [user for user, before in arrived.items() if not before]
        assert sorted(rows.values_list("user_id", flat=True)) == sorted(taken_in)
        phones = list(rows.exclude(status="skipped").values_list("phone", flat=True))
        assert len(phones) == len(set(phones))
        mailing_factories.assert_counters_equal_rows(self.mailing)


def rule(group: Group, city: str) -> dict[str, Any]:
    in_group = {"field": "group", "op": "in", "value": str(group.pk)}
    return {"version": 1, "any": [in_group, {"field": "city", "op": "is", "value": city}]}


def fresh(clock: time_machine.Traveller, present_too: bool) -> World:
    """The examples share the test's transaction."""
    for rows in (Arrival, Message, Batch, Counters, AuditEvent, Mailing, Segment, Account):
        rows.objects.all().delete()
    User.objects.all().delete()
    Group.objects.all().delete()
    factories.simulator()
    group = Group.objects.create(name="Course")
    students = factories.students(PEOPLE)
    mailing_factories.join(group, students[0])
    segment = Segment.objects.create(name="Rule", rule=rule(group, "Kazan"))
    mailing = mailing_factories.watching(segment=segment, present_too=present_too)
    return World(clock, mailing, segment, group, students)


@pytest.mark.django_db
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=3, max_size=40), present_too=st.booleans())
def test_any_order_takes_everybody_seen_once(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[Any, ...]], present_too: bool
) -> None:
    monkeypatch.setattr(on_entry, "CHUNK", 2)
    with time_machine.travel(NOON, tick=False) as clock:
        world = fresh(clock, present_too)
        for step in steps:
            world.step(*step)
        world.step("resume")
        world.step("look")


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_take_everybody_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_entry, "CHUNK", 3)
    monkeypatch.setattr(on_entry, "EVERY", timedelta(0))
    factories.simulator()
    group = Group.objects.create(name="Course")
    everybody = factories.students(60)
    Membership.objects.bulk_create(Membership(user=each, group=group) for each in everybody[:30])
    mailing = mailing_factories.watching(group)
    errors: list[Exception] = []
    enough = threading.Event()

    def work() -> None:
        try:
            while not enough.is_set():
                on_entry.watch_due()
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for each in everybody[30:]:
        Membership.objects.create(user=each, group=group)
    wait_until(lambda: Arrival.objects.count() == 60 or errors, 30)
    enough.set()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert mailing_factories.statuses(mailing) == {"waiting": 60}
    mailing_factories.assert_counters_equal_rows(mailing)
