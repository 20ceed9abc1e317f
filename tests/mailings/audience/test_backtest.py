"""Whom a mailing on entry would have reached: reckoned from the dates that the rule's conditions carry."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailings.audience.backtest import DAYS, Estimate, estimate
from mailings.audience.spec import AudienceSpec
from mailings.models import Batch, Mailing, Message
from tests import factories
from tests.mailings import mailing_factories
from users.models import Group, Membership, Segment, User

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=400)


def ago(days: float) -> datetime:
    return NOON - timedelta(days=days)


@pytest.fixture(autouse=True)
def clock(db: None) -> Any:
    factories.simulator()
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def group() -> Group:
    return Group.objects.create(name="Course")


def student(number: int, joined: datetime = LONG_AGO, **fields: Any) -> User:
    return factories.students(1, start=number, date_joined=joined, **fields)[0]


def member(group: Group, added: datetime, *students: User) -> None:
    for each in students:
        row = Membership.objects.create(user=each, group=group)
        Membership.objects.filter(pk=row.pk).update(added_at=added)


def of(*conditions: dict[str, Any], how: str = "all") -> Estimate:
    rule = {"version": 1, how: list(conditions)}
    segment = Segment.objects.create(name=f"Rule {Segment.objects.count()}", rule=rule)
    return estimate(AudienceSpec.of(mailing_factories.draft(everyone=False, segment=segment)))


def by_day(found: Estimate) -> dict[int, int]:
    """Days ago -> people."""
    today = found.days[-1].day
    return {(today - each.day).days: each.count for each in found.days if each.count}


REGISTERED = {"field": "registered", "op": "since", "value": "2000-01-01"}
CITY = {"field": "city", "op": "is", "value": "Kazan"}


def in_group(group: Group) -> dict[str, Any]:
    return {"field": "group", "op": "in", "value": str(group.pk)}


def test_everyone_came_when_they_registered() -> None:
    student(1, ago(3))
    student(2, ago(3))
    student(3, ago(29))
    student(4, ago(30))
    found = estimate(AudienceSpec.of(mailing_factories.draft()))
    assert by_day(found) == {3: 2, 29: 1}
    assert (found.came, found.most, found.now, found.unknown) == (3, 2, 4, 0)
    assert len(found.days) == DAYS
    assert (found.days[0].day, found.days[-1].day) == (date(2026, 3, 2), date(2026, 3, 31))


def test_a_day_begins_at_midnight_of_the_account() -> None:
    midnight = datetime(2026, 3, 29, 21, tzinfo=UTC)  # in Moscow
    student(1, midnight)
    student(2, midnight - timedelta(seconds=1))
    assert by_day(estimate(AudienceSpec.of(mailing_factories.draft()))) == {1: 1, 2: 1}


def test_who_could_not_get_it_does_not_count(group: Group) -> None:
    student(1, ago(1), sms_forbidden=True)
    student(2, ago(1))
    factories.person("mute", phone="", date_joined=ago(2))
    found = estimate(AudienceSpec.of(mailing_factories.draft()))
    assert (by_day(found), found.now) == ({1: 1}, 1)


def test_a_phone_gets_one_sms_when_the_first_of_its_people_came() -> None:
    student(1, ago(2))
    factories.person("twin", phone="+79980000001", date_joined=ago(4))
    found = estimate(AudienceSpec.of(mailing_factories.draft()))
    assert (by_day(found), found.now) == ({4: 1}, 1)


def test_members_of_groups_came_when_they_were_put_into_the_first(group: Group) -> None:
    other = Group.objects.create(name="Other")
    vera, pavel = student(1), student(2)
    member(group, ago(5), vera)
    member(other, ago(2), vera, pavel)
    draft = mailing_factories.draft(everyone=False)
    draft.groups.set([group, other])
    found = estimate(AudienceSpec.of(draft))
    assert (by_day(found), found.now) == ({5: 1, 2: 1}, 2)


def test_of_all_conditions_the_latest_date_counts(group: Group) -> None:
    vera, pavel = student(1, ago(20)), student(2, ago(4))
    member(group, ago(7), vera, pavel)
    assert by_day(of(in_group(group), REGISTERED)) == {7: 1, 4: 1}


def test_of_any_the_earliest_that_holds(group: Group) -> None:
    other = Group.objects.create(name="Other")
    vera, pavel = student(1), student(2)
    member(group, ago(7), vera)
    member(other, ago(3), vera, pavel)
    assert by_day(of(in_group(group), in_group(other), how="any")) == {7: 1, 3: 1}


def test_a_condition_without_a_date_takes_none_away(group: Group) -> None:
    vera, pavel = student(1, city="Kazan"), student(2, city="Omsk")
    member(group, ago(7), vera, pavel)
    found = of(in_group(group), CITY)
    assert (by_day(found), found.now, found.unknown) == ({7: 1}, 1, 0)


def test_where_no_condition_has_a_date_only_those_count_who_registered_in_these_days() -> None:
    student(1, ago(6), city="Kazan")
    student(2, LONG_AGO, city="Kazan")
    found = of(CITY)
    assert (by_day(found), found.now, found.unknown) == ({6: 1}, 2, 1)


@pytest.mark.parametrize("op", ["since", "before"])
def test_a_group_with_a_date_counts_as_the_group(group: Group, op: str) -> None:
    member(group, ago(7), student(1))
    day = "2026-01-01" if op == "since" else "2026-03-30"
    condition = {"field": "group", "op": op, "value": [str(group.pk), day]}
    assert by_day(of(condition)) == {7: 1}


def test_who_has_not_been_seen_for_days_came_when_these_days_were_over() -> None:
    student(1, last_seen_at=ago(12))
    student(2, last_seen_at=None)
    found = of({"field": "seen", "op": "not_in_days", "value": 10})
    assert (by_day(found), found.now, found.unknown) == ({2: 1}, 2, 1)


def test_who_has_been_seen_lately_says_nothing_about_when_that_began() -> None:
    student(1, last_seen_at=ago(1))
    found = of({"field": "seen", "op": "in_days", "value": 10})
    assert (found.came, found.unknown) == (0, 1)


def test_registered_so_many_days_ago() -> None:
    student(1, ago(15))
    assert by_day(of({"field": "registered", "op": "not_in_days", "value": 10})) == {5: 1}


def test_a_confirmed_phone_counts_from_its_confirmation() -> None:
    student(1, phone_confirmed_at=ago(4))
    assert by_day(of({"field": "phone", "op": "confirmed"})) == {4: 1}


@pytest.mark.parametrize(
    ("op", "days"), [("sent", 9), ("not_clicked", 9), ("received", 8), ("clicked", 6)]
)
def test_what_became_of_a_mailing_counts_from_then(op: str, days: int) -> None:
    vera = student(1)
    mailing = _got(vera, clicked=op == "clicked")
    condition = {"field": "mailing", "op": op, "value": str(mailing.pk)}
    assert by_day(of(condition)) == {days: 1}


@pytest.mark.parametrize(("op", "value", "days"), [("had", 20, 9), ("had_none", 7, 2)])
def test_an_sms_lately_and_none_lately(op: str, value: int, days: int) -> None:
    _got(student(1))
    assert by_day(of({"field": "lately", "op": op, "value": value})) == {days: 1}


def _got(person: User, clicked: bool = False) -> Mailing:
    """Nine days ago; delivered after a day, clicked after three."""
    mailing = mailing_factories.draft(state=Mailing.State.DONE, launched_at=ago(9))
    batch = Batch.objects.create(mailing=mailing, size=1, reference="x", claimed_at=ago(9))
    Message.objects.create(
        mailing=mailing,
        key=person.phone,
        user=person,
        phone=person.phone,
        status="delivered",
        batch=batch,
        submitted_at=ago(9),
        final_at=ago(8),
        first_click_at=ago(6) if clicked else None,
    )
    return mailing


def test_what_is_not_so_has_no_date(group: Group) -> None:
    student(1)
    found = of({"not": in_group(group)})
    assert (found.came, found.unknown) == (0, 1)


def test_a_segment_inside_counts_as_its_rule(group: Group) -> None:
    member(group, ago(7), student(1))
    inner = Segment.objects.create(name="Inner", rule={"version": 1, "all": [in_group(group)]})
    assert by_day(of({"segment": inner.pk})) == {7: 1}


def test_a_rule_that_cannot_be_read_says_so(group: Group) -> None:
    gone = in_group(group)
    group.delete()
    found = of(gone)
    assert found.trouble
    assert (found.now, found.most, found.days) == (0, 0, [])


def test_the_highest_bar_is_as_high_as_the_chart_and_no_bar_is_invisible() -> None:
    factories.students(300, date_joined=ago(2))
    student(301, ago(1))
    found = estimate(AudienceSpec.of(mailing_factories.draft()))
    heights = {each.count: (each.height, each.y) for each in found.days}
    assert heights == {300: (100, 0), 1: (2, 98), 0: (0, 100)}


def test_it_takes_as_many_queries_for_any_number_and_none_for_a_minute(clock: Any) -> None:
    def queries(count: int, start: int) -> int:
        factories.students(count, start=start)
        draft = mailing_factories.draft(name=str(start))
        with CaptureQueriesContext(connection) as captured:
            estimate(AudienceSpec.of(draft))
        return len(captured)

    assert queries(2, 0) == queries(100, 2)
