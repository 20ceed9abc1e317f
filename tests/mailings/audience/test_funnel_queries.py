"""What is asked of the database for one question about an audience: each thing once. And the next question
asks anew.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailings.audience import audience, eligibility, funnel
from mailings.audience.spec import AudienceSpec
from mailings.composing.preview import preview_of
from mailings.models import Mailing
from tests import factories
from tests.mailings import mailing_factories
from users.models import Group, Segment, User
from users.segments import person_conditions
from users.segments.rules import BadRule

POLICY, OWN_FIELDS, GROUPS = "mailings_policy", "users_ownfield", "users_group"
PEOPLE, ACCOUNTS = "users_user", "integrations_account"


@pytest.fixture
def groups(db: None) -> list[Group]:
    """Three that the rule asks about, with 20 people in the first two; and 30 others."""
    chosen = [Group.objects.create(name=f"Chosen {n}") for n in range(3)]
    Group.objects.bulk_create(Group(name=f"Other {n}") for n in range(30))
    for person in factories.students(20):
        person.groups.add(*chosen[:2])
    return chosen


@pytest.fixture
def mailing(groups: list[Group]) -> Mailing:
    """To a segment of three conditions about groups."""
    first, second, third = ({"field": "group", "value": str(group.pk)} for group in groups)
    rule = {
        "version": 1,
        "all": [first | {"op": "in"}, second | {"op": "in"}, third | {"op": "not_in"}],
    }
    segment = Segment.objects.create(name="Chosen", rule=rule)
    draft = mailing_factories.draft(everyone=False, segment=segment, text="Hi {first_name|you}")
    return Mailing.objects.select_related("segment").get(pk=draft.pk)


def asked(question: Callable[[], Any]) -> Counter[str]:
    """How often each table was read, by the first that a query names."""
    with CaptureQueriesContext(connection) as queries:
        question()
    return Counter(_table(each["sql"]) for each in queries if each["sql"].startswith("SELECT"))


def _table(sql: str) -> str:
    return sql.partition(' FROM "')[2].partition('"')[0]


# One group is looked up for each of the three conditions.
ONCE = {POLICY: 1, OWN_FIELDS: 1, GROUPS: 3}


def test_a_funnel_reads_the_rule_once(mailing: Mailing) -> None:
    assert asked(lambda: funnel.count(mailing)) == ONCE | {PEOPLE: 3}
    assert funnel.count(mailing).will_receive == 20


def test_a_remembered_funnel_reads_no_rule(mailing: Mailing) -> None:
    """The policy is part of the key under which it is remembered."""
    spec = replace(AudienceSpec.of(mailing), typed=True)
    assert asked(lambda: funnel.recent(spec)) == ONCE | {PEOPLE: 3}
    assert asked(lambda: funnel.recent(replace(spec))) == {POLICY: 1}


def test_receivers_are_counted_in_one_query_beside_the_rule(mailing: Mailing) -> None:
    assert asked(lambda: audience.receivers(mailing).count()) == ONCE | {PEOPLE: 1}


def test_a_preview_reads_the_rule_once(mailing: Mailing, owner: User) -> None:
    """Its funnel, a person, the longest and the shortest text and the parts of all are one question; the
    second look at own fields is for the variables of the text.
    """
    expected = ONCE | {OWN_FIELDS: 2, PEOPLE: 8, ACCOUNTS: 1}
    assert asked(lambda: preview_of(mailing.text, mailing, owner)) == expected


def test_more_suggestions_for_a_text_read_no_more_own_fields(mailing: Mailing, owner: User) -> None:
    written = "«Привет», {first_name|друг} — ждём"
    preview = preview_of(written, mailing, owner)
    assert asked(lambda: (preview.plain, preview.latin, preview.shorter))[OWN_FIELDS] == 0


def test_a_chunk_of_the_preparation_reads_the_rule_once(mailing: Mailing) -> None:
    read = asked(lambda: audience.candidates(mailing, 10))
    assert {table: read[table] for table in ONCE} == ONCE


def test_would_one_person_get_it_reads_the_rule_once(mailing: Mailing) -> None:
    person = User.objects.get(email="student1@example.com")
    read = asked(lambda: eligibility.eligibility(mailing, person))
    assert {table: read[table] for table in ONCE} == ONCE


def test_groups_ticked_one_by_one_are_read_once(groups: list[Group]) -> None:
    mailing = mailing_factories.draft(everyone=False)
    mailing.groups.set(groups)
    assert asked(lambda: funnel.count(mailing)) == {POLICY: 1, GROUPS: 1, PEOPLE: 3}


# --- the next question ------------------------------------------------------------------------
def test_the_next_question_reads_a_changed_segment_anew(mailing: Mailing) -> None:
    assert mailing.segment is not None
    inner = Segment.objects.create(name="Inside", rule=mailing.segment.rule)
    mailing.segment.rule = {"version": 1, "segment": inner.pk}
    mailing.segment.save()
    assert funnel.count(mailing).will_receive == 20

    nobody = {"field": "city", "op": "is", "value": "Nowhere"}
    Segment.objects.filter(pk=inner.pk).update(rule={"version": 1, "all": [nobody]})
    assert funnel.count(mailing).will_receive == 0
    assert not audience.receivers(mailing).exists()


def test_the_next_question_sees_that_a_group_is_gone(mailing: Mailing, groups: list[Group]) -> None:
    assert funnel.count(mailing).trouble == ""
    groups[2].delete()
    assert funnel.count(mailing).trouble
    with pytest.raises(BadRule):
        audience.receivers(mailing)


def test_the_next_question_sees_a_changed_policy(mailing: Mailing) -> None:
    assert funnel.count(mailing).will_receive == 20
    mailing_factories.policy(sms_countries=["DE"])
    assert funnel.count(mailing).will_receive == 0


def test_a_spec_that_is_changed_is_another_question(mailing: Mailing) -> None:
    spec = AudienceSpec.of(mailing)
    assert funnel.count(spec).will_receive == 20
    nowhere = {"version": 1, "field": "city", "op": "is", "value": "Nowhere"}
    assert funnel.count(replace(spec, rule=nowhere)).will_receive == 0


@pytest.mark.parametrize("other", ["0{}", " {}", "+{}", "{}.0", "٣{}", "9" * 19, "-1", "x"])
def test_a_group_is_named_by_its_key_as_it_is_written(groups: list[Group], other: str) -> None:
    group = person_conditions.fields()["group"]
    assert group.called(str(groups[0].pk)) == "Chosen 0"
    assert group.called(other.format(groups[0].pk)) is None
