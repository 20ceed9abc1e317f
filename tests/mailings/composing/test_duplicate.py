"""A copy of a mailing: what it says and to whom, nothing of what became of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import Account
from mailings.composing.duplicate import COPIED
from mailings.models import Mailing
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, Group, Segment, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db

# What a mailing is by itself: whoever adds a column says here or in COPIED which it is.
ITS_OWN = {
    *("id", "kind", "name", "state", "rule", "sign_in_revoked_at", "starts_at"),
    *("created_at", "created_by", "launched_at", "launched_by", "asked_at", "asked_by"),
    *("leaves_at", "wave_passed_at", "cursor", "ceiling", "prepared_at", "finished_at"),
    *("trouble", "trouble_raw", "event", "event_values", "watching_since", "watched_at"),
    "messages_removed_at",
}


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def account(db: None) -> Account:
    return factories.simulator()


def copied(client: Client, original: Mailing) -> Mailing:
    answer = client.post(f"/mailings/{original.pk}/copy/")
    made = Mailing.objects.order_by("-id")[0]
    assert answer["Location"] == f"/mailings/{made.pk}/edit/"
    assert made.pk != original.pk
    return made


def test_every_column_is_copied_or_its_own() -> None:
    columns = {field.name for field in Mailing._meta.concrete_fields}
    assert columns == {*COPIED, *ITS_OWN}


def test_text_people_and_options_of_a_launched_one(as_: As, manager: User, owner: User) -> None:
    factories.students(3)
    original = mailing_factories.prepared(
        owner,
        only_confirmed=False,
        wrap_links=True,
        valid_minutes=30,
        urgent=True,
        first_wave=100,
        error_limit=9,
    )
    Mailing.objects.filter(pk=original.pk).update(
        state=Mailing.State.DONE,
        finished_at=timezone.now(),
        asked_at=timezone.now(),
        asked_by=owner,
        starts_at=timezone.now(),
        trouble="no_money",
    )
    original.refresh_from_db()

    made = copied(as_(manager), original)

    assert made.name == "Webinar (copy)"
    assert (made.state, made.created_by) == (Mailing.State.DRAFT, manager)
    for name in COPIED:
        assert getattr(made, name) == getattr(original, name), name
    fresh = Mailing.objects.get(pk=mailing_factories.draft().pk)
    for name in ITS_OWN - {"id", "name", "created_at", "created_by"}:
        assert getattr(made, name) == getattr(fresh, name), name
    assert not made.messages.exists()
    assert not hasattr(made, "counters")
    assert AuditEvent.objects.get(target=f"mailing {made.pk}").what == "written"


def test_the_copy_of_a_draft_can_be_launched(as_: As, manager: User) -> None:
    factories.students(2)
    made = copied(as_(manager), mailing_factories.draft())
    as_(manager).post(f"/mailings/{made.pk}/launch/")
    made.refresh_from_db()
    assert made.state == Mailing.State.PREPARING


def test_groups_and_a_segment_go_along(as_: As, manager: User) -> None:
    group = Group.objects.create(name="Evening")
    to_group = mailing_factories.draft(everyone=False)
    to_group.groups.add(group)
    segment = Segment.objects.create(name="Kazan")
    to_segment = mailing_factories.draft(everyone=False, segment=segment)
    Mailing.objects.filter(pk=to_segment.pk).update(rule={"version": 1, "any": []})
    to_segment.refresh_from_db()

    assert list(copied(as_(manager), to_group).groups.all()) == [group]
    made = copied(as_(manager), to_segment)
    assert (made.segment, made.rule) == (segment, None)


def test_also_when_they_are_gone_and_it_says_so(as_: As, manager: User) -> None:
    factories.students(1)[0].groups.add(Group.objects.create(name="Evening"))
    original = mailing_factories.draft(everyone=False)
    original.groups.add(Group.objects.get())
    as_(manager).post(f"/mailings/{original.pk}/launch/")
    Group.objects.all().delete()

    made = copied(as_(manager), original)

    page = as_(manager).get(f"/mailings/{made.pk}/edit/")
    assert "The groups it went to are gone" in page.content.decode()
    assert page.context["form"]["recipients"].value() == "groups"


def test_a_segment_taken_from_the_mailing_too(as_: As, manager: User) -> None:
    original = mailing_factories.draft(everyone=False, segment=None)
    Mailing.objects.filter(pk=original.pk).update(rule={"version": 1, "any": []})
    made = copied(as_(manager), original)
    assert as_(manager).get(f"/mailings/{made.pk}/edit/").status_code == 200


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("Lesson", "Lesson (copy)"),
        ("Lesson (copy)", "Lesson (copy)"),
        ("x" * 120, "x" * 113 + " (copy)"),
    ],
)
def test_its_name_says_what_it_is(as_: As, manager: User, name: str, copy: str) -> None:
    assert copied(as_(manager), mailing_factories.draft(name=name)).name == copy


def test_only_mailings_are_copied_and_only_by_a_post(as_: As, manager: User) -> None:
    draft = mailing_factories.draft()
    assert as_(manager).get(f"/mailings/{draft.pk}/copy/").status_code == 405
    note = mailing_factories.draft(kind=Mailing.Kind.NOTIFICATION)
    assert as_(manager).post(f"/mailings/{note.pk}/copy/").status_code == 404
    assert Mailing.objects.count() == 2


def test_the_button_is_on_a_drafts_page_and_on_a_launched_ones(
    as_: As, manager: User, employee: User
) -> None:
    factories.students(1)
    employee.rights = ["see_mailings"]
    employee.save()
    for mailing in (mailing_factories.draft(), mailing_factories.prepared(manager)):
        address = f"/mailings/{mailing.pk}/copy/"
        assert address in as_(manager).get(f"/mailings/{mailing.pk}/").content.decode()
        assert address not in as_(employee).get(f"/mailings/{mailing.pk}/").content.decode()
