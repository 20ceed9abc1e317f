"""From texts-phones-links.md (F1, F3) and security.md: a link that signs in, looked at by scanners,
taken to another browser, followed late, twice, on two hosts.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from mailings.models import Click, Link, Mailing, Message, Policy
from mailings.text import tokens
from mailings.text.tokens import Purpose
from mailings.tracking import sign_in
from users.access import link_sign_in
from users.models import LinkSignIn, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
OURS, SHORT = "https://sms.example.com", "https://s.example.com"
# Phones that were taken for robots (F1), and programs that look at links (outline #9227, emdash #3298).
AGENTS = {
    "cubot": "Mozilla/5.0 (Linux; Android 11; CUBOT J9) AppleWebKit/537.36 Chrome/109.0 Mobile",
    "heytap": "Mozilla/5.0 (Linux; U; Android 15; ru-ru; RMX3842 Build/AP3A.240617.008) HeyTapBrowser/45",
    "viber": "Mozilla/5.0 (Linux; Android 13) Chrome/120 Mobile Safari/537.36 Viber/24.5.0.3",
    "googlebot": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "nobody": "",
}


@pytest.fixture(autouse=True)
def here(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    settings.PUBLIC_URL = settings.SHORT_URL = OURS
    settings.ALLOWED_HOSTS = ["testserver", "sms.example.com", "s.example.com"]


@pytest.fixture
def message(student: User) -> Message:
    mailing = Mailing.objects.create(name="Webinar", state=Mailing.State.DONE, links_sign_in=True)
    Link.objects.create(mailing=mailing, position=0, url=f"{OURS}/me/messages/")
    return Message.objects.create(
        mailing=mailing,
        user=student,
        key=student.phone,
        phone=student.phone,
        submitted_at=timezone.now(),
        status="delivered",
    )


def link(message: Message) -> str:
    return f"/r/{tokens.make(message.pk, 0, Purpose.SIGN_IN)}"


def opened(client: Client, message: Message) -> Any:
    """The page that the link ends at."""
    return client.get(link(message), follow=True)


def pressed(client: Client, page: Any, **more: str) -> Any:
    return client.post("/in/", {"visit": page.context["visit"], **more})


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_everybody_gets_the_button_and_nobody_is_in_by_looking(
    client: Client, message: Message, agent: str
) -> None:
    page = client.get(link(message), headers={"user-agent": agent}, follow=True)
    assert page.status_code == 200
    assert "Open my page" in page.content.decode()
    for _ in range(3):
        client.get("/in/")
        client.head("/in/")
    assert client.get("/me/").status_code == 302
    assert not LinkSignIn.objects.exists()
    assert pressed(client, page)["Location"] == "/me/messages/"
    assert client.get("/me/").status_code == 200


def test_the_ticket_is_in_no_address_and_in_no_page(client: Client, message: Message) -> None:
    answer = client.get(link(message))
    ticket = answer.cookies[sign_in.COOKIE]
    assert ticket["httponly"]
    assert ticket["samesite"] == "Lax"
    assert ticket["max-age"] == 600
    page = client.get(answer["Location"])
    assert "?" not in answer["Location"]
    assert ticket.value not in page.content.decode()
    assert page["Cache-Control"].startswith("max-age=0, no-cache, no-store")


def test_the_ticket_is_good_once(client: Client, message: Message) -> None:
    page = opened(client, message)
    ticket = client.cookies[sign_in.COOKIE].value
    assert pressed(client, page).status_code == 302
    thief = Client()
    thief.cookies[sign_in.COOKIE] = ticket
    again = pressed(thief, page)
    assert again.status_code == 410
    assert thief.get("/me/").status_code == 302
    assert LinkSignIn.objects.count() == 1


def test_the_ticket_is_of_one_browser(client: Client, message: Message) -> None:
    page = opened(client, message)
    other = Client()
    assert other.post("/in/", {"visit": page.context["visit"]}).status_code == 410
    assert other.get("/me/").status_code == 302


def test_a_second_press_the_way_back_and_a_reload_are_met_kindly(
    client: Client, message: Message
) -> None:
    page = opened(client, message)
    assert client.get("/in/").status_code == 200  # a reload before
    ticket = client.cookies[sign_in.COOKIE].value
    assert pressed(client, page).status_code == 302
    assert client.get("/in/")["Location"] == "/me/"  # the way back after
    client.cookies[sign_in.COOKIE] = ticket  # as the second of two quick taps had it
    assert pressed(client, page)["Location"] == "/me/messages/"
    stranger = Client()  # whose first answer was lost, and the session with it
    stranger.cookies[sign_in.COOKIE] = ticket
    said = pressed(stranger, page).content.decode()
    assert "opened a moment ago" in said
    assert 'href="/me/messages/"' in said


def test_two_links_open_side_by_side_are_not_mistaken(
    client: Client, message: Message, manager: User
) -> None:
    first = opened(client, message)
    Message.objects.create(
        mailing=message.mailing, user=manager, key="other", phone="+79980000002", status="delivered"
    )
    opened(client, Message.objects.get(key="other"))
    again = pressed(client, first)
    assert again.status_code == 200
    assert "Open my page" in again.content.decode()
    assert client.get("/me/").status_code == 302


def test_the_owner_may_ask_for_a_tap_everywhere(
    client: Client, message: Message, as_: As, owner: User
) -> None:
    assert "data-posts-itself" in opened(client, message).content.decode()
    rules = as_(owner).get("/settings/sending/").context["form"].initial
    client.post(
        "/settings/sending/", {k: v for k, v in rules.items() if v is not None} | {"one_tap": "on"}
    )
    client.logout()
    assert Policy.current().one_tap
    page = opened(client, message)
    assert "data-posts-itself" not in page.content.decode()
    assert pressed(client, page).status_code == 302


def test_no_network_is_too_busy_for_a_genuine_link() -> None:
    """A mailing to a hundred thousand phones of three operators; one link by itself has its limit."""

    def ticket(message: int) -> link_sign_in.Ticket:
        return link_sign_in.Ticket(message, 1, "mailing 5", None, "192.0.2.0/24", "", "n")

    assert not any(link_sign_in.too_many(ticket(number)) for number in range(400))
    assert [link_sign_in.too_many(ticket(1)) for _ in range(link_sign_in.PER_LINK)][-1]


# --- lifetimes --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("days", "after", "works"),
    [(None, 3650, True), (1, 0.99, True), (1, 1.01, False), (7, 6, True), (7, 8, False)],
)
def test_a_link_lives_as_long_as_was_chosen(
    client: Client, message: Message, days: int | None, after: float, works: bool
) -> None:
    Mailing.objects.update(sign_in_days=days)
    with time_machine.travel(timezone.now() + timedelta(days=after)):
        answer = pressed(client, opened(client, message))
        assert (answer.status_code == 302) is works
        assert (client.get("/me/").status_code == 200) is works
        if not works:
            words = answer.content.decode()
            assert "it is over" in words
            assert 'href="/sign-in/?next=%2Fme%2Fmessages%2F"' in words
            assert LinkSignIn.objects.get().outcome == "expired"


def test_a_late_link_leads_on_whoever_is_signed_in_already(
    as_: As, message: Message, student: User
) -> None:
    Mailing.objects.update(sign_in_days=1)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert as_(student).get(link(message), follow=True).redirect_chain[-1][0] == "/me/messages/"


def test_the_composer_offers_lifetimes_and_a_copy_keeps_them(as_: As, manager: User) -> None:
    from mailings.composing.duplicate import copy_of
    from tests import factories

    factories.simulator()
    client = as_(manager)
    page = client.get("/mailings/new/").content.decode()
    assert "Sign-in links work for" in page
    fields = {
        "name": "Week",
        "text": f"{OURS}/me/",
        "links_sign_in": "on",
        "recipients": "everyone",
        "when": "at_launch",
        "error_limit": "5",
        "hand_over": "early",
    }
    for given, kept in (("", None), ("7", 7), ("365", 365)):
        client.post("/mailings/new/", fields | {"sign_in_days": given})
        draft = Mailing.objects.latest("id")
        assert draft.sign_in_days == kept
        assert copy_of(draft, manager).sign_in_days == kept
    drafts = Mailing.objects.count()
    for nonsense in ("0", "-1", "2", "abc", "9" * 30):
        client.post("/mailings/new/", fields | {"sign_in_days": nonsense})
    assert Mailing.objects.count() == drafts


# --- a domain of its own for short links -----------------------------------------------------------
def test_a_short_domain_hands_over_to_the_pages_own(
    client: Client, message: Message, settings: Any
) -> None:
    settings.SHORT_URL = SHORT
    there = client.get(link(message), headers={"host": "s.example.com"})
    assert there["Location"] == f"{OURS}{link(message)}"
    assert not there.cookies
    assert there["X-Robots-Tag"] == "noindex"
    assert not Click.objects.exists()  # counted where it arrives
    here = client.get(link(message), headers={"host": "sms.example.com"})
    assert here["Location"] == "/in/"
    assert Click.objects.count() == 1
