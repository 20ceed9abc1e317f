"""The buttons of a mailing's page: every state, every kind of reader."""

from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone, translation

from mailings.models import Mailing
from mailings.reports import actions
from mailings.reports.actions import Action, Tone, Way
from users.models import User
from users.rights import Right, Role

State = Mailing.State
WRITES, SENDS = Right.EDIT_MAILINGS, Right.SEND_MAILINGS
READERS: dict[str, User] = {
    "owner": User(role=Role.OWNER),
    "administrator": User(role=Role.ADMINISTRATOR),
    "writer and sender": User(role=Role.EMPLOYEE, rights=[str(WRITES), str(SENDS)]),
    "writer": User(role=Role.EMPLOYEE, rights=[str(WRITES)]),
    "sender": User(role=Role.EMPLOYEE, rights=[str(SENDS)]),
    "reader": User(role=Role.EMPLOYEE, rights=[str(Right.SEE_MAILINGS)]),
    "student": User(role=Role.STUDENT),
}
WRITERS = {"owner", "administrator", "writer and sender", "writer"}
SENDERS = {"owner", "administrator", "writer and sender", "sender"}

# Of those who send, before and after the copy that those who write may make.
LAUNCHED: dict[str, tuple[list[str], list[str]]] = {
    State.SCHEDULED: (["take-back", "pause"], ["cancel"]),
    State.WATCHING: (["pause"], ["cancel"]),
    State.PREPARING: (["pause"], ["cancel"]),
    State.SENDING: (["pause"], ["cancel"]),
    State.PAUSED: (["resume"], ["cancel"]),
    State.SETTLING: ([], []),
    State.DONE: ([], []),
    State.CANCELLED: ([], []),
}


def mailing(state: str, **fields: Any) -> Mailing:
    return Mailing(pk=5, name="Webinar", state=state, **fields)


def names(found: list[Action]) -> list[str]:
    """The last part of each address: what is done."""
    return [each.url.strip("/").rpartition("/")[2] for each in found]


def test_every_state_is_in_a_table() -> None:
    assert {*LAUNCHED, State.DRAFT, State.AWAITING} == set(State)


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("state", LAUNCHED)
def test_a_launched_one(state: str, who: str) -> None:
    course, ends = LAUNCHED[state] if who in SENDERS else ([], [])
    copy = ["copy"] if who in WRITERS else []
    assert names(actions.of_launched(mailing(state), READERS[who])) == [*course, *copy, *ends]


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("state", LAUNCHED)
def test_links_that_sign_in_can_be_revoked_in_any_state(state: str, who: str) -> None:
    found = names(actions.of_launched(mailing(state, links_sign_in=True), READERS[who]))
    assert ("revoke-links" in found) is (who in SENDERS)


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("state", LAUNCHED)
@pytest.mark.parametrize("stopped", [False, True])
def test_watching_can_be_stopped_while_it_goes_on(state: str, who: str, stopped: bool) -> None:
    row = mailing(
        state, when=Mailing.When.ON_ENTRY, prepared_at=timezone.now() if stopped else None
    )
    watches = state in {State.WATCHING, State.PAUSED} and not stopped
    found = names(actions.of_launched(row, READERS[who]))
    assert ("stop-watching" in found) is (watches and who in SENDERS)


def test_all_buttons_of_a_launched_one_in_their_order() -> None:
    row = mailing(State.WATCHING, when=Mailing.When.ON_ENTRY, links_sign_in=True)
    found = actions.of_launched(row, READERS["owner"])
    assert [
        (name, each.way, each.tone) for name, each in zip(names(found), found, strict=True)
    ] == [
        ("pause", Way.ACTS, Tone.PRIMARY),
        ("copy", Way.ACTS, Tone.PLAIN),
        ("revoke-links", Way.ASKS, Tone.PLAIN),
        ("cancel", Way.ASKS, Tone.DANGER),
        ("stop-watching", Way.ASKS, Tone.PLAIN),
    ]


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("state", [State.DRAFT, State.AWAITING])
@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("may_confirm", [False, True])
def test_a_draft(state: str, who: str, connected: bool, may_confirm: bool) -> None:
    found = actions.of_draft(
        mailing(state), READERS[who], connected=connected, may_confirm=may_confirm
    )
    launches = state == State.DRAFT or may_confirm
    writes, sends = who in WRITERS, who in SENDERS and connected
    assert names(found) == [
        *(["edit"] if writes and state == State.DRAFT else []),
        *(["copy"] if writes else []),
        *(["test"] if sends else []),
        *(["launch"] if sends and launches else []),
    ]


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("state", State)
def test_only_a_draft_can_be_deleted(state: str, who: str) -> None:
    found = actions.delete_draft(mailing(state), READERS[who])
    assert (found is not None) is (state == State.DRAFT and who in WRITERS)


@pytest.mark.parametrize("state", LAUNCHED)
def test_at_most_one_button_is_the_first_to_see(state: str) -> None:
    found = actions.of_launched(mailing(state, links_sign_in=True), READERS["owner"])
    assert [each.tone for each in found].count(Tone.PRIMARY) <= 1


@pytest.mark.parametrize(
    ("way", "tone", "html"),
    [
        (Way.OPENS, Tone.PLAIN, '<a class="button" href="/go/">'),
        (
            Way.ASKS,
            Tone.DANGER,
            '<a class="button danger" href="/go/" hx-get="/go/" hx-target="#dialog">',
        ),
        (Way.ACTS, Tone.PRIMARY, '<button class="button primary">'),
    ],
)
def test_how_a_button_is_drawn(rf: RequestFactory, way: Way, tone: Tone, html: str) -> None:
    action = Action("Go <on>", "/go/", "play", way, tone)
    page = render_to_string("components/action.html", {"action": action}, request=rf.get("/"))
    drawn = " ".join(page.split()).replace(" >", ">")
    assert html in drawn
    assert "Go &lt;on&gt; </" in drawn
    assert ('<form method="post" action="/go/">' in drawn) is (way == Way.ACTS)
    assert ("csrfmiddlewaretoken" in drawn) is (way == Way.ACTS)


def test_words_are_in_the_language_of_the_reader() -> None:
    (copy,) = actions.of_launched(mailing(State.DONE), READERS["writer"])
    with translation.override("ru"):
        assert str(copy.label) == "Копировать"
    with translation.override("en"):
        assert str(copy.label) == "Copy"
