"""Whom a link of an SMS lets in, and the session that it makes."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone

from mailings.models import Mailing
from mailings.tracking import revocation
from tests.people import PASSWORD
from users.access import link_sessions, link_sign_in
from users.access.link_sign_in import Outcome, Ticket
from users.models import AuditEvent, LinkSignIn, User
from users.rights import Role

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def mailing(db: None) -> Mailing:
    return Mailing.objects.create(name="Webinar", state=Mailing.State.DONE, links_sign_in=True)


def ticket(person: User | None, mailing: Mailing | None = None, **fields: Any) -> Ticket:
    fields = {
        "message": 1,
        "person": person.pk if person else None,
        "source": revocation.source_of(mailing.pk if mailing else 5),
        "handed_at": timezone.now() - timedelta(days=400),  # permanent
        "network": "192.0.2.0/24",
        "user_agent": "Made-up phone",
        "number": secrets.token_urlsafe(12),
    } | fields
    return Ticket(**fields)


def request() -> HttpRequest:
    made = RequestFactory().post("/in/")
    made.session = SessionStore()
    return made


def entered(client: Client, of: Ticket) -> Client:
    """The browser after following the link."""
    asked = request()
    assert link_sign_in.enter(asked, of) == Outcome.SIGNED_IN
    asked.session.save()
    assert asked.session.session_key
    client.cookies["sessionid"] = asked.session.session_key
    return client


def test_a_student_is_signed_in_however_often_and_it_is_written_down(
    client: Client, ivan: User
) -> None:
    for _ in range(3):
        assert entered(client, ticket(ivan)).get("/me/").status_code == 200
    log = LinkSignIn.objects.filter(user=ivan)
    assert {(one.outcome, one.source, one.network) for one in log} == {
        ("signed_in", "mailing 5", "192.0.2.0/24")
    }
    assert log.count() == 3


def test_each_session_has_a_key_of_its_own(ivan: User) -> None:
    """Also for somebody who planted theirs, or was signed in already."""
    asked = request()
    asked.session["planted"] = "yes"
    asked.session.save()
    planted = asked.session.session_key
    link_sign_in.enter(asked, ticket(ivan))
    assert asked.session.session_key != planted
    assert "planted" not in asked.session


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMINISTRATOR, Role.EMPLOYEE])
def test_it_never_lets_staff_in(ivan: User, role: Role) -> None:
    """As the role is now, whatever it was when the SMS went."""
    User.objects.filter(pk=ivan.pk).update(role=role)
    asked = request()
    assert link_sign_in.enter(asked, ticket(ivan)) == Outcome.STAFF
    assert SESSION_KEY not in asked.session
    assert LinkSignIn.objects.get().outcome == Outcome.STAFF


def test_it_lets_in_nobody_who_may_not_sign_in_or_is_gone(ivan: User) -> None:
    User.objects.filter(pk=ivan.pk).update(is_active=False)
    asked = request()
    assert link_sign_in.enter(asked, ticket(ivan)) == Outcome.BLOCKED
    assert LinkSignIn.objects.get().outcome == Outcome.BLOCKED
    of = ticket(ivan)
    ivan.delete()
    assert link_sign_in.enter(asked, of) == Outcome.BLOCKED
    assert link_sign_in.enter(asked, ticket(None)) == Outcome.BLOCKED
    assert SESSION_KEY not in asked.session


def of_person(mailing: Mailing, ivan: User, olga: User) -> None:
    User.objects.filter(pk=ivan.pk).update(links_revoked_at=timezone.now())


def of_mailing(mailing: Mailing, ivan: User, olga: User) -> None:
    revocation.revoke_mailing(mailing, olga)


def of_all(mailing: Mailing, ivan: User, olga: User) -> None:
    revocation.revoke_all(olga)


REVOKE = pytest.mark.parametrize("revoke", [of_person, of_mailing, of_all])


@REVOKE
def test_a_revoked_link_no_longer_signs_in_and_later_ones_do(
    client: Client, ivan: User, olga: User, mailing: Mailing, revoke: Callable[..., None]
) -> None:
    before = ticket(ivan, mailing, handed_at=timezone.now())
    revoke(mailing, ivan, olga)
    assert link_sign_in.enter(request(), before) == Outcome.REVOKED
    assert link_sign_in.enter(request(), ticket(ivan, mailing, handed_at=None)) == Outcome.REVOKED
    later = ticket(ivan, mailing, handed_at=timezone.now())
    assert link_sign_in.enter(request(), later) == Outcome.SIGNED_IN


@REVOKE
def test_a_revocation_ends_the_sessions_that_began_with_the_link(
    client: Client, ivan: User, olga: User, mailing: Mailing, revoke: Callable[..., None]
) -> None:
    browser = entered(client, ticket(ivan, mailing, handed_at=timezone.now()))
    assert browser.get("/me/").status_code == 200
    revoke(mailing, ivan, olga)
    assert browser.get("/me/").status_code == 302


def test_a_revocation_of_another_mailing_ends_nothing(
    client: Client, ivan: User, olga: User, mailing: Mailing
) -> None:
    browser = entered(client, ticket(ivan, mailing))
    revocation.revoke_mailing(Mailing.objects.create(name="Another"), olga)
    assert browser.get("/me/").status_code == 200


@pytest.mark.parametrize("source", ["", "mailing", "mailing x", "mailing ٣", "other 5", "5"])
def test_a_link_of_no_mailing_is_revoked(source: str) -> None:
    assert revocation.is_revoked(source, timezone.now())


def test_a_session_by_link_never_becomes_one_of_staff(client: Client, ivan: User) -> None:
    browser = entered(client, ticket(ivan))
    User.objects.filter(pk=ivan.pk).update(role=Role.ADMINISTRATOR)
    assert browser.get("/people/").status_code == 302
    User.objects.filter(pk=ivan.pk).update(role=Role.STUDENT)
    assert browser.get("/me/").status_code == 302  # it has ended, not only slept


def test_a_session_by_password_stays_when_links_are_revoked_or_the_role_rises(
    as_: As, ivan: User, olga: User
) -> None:
    browser = as_(ivan)
    revocation.revoke_all(olga)
    User.objects.filter(pk=ivan.pk).update(links_revoked_at=timezone.now(), role=Role.EMPLOYEE)
    assert browser.get("/me/").status_code == 200


def test_whoever_came_by_a_link_gives_the_password_before_what_matters(
    client: Client, ivan: User
) -> None:
    browser = entered(client, ticket(ivan))
    browser.post("/me/", {"first_name": "Vanya", "phone": "+79980000055"})
    ivan.refresh_from_db()
    assert (ivan.first_name, ivan.phone) == ("Vanya", "+79980000001")

    asks = browser.get("/me/password/")["Location"]
    assert asks == "/me/prove/?next=%2Fme%2Fpassword%2F"
    wrong = browser.post(asks, {"password": "wrong"}).content.decode()
    assert "The password is wrong" in wrong
    assert browser.get("/me/password/").status_code == 302

    key = browser.cookies["sessionid"].value
    assert browser.post(asks, {"password": PASSWORD})["Location"] == "/me/password/"
    assert browser.cookies["sessionid"].value != key
    assert browser.get("/me/password/").status_code == 200
    browser.post("/me/", {"first_name": "Vanya", "phone": "+79980000055"})
    ivan.refresh_from_db()
    assert ivan.phone == "+79980000055"


def test_wrong_passwords_of_whoever_came_by_a_link_are_counted(client: Client, ivan: User) -> None:
    browser = entered(client, ticket(ivan))
    for _ in range(5):
        last = browser.post("/me/prove/", {"password": "wrong"})
    assert last.status_code == 429


@pytest.mark.parametrize("next_", ["https://example.com/", "//example.com/", "javascript:x", ""])
def test_after_the_password_it_goes_nowhere_else(client: Client, ivan: User, next_: str) -> None:
    browser = entered(client, ticket(ivan))
    answer = browser.post(f"/me/prove/?next={next_}", {"password": PASSWORD})
    assert answer["Location"] == "/me/"


def test_somebody_without_a_password_is_told_so(client: Client, ivan: User) -> None:
    User.objects.filter(pk=ivan.pk).update(password="!")
    browser = entered(client, ticket(ivan))
    assert "You have no password yet" in browser.get("/me/").content.decode()
    page = browser.post("/me/prove/", {"password": ""}).content.decode()
    assert "You have no password yet" in page
    assert 'name="password"' not in page


def test_a_link_may_not_be_used_by_a_machine(ivan: User) -> None:
    link = ticket(ivan)
    assert not any(link_sign_in.too_many(link) for _ in range(link_sign_in.PER_LINK))
    assert link_sign_in.too_many(link)
    assert link_sign_in.too_many(ticket(ivan, message=2)) is False  # from the same network


def test_staff_sees_who_came_by_a_link_and_revokes(as_: As, ivan: User, maria: User) -> None:
    link_sign_in.enter(request(), ticket(ivan))
    client = as_(maria)
    page = client.get(f"/people/{ivan.pk}/").content.decode()
    assert "192.0.2.0/24" in page
    assert "a mailing that is deleted" in page
    address = f"/people/{ivan.pk}/revoke-links/"
    assert "Revoke the sign-in links of Ivan?" in client.get(address).content.decode()
    ivan.refresh_from_db()
    assert ivan.links_revoked_at is None
    assert client.post(address)["Location"] == f"/people/{ivan.pk}/"
    ivan.refresh_from_db()
    assert ivan.links_revoked_at is not None
    event = AuditEvent.objects.get()
    assert (event.by, event.what, event.target) == (maria, "links_revoked", f"user {ivan.pk}")


def test_nobody_revokes_the_links_of_those_above(as_: As, olga: User, maria: User) -> None:
    assert as_(maria).post(f"/people/{olga.pk}/revoke-links/").status_code == 403


def test_a_mailing_and_all_are_revoked_by_their_pages(
    as_: As, olga: User, mailing: Mailing
) -> None:
    client = as_(olga)
    for address in (f"/mailings/{mailing.pk}/revoke-links/", "/settings/sending/revoke-links/"):
        assert client.get(address).status_code == 200
        assert not AuditEvent.objects.exists()
        assert client.post(address).status_code == 302
        AuditEvent.objects.all().delete()
    mailing.refresh_from_db()
    assert mailing.sign_in_revoked_at is not None


def test_a_mailing_whose_links_do_not_sign_in_has_none_to_revoke(as_: As, maria: User) -> None:
    plain = Mailing.objects.create(name="Plain", state=Mailing.State.DONE)
    assert as_(maria).get(f"/mailings/{plain.pk}/revoke-links/").status_code == 404


def test_the_mark_says_how_a_session_began(ivan: User) -> None:
    asked = request()
    link_sign_in.enter(asked, ticket(ivan))
    assert link_sessions.is_by_link(asked)
