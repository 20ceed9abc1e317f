"""From a click on a link that signs in to the person's own page, or to words that say why not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.test import Client, RequestFactory
from django.utils import timezone

from mailings.models import Batch, Click, Mailing, Message
from mailings.tracking import revocation, sign_in
from smsmail.web.network import network_of
from tests import factories
from users.access import link_sign_in
from users.models import LinkSignIn, User
from users.rights import Role

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
OURS = "https://sms.example.com"


@dataclass(frozen=True)
class Hit:
    message_id: int
    kind: str = Click.Kind.PERSON.value


@pytest.fixture(autouse=True)
def here(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    settings.PUBLIC_URL = OURS


@pytest.fixture
def mailing(db: None) -> Mailing:
    return Mailing.objects.create(name="Webinar", state=Mailing.State.DONE, links_sign_in=True)


@pytest.fixture
def message(mailing: Mailing, student: User) -> Message:
    return to(student, mailing)


def to(person: User | None, mailing: Mailing, **fields: Any) -> Message:
    fields = {"submitted_at": timezone.now(), "status": "delivered"} | fields
    phone = person.phone if person else "+79980000099"
    return Message.objects.create(mailing=mailing, user=person, key=phone, phone=phone, **fields)


def clicked(client: Client, message: Message, target: str = f"{OURS}/me/") -> str:
    """The page that a click leads this browser to; the ticket is in a cookie."""
    answer = sign_in.enter(RequestFactory().get("/r/abc"), Hit(message.pk), target)
    assert (answer.status_code, answer["Location"]) == (302, "/in/")
    client.cookies[sign_in.COOKIE] = answer.cookies[sign_in.COOKIE].value
    return answer["Location"]


def posted(client: Client, page: str, **more: str) -> Any:
    """What the page posts, by itself or by a tap."""
    shown = client.get(page)
    visit = shown.context["visit"] if shown.context and "visit" in shown.context else ""
    return client.post(page, {"visit": visit, **more})


def test_a_student_lands_where_the_link_leads(client: Client, message: Message) -> None:
    page = clicked(client, message, f"{OURS}/me/messages/?before=5#end")
    assert posted(client, page)["Location"] == "/me/messages/?before=5#end"
    assert client.get("/me/").status_code == 200
    log = LinkSignIn.objects.get()
    assert (log.user, log.source, log.outcome, log.network) == (
        message.user,
        f"mailing {message.mailing_id}",
        "signed_in",
        "127.0.0.0/24",
    )


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_look_signs_nobody_in_and_says_no_name(
    client: Client, message: Message, method: str
) -> None:
    answer = getattr(client, method)(clicked(client, message))
    assert answer.status_code == 200
    assert "sessionid" not in answer.cookies
    assert "Ivan" not in answer.content.decode()
    assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert client.get("/me/").status_code == 302
    assert not LinkSignIn.objects.exists()


def test_it_takes_no_post_without_a_token_of_the_page(message: Message) -> None:
    client = Client(enforce_csrf_checks=True)
    page = clicked(client, message)
    assert posted(client, page).status_code == 403
    token = client.get(page).context["csrf_token"]
    assert posted(client, page, csrfmiddlewaretoken=str(token)).status_code == 302


@pytest.mark.parametrize("kind", list(Click.Kind))
def test_what_a_click_is_taken_for_decides_nothing(
    client: Client, message: Message, kind: str
) -> None:
    """A phone that is taken for a robot (texts-phones-links.md, F1) has the button too."""
    answer = sign_in.enter(RequestFactory().get("/r/abc"), Hit(message.pk, kind), f"{OURS}/me/")
    assert answer["Location"] == "/in/"
    client.cookies[sign_in.COOKIE] = answer.cookies[sign_in.COOKIE].value
    assert "Open my page" in client.get("/in/").content.decode()
    assert not LinkSignIn.objects.exists()
    assert posted(client, "/in/")["Location"] == "/me/"


def test_the_ticket_lives_for_minutes_and_the_link_for_ever(
    client: Client, message: Message
) -> None:
    page = clicked(client, message)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        old = posted(client, page)
        assert old.status_code == 410
        assert "follow its link again" in old.content.decode()
    with time_machine.travel(timezone.now() + timedelta(days=3650)):
        for _ in range(3):
            assert posted(client, clicked(client, message))["Location"] == "/me/"
            client.logout()


@pytest.mark.parametrize(
    "ticket",
    ["", "x", "\0", "a:b:c", signing.dumps([1, "/me/", "n"]), signing.dumps([1], salt="another")],
    ids=[
        "empty",
        "letter",
        "nul",
        "colons",
        "no-salt",
        "other-salt",
    ],  # a signature tells the second
)
def test_it_takes_no_ticket_of_others(client: Client, message: Message, ticket: str) -> None:
    client.cookies[sign_in.COOKIE] = ticket
    for answer in (client.get("/in/"), client.post("/in/", {"visit": "n"})):
        assert answer.status_code in {200, 410}
        assert "Open my page" not in answer.content.decode()
        assert "sessionid" not in answer.cookies


def test_without_a_ticket_it_says_what_the_page_is(client: Client, as_: As, manager: User) -> None:
    """For programs, and for browsers that keep no cookies."""
    page = client.get("/in/")
    assert page.status_code == 200
    assert "A personal link" in page.content.decode()
    assert client.post("/in/").status_code == 410
    assert as_(manager).get("/in/")["Location"] == "/me/"  # the way back after a sign-in


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (f"{OURS}/me/messages/", "/me/messages/"),
        (OURS, "/"),
        ("https://SMS.example.com/me/messages/", "/me/messages/"),
        (f"{OURS}/?a=1", "/?a=1"),
        (f"{OURS}//example.com/", "/me/"),
        (f"{OURS}/\\example.com/", "/me/"),
        ("https://example.com/me/", "/me/"),
        ("https://sms.example.com.evil.example.com/x", "/me/"),
        ("https://user@sms.example.com/x", "/me/"),
        ("https://sms.example.com:444/x", "/me/"),
        ("javascript:alert(1)", "/me/"),
        ("", "/me/"),
    ],
)
def test_it_leads_nowhere_else(target: str, path: str) -> None:
    assert sign_in.path_of(target) == path


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMINISTRATOR, Role.EMPLOYEE])
def test_staff_is_asked_for_the_password(client: Client, message: Message, role: Role) -> None:
    """The role as it is now, not as it was when the SMS went."""
    User.objects.update(role=role)
    answer = posted(client, clicked(client, message))
    assert answer["Location"] == "/sign-in/?next=%2Fme%2F"
    assert client.get("/me/").status_code == 302
    assert LinkSignIn.objects.get().outcome == "staff"


def test_a_revoked_link_says_so_and_leads_to_the_password(
    client: Client, message: Message, mailing: Mailing, owner: User
) -> None:
    revocation.revoke_mailing(mailing, owner)
    answer = posted(client, clicked(client, message))
    assert answer.status_code == 403
    assert "This link no longer signs in" in answer.content.decode()
    assert 'href="/sign-in/?next=%2Fme%2F"' in answer.content.decode()
    assert LinkSignIn.objects.get().outcome == "revoked"


def test_a_message_of_unknown_fate_is_as_old_as_its_batch(
    client: Client, mailing: Mailing, student: User, owner: User
) -> None:
    batch = Batch.objects.create(
        mailing=mailing, size=1, reference="ref", claimed_at=timezone.now()
    )
    unsure = to(student, mailing, submitted_at=None, status="unknown", batch=batch)
    revocation.revoke_all(owner)
    assert posted(client, clicked(client, unsure)).status_code == 403
    Batch.objects.update(claimed_at=timezone.now())
    assert posted(client, clicked(client, unsure)).status_code == 302


def test_it_opens_nothing_for_people_who_may_not_sign_in_or_are_gone(
    client: Client, message: Message, mailing: Mailing, student: User
) -> None:
    User.objects.update(is_active=False)
    assert "does not open an account" in posted(client, clicked(client, message)).content.decode()
    student.delete()
    assert posted(client, clicked(client, message)).status_code == 403
    assert posted(client, clicked(client, to(None, mailing))).status_code == 403
    assert client.get("/me/").status_code == 302


def test_whoever_is_signed_in_already_goes_straight_on(
    as_: As, message: Message, student: User
) -> None:
    client = as_(student)
    answer = client.get(clicked(client, message))
    assert answer["Location"] == "/me/"
    assert not LinkSignIn.objects.exists()


def test_another_account_opens_only_by_a_tap_that_knows_it(
    as_: As, message: Message, manager: User
) -> None:
    client = as_(manager)
    page = clicked(client, message)
    for answer in (client.get(page), posted(client, page)):  # one that posts itself knows nothing
        words = answer.content.decode()
        assert "You are signed in here as Maria." in words
        assert "This link opens the account of Ivan." in words
        assert "data-posts-itself" not in words
    assert client.get("/me/").context["user"] == manager
    assert posted(client, page, switch="yes").status_code == 302
    assert client.get("/me/").context["user"] == message.user


def test_a_link_of_staff_does_not_leave_another_account_open(
    as_: As, student: User, mailing: Mailing
) -> None:
    """The password page would take whoever is signed in for the one who is asked."""
    administrator = factories.administrator(phone="+79980000002")
    client = as_(student)
    answer = posted(client, clicked(client, to(administrator, mailing)), switch="yes")
    assert answer["Location"] == "/sign-in/?next=%2Fme%2F"
    assert client.get("/sign-in/").status_code == 200


def test_a_machine_that_holds_a_link_is_slowed_down(client: Client, message: Message) -> None:
    for _ in range(link_sign_in.PER_LINK):
        posted(client, clicked(client, message))
        client.logout()
    answer = posted(client, clicked(client, message))
    assert answer.status_code == 429
    assert client.get("/me/").status_code == 302


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_of_an_address_only_its_network_is_kept(address: str, network: str) -> None:
    assert network_of(RequestFactory().get("/", REMOTE_ADDR=address)) == network
