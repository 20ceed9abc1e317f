"""The buttons of a notification's page: on and off, every kind of reader."""

import pytest

from mailings.models import Counters, Mailing
from mailings.notifications import actions, registry
from mailings.reports.actions import Action, Way
from users.models import User
from users.rights import Right, Role

State = Mailing.State
WRITES, SENDS = Right.EDIT_MAILINGS, Right.SEND_MAILINGS
READERS: dict[str, User] = {
    "owner": User(role=Role.OWNER),
    "writer and sender": User(role=Role.EMPLOYEE, rights=[str(WRITES), str(SENDS)]),
    "writer": User(role=Role.EMPLOYEE, rights=[str(WRITES)]),
    "sender": User(role=Role.EMPLOYEE, rights=[str(SENDS)]),
    "reader": User(role=Role.EMPLOYEE, rights=[str(Right.SEE_MAILINGS)]),
}
WRITERS, SENDERS = (
    {"owner", "writer and sender", "writer"},
    {"owner", "writer and sender", "sender"},
)


def notification(*, on: bool, event: str = "paid", links: bool = False, sent: int = 0) -> Mailing:
    row = Mailing(
        pk=5,
        kind=Mailing.Kind.NOTIFICATION,
        event=event,
        state=State.SENDING if on else State.CANCELLED,
        links_sign_in=links,
    )
    row.counters = Counters(mailing=row, delivered=sent)
    return row


def names(found: list[Action]) -> list[str]:
    return [each.url.strip("/").rpartition("/")[2] for each in found]


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("connected", [False, True])
def test_a_notification(who: str, on: bool, links: bool, connected: bool) -> None:
    row = notification(on=on, links=links)
    found = actions.of_notification(row, READERS[who], connected=connected)
    sends = who in SENDERS
    assert names(found) == [
        *(["revoke-links"] if sends and links else []),
        *(["edit"] if who in WRITERS and (sends or not on) else []),
        *(["try"] if sends and connected else []),
    ]


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("event", ["paid", *registry.BUILT_IN])
@pytest.mark.parametrize("sent", [0, 1])
def test_only_one_of_ours_that_is_off_and_has_sent_nothing_is_deleted(
    who: str, on: bool, event: str, sent: int
) -> None:
    row = notification(on=on, event=event, sent=sent)
    found = actions.delete_notification(row, READERS[who])
    deletable = who in WRITERS and event == "paid" and not on and not sent
    assert (found is not None) is deletable
    assert found is None or found.way == Way.ASKS
