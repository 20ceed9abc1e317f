"""A group that somebody still waits for is not deleted: its people would be missed in silence."""

import threading

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone, translation

from mailings import errors
from mailings.composing import drafts
from mailings.lifecycle import transitions
from mailings.models import Mailing
from mailings.sending import prepare
from tests import factories
from tests.mailings import mailing_factories
from users.models import Group, Segment, User
from users.segments import groups

State = Mailing.State


@pytest.fixture
def client(manager: User, client: Client) -> Client:
    factories.simulator()
    User.objects.filter(pk=manager.pk).update(language="en")
    client.force_login(manager)
    return client


@pytest.fixture
def group(client: Client) -> Group:
    """With Ivan in it."""
    made = Group.objects.create(name="Evening")
    mailing_factories.join(made, factories.student())
    return made


def rule(group: Group, op: str = "in") -> dict[str, object]:
    value = [str(group.pk), "2026-01-01"] if op == "since" else str(group.pk)
    return {"version": 1, "all": [{"not": {"field": "group", "op": op, "value": value}}]}


def deleting(client: Client, group: Group) -> str:
    """What the page says, asked and then told to; the group must still be there, or gone, after both."""
    address = f"/people/groups/{group.pk}/delete/"
    asked = client.get(address).content.decode()
    told = client.post(address, follow=True).content.decode()
    assert ("cannot be deleted" in asked) == Group.objects.filter(pk=group.pk).exists()
    return told


@pytest.mark.parametrize("op", ["in", "not_in", "since"])
def test_a_segment_that_asks_about_it_keeps_it(client: Client, group: Group, op: str) -> None:
    Segment.objects.create(name="Late ones", rule=rule(group, op))
    assert "It is used by: segment “Late ones”." in deleting(client, group)
    assert Group.objects.filter(pk=group.pk).exists()


def test_a_segment_that_asks_about_another_does_not(client: Client, group: Group) -> None:
    Segment.objects.create(name="Late ones", rule=rule(Group.objects.create(name="Morning")))
    Segment.objects.create(name="Broken", rule={"version": 7, "all": "group"})
    deleting(client, group)
    assert not Group.objects.filter(pk=group.pk).exists()


@pytest.mark.parametrize(
    "state",
    [State.AWAITING, State.SCHEDULED, State.PREPARING, State.WATCHING, State.PAUSED],
)
def test_a_mailing_whose_list_is_not_complete_keeps_it(
    client: Client, group: Group, state: State
) -> None:
    mailing = mailing_factories.draft(everyone=False, name="Webinar", state=state)
    mailing.groups.add(group)
    assert "It is used by: mailing “Webinar”." in deleting(client, group)
    mailing.groups.clear()
    Mailing.objects.filter(pk=mailing.pk).update(rule=rule(group))
    assert "It is used by: mailing “Webinar”." in deleting(client, group)
    assert Group.objects.filter(pk=group.pk).exists()


@pytest.mark.parametrize("state", [State.DRAFT, State.SENDING, State.DONE, State.CANCELLED])
def test_a_draft_loses_it_and_a_complete_list_needs_it_no_more(
    client: Client, group: Group, state: State
) -> None:
    prepared_at = timezone.now() if state == State.SENDING else None
    mailing = mailing_factories.draft(everyone=False, state=state, prepared_at=prepared_at)
    mailing.groups.add(group)
    deleting(client, group)
    assert not Group.objects.filter(pk=group.pk).exists()
    assert Mailing.objects.get().state == state


def test_once_the_list_is_complete_it_can_go(client: Client, manager: User, group: Group) -> None:
    mailing = mailing_factories.draft(everyone=False)
    mailing.groups.add(group)
    transitions.launch(mailing, manager)
    with translation.override("en"):
        assert groups.uses(group) == ["mailing “Webinar”"]
    while prepare.prepare_some(mailing.pk):
        pass
    assert groups.uses(group) == []


@pytest.mark.django_db(transaction=True)
def test_a_launch_while_it_is_being_deleted_does_not_go_to_the_rest(
    client: Client, manager: User, group: Group
) -> None:
    """The launch waits for the end of the deletion, and then says so."""
    mailing = mailing_factories.draft(everyone=False)
    mailing.groups.add(group, Group.objects.create(name="Morning"))
    seen = drafts.seen_of(mailing)
    said = []

    def launch() -> None:
        try:
            with translation.override("en"):
                transitions.launch(mailing, manager, seen=seen)
        except errors.CannotLaunch as why:
            said.append(str(why))
        finally:
            connection.close()

    other = threading.Thread(target=launch)
    with transaction.atomic():
        assert groups.delete(group, manager) == []
        other.start()
        other.join(1)
        assert other.is_alive()
    other.join(20)
    assert said == ["It was changed after you had looked it over. Look once more."]
    assert Mailing.objects.get().state == State.DRAFT
