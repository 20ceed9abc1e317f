"""The same text to the same people lately."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from mailings.audience.repeats import sent_lately
from mailings.models import Mailing
from tests import factories
from tests.mailings import mailing_factories
from users.models import Group, Segment, User

TEXT = "Webinar at six"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def connected(db: None) -> None:
    factories.simulator()
    factories.students(1)


def launched(by: User, **fields: Any) -> Mailing:
    return mailing_factories.launched(by, **{"text": TEXT, **fields})


def test_the_same_text_to_everyone_again(owner: User) -> None:
    first = launched(owner)
    assert sent_lately(mailing_factories.draft(text=TEXT)) == [first]
    assert sent_lately(mailing_factories.draft(text="  Webinar  at\nsix ")) == [first]


def test_another_text_or_other_people_are_no_repeat(owner: User) -> None:
    launched(owner)
    assert sent_lately(mailing_factories.draft(text="Webinar at seven")) == []
    assert sent_lately(mailing_factories.draft(text=TEXT, everyone=False)) == []


def test_what_was_launched_longer_ago_than_a_week_is_no_repeat(owner: User) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        first = launched(owner)
        clock.shift(timedelta(days=7))
        assert sent_lately(mailing_factories.draft(text=TEXT)) == [first]
        clock.shift(timedelta(minutes=1))
        assert sent_lately(mailing_factories.draft(text=TEXT)) == []


def test_a_draft_and_the_mailing_itself_are_no_repeat(owner: User) -> None:
    mailing = launched(owner)
    mailing_factories.draft(text=TEXT)
    assert sent_lately(mailing) == []


def test_the_same_groups(owner: User) -> None:
    evening, morning = (Group.objects.create(name=name) for name in ("Evening", "Morning"))
    student = User.objects.exclude(phone="").get()
    student.groups.add(evening, morning)
    first = mailing_factories.draft(text=TEXT, everyone=False)
    first.groups.add(evening)
    Mailing.objects.filter(pk=first.pk).update(launched_at=NEW_YEAR)
    with time_machine.travel("2026-01-02T00:00:00Z", tick=False):
        again = mailing_factories.draft(text=TEXT, everyone=False)
        again.groups.add(evening)
        assert sent_lately(again) == [first]
        again.groups.add(morning)
        assert sent_lately(again) == []


def test_the_same_segment() -> None:
    kazan, tver = (Segment.objects.create(name=name) for name in ("Kazan", "Tver"))
    first = mailing_factories.draft(text=TEXT, everyone=False, segment=kazan)
    Mailing.objects.filter(pk=first.pk).update(launched_at=NEW_YEAR)
    with time_machine.travel("2026-01-02T00:00:00Z", tick=False):
        assert sent_lately(mailing_factories.draft(text=TEXT, everyone=False, segment=kazan)) == [
            first
        ]
        assert sent_lately(mailing_factories.draft(text=TEXT, everyone=False, segment=tver)) == []


def test_the_newest_first_and_not_too_many(owner: User) -> None:
    launches = [launched(owner, name=f"Webinar {n}") for n in range(7)]
    assert sent_lately(mailing_factories.draft(text=TEXT)) == launches[:1:-1]


def test_it_asks_as_often_for_many_as_for_one(owner: User, django_assert_num_queries: Any) -> None:
    for _ in range(5):
        launched(owner)
    draft = mailing_factories.draft(text=TEXT)
    with django_assert_num_queries(2):
        assert len(sent_lately(draft)) == 5
