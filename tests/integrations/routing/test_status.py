"""Which service sends now and why, in the right words for every combination."""

from itertools import product
from typing import Any

import pytest

from integrations.models import Account
from integrations.reasons import Reason
from integrations.routing import cooldown, routing, status
from integrations.routing.status import PriorityPlace, listed, why
from users.models import User

ALL = ("smsc", "twilio", "seventech", "simulator")
ONE, TWO = ("SMSC",), ("SMSC", "Twilio")
FIRST_SENDS = "Everything goes through it: it is the first connected service."


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (PriorityPlace("SMSC", sender="SMSC"), FIRST_SENDS),
        (
            PriorityPlace("SMSC", first_rests=True, rests=True),
            "It has priority but is down: messages wait until it works again.",
        ),
        (
            PriorityPlace("SMSC", first_rests=True, rests=True, falls_back=True),
            "It has priority but is down, and no other service can step in: messages wait until it works again.",
        ),
        (
            PriorityPlace("SMSC", first_rests=True, rests=True, falls_back=True, sender="Twilio"),
            "It has priority but is down: Twilio sends in its place until it works again.",
        ),
        (
            PriorityPlace("Twilio", before=ONE, sender="SMSC"),
            "Twilio is connected but waits: SMSC has priority. To send through Twilio, disconnect SMSC.",
        ),
        (
            PriorityPlace("SevenTech", before=TWO, sender="SMSC"),
            "SevenTech is connected but waits: SMSC has priority. To send through SevenTech, disconnect SMSC and Twilio.",
        ),
        (
            PriorityPlace("SevenTech", before=TWO, sender="SMSC", falls_back=True),
            "SevenTech is connected but waits: SMSC has priority. To send through SevenTech, disconnect SMSC and Twilio.",
        ),
        (
            PriorityPlace("Twilio", before=ONE, first_rests=True),
            "Twilio is connected but waits: SMSC has priority. To send through Twilio, disconnect SMSC.",
        ),
        (
            PriorityPlace("Twilio", before=ONE, first_rests=True, falls_back=True, sender="Twilio"),
            "SMSC is down: Twilio sends in its place until SMSC works again.",
        ),
        (
            PriorityPlace(
                "SevenTech", before=TWO, first_rests=True, falls_back=True, sender="Twilio"
            ),
            "SevenTech is connected but waits: Twilio sends in place of SMSC. To send through SevenTech, disconnect SMSC and Twilio.",
        ),
        (
            PriorityPlace(
                "Twilio",
                before=ONE,
                first_rests=True,
                rests=True,
                falls_back=True,
                sender="SevenTech",
            ),
            "Twilio would step in for SMSC, but it is down too. To send through Twilio, disconnect SMSC.",
        ),
        (
            PriorityPlace(
                "Simulator", before=ONE, first_rests=True, falls_back=True, is_simulator=True
            ),
            "Simulator is connected but waits: it only pretends to send and never steps in for a real service. To send through Simulator, disconnect SMSC.",
        ),
    ],
)
def test_it_says_why(place: PriorityPlace, words: str) -> None:
    assert why(place) == words


def test_it_lists_as_people_do() -> None:
    assert listed(["SMSC"]) == "SMSC"
    assert listed(["SMSC", "Twilio"]) == "SMSC and Twilio"
    assert listed(["SMSC", "Twilio", "SevenTech"]) == "SMSC, Twilio and SevenTech"


@pytest.mark.parametrize("falls_back", [False, True])
@pytest.mark.parametrize("connected", list(product([None, "up", "down"], repeat=4)), ids=str)
def test_in_every_combination_one_sends_or_all_wait(
    connected: tuple[str | None, ...], falls_back: bool, owner: User
) -> None:
    for slug, state in zip(ALL, connected, strict=True):
        if state:
            account = Account.objects.create(provider=slug, credentials={"on": "yes"})
            if state == "down":
                cooldown.start(account.id, Reason.UNAVAILABLE, "")
    routing.set_fallback(falls_back, owner)
    shown = {service.slug: service for service in status.services()}
    assert [slug for slug in ALL if shown[slug].account] == [
        slug for slug, state in zip(ALL, connected, strict=True) if state
    ]
    assert all(bool(each.why) == bool(each.account) for each in shown.values())
    sending = [each for each in shown.values() if each.sends]
    sender = routing.sender()
    assert [each.slug for each in sending] == ([sender.provider] if sender else [])
    for each in sending:
        assert each.why == FIRST_SENDS or f"{each.title} sends in its place" in each.why
    for each in shown.values():
        if each.account and not each.sends:
            assert "waits" in each.why or "down" in each.why
            assert each.why != FIRST_SENDS


def test_it_asks_twice_for_all_of_them(db: None, django_assert_num_queries: Any) -> None:
    for slug in ALL:
        Account.objects.create(provider=slug, credentials={"on": "yes"})
    with django_assert_num_queries(2):
        status.services()
