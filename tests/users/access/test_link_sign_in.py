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
from tests.factories import PASSWORD
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
        "submitted_at": timezone.now() - timedelta(days=400),  # permanent
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
    client: Client, student: User
) -> None:
    for _ in range(3):
        assert entered(client, ticket(student)).get("/me/").status_code == 200
    log = LinkSignIn.objects.filter(user=student)
    assert {(one.outcome, one.source, one.network) for one in log} == {
        ("signed_in", "mailing 5", "192.0.2.0/24")
    }
    assert log.count() == 3


def test_each_session_has_a_key_of_its_own(student: User) -> None:
    """Also for somebody who planted theirs, or was signed in already."""
    asked = request()
    asked.session["planted"] = "yes"
    asked.session.save()
    planted = asked.session.session_key
    link_sign_in.enter(asked, ticket(student))
    assert asked.session.session_key != planted
    assert "planted" not in asked.session


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMINISTRATOR, Role.EMPLOYEE])
def test_it_never_lets_staff_in(student: User, role: Role) -> None:
    """As the role is now, whatever it was when the SMS went."""
    User.objects.filter(pk=student.pk).update(role=role)
    asked = request()
    assert link_sign_in.enter(asked, ticket(student)) == Outcome.STAFF
    assert SESSION_KEY not in asked.session
    assert LinkSignIn.objects.get().outcome == Outcome.STAFF


def test_it_lets_in_nobody_who_may_not_sign_in_or_is_gone(student: User) -> None:
    User.objects.filter(pk=student.pk).update(is_active=False)
    asked = request()
    assert link_sign_in.enter(asked, ticket(student)) == Outcome.BLOCKED
    assert LinkSignIn.objects.get().outcome == Outcome.BLOCKED
    of = ticket(student)
    student.delete()
    assert link_sign_in.enter(asked, of) == Outcome.BLOCKED
    assert link_sign_in.enter(asked, ticket(None)) == Outcome.BLOCKED
    assert SESSION_KEY not in asked.session


def of_person(mailing: Mailing, student: User, owner: User) -> None:
    User.objects.filter(pk=student.pk).update(links_revoked_at=timezone.now())


def of_mailing(mailing: Mailing, student: User, owner: User) -> None:
    revocation.revoke_mailing(mailing, owner)


def of_all(mailing: Mailing, student: User, owner: User) -> None:
    revocation.revoke_all(owner)


REVOKE = pytest.mark.parametrize("revoke", [of_person, of_mailing, of_all])


@REVOKE
def test_a_revoked_link_no_longer_signs_in_and_later_ones_do(
    client: Client, student: User, owner: User, mailing: Mailing, revoke: Callable[..., None]
) -> None:
    before = ticket(student, mailing, submitted_at=timezone.now())
    revoke(mailing, student, owner)
    assert link_sign_in.enter(request(), before) == Outcome.REVOKED
    assert (
        link_sign_in.enter(request(), ticket(student, mailing, submitted_at=None))
        == Outcome.REVOKED
    )
    later = ticket(student, mailing, submitted_at=timezone.now())
    assert link_sign_in.enter(request(), later) == Outcome.SIGNED_IN


@REVOKE
def test_a_revocation_ends_the_sessions_that_began_with_the_link(
    client: Client, student: User, owner: User, mailing: Mailing, revoke: Callable[..., None]
) -> None:
    browser = entered(client, ticket(student, mailing, submitted_at=timezone.now()))
    assert browser.get("/me/").status_code == 200
    revoke(mailing, student, owner)
    assert browser.get("/me/").status_code == 302


def test_a_revocation_of_another_mailing_ends_nothing(
    client: Client, student: User, owner: User, mailing: Mailing
) -> None:
    browser = entered(client, ticket(student, mailing))
    revocation.revoke_mailing(Mailing.objects.create(name="Another"), owner)
    assert browser.get("/me/").status_code == 200


@pytest.mark.parametrize("source", ["", "mailing", "mailing x", "mailing ٣", "other 5", "5"])
def test_a_link_of_no_mailing_is_revoked(source: str) -> None:
    assert revocation.is_revoked(source, timezone.now())


def test_a_session_by_link_never_becomes_one_of_staff(client: Client, student: User) -> None:
    browser = entered(client, ticket(student))
    User.objects.filter(pk=student.pk).update(role=Role.ADMINISTRATOR)
    assert browser.get("/people/").status_code == 302
    User.objects.filter(pk=student.pk).update(role=Role.STUDENT)
    assert browser.get("/me/").status_code == 302  # it has ended, not only slept


def test_a_session_by_password_stays_when_links_are_revoked_or_the_role_rises(
    as_: As, student: User, owner: User
) -> None:
    browser = as_(student)
    revocation.revoke_all(owner)
    User.objects.filter(pk=student.pk).update(links_revoked_at=timezone.now(), role=Role.EMPLOYEE)
    assert browser.get("/me/").status_code == 200


def test_whoever_came_by_a_link_gives_the_password_before_what_matters(
    client: Client, student: User
) -> None:
    browser = entered(client, ticket(student))
    browser.post("/me/", {"first_name": "Vanya", "phone": "+79980000055"})
    student.refresh_from_db()
    assert (student.first_name, student.phone) == ("Vanya", "+79980000001")

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
    student.refresh_from_db()
    assert student.phone == "+79980000055"


def test_wrong_passwords_of_whoever_came_by_a_link_are_counted(
    client: Client, student: User
) -> None:
    browser = entered(client, ticket(student))
    for _ in range(5):
        last = browser.post("/me/prove/", {"password": "wrong"})
    assert last.status_code == 429


@pytest.mark.parametrize("next_", ["https://example.com/", "//example.com/", "javascript:x", ""])
def test_after_the_password_it_goes_nowhere_else(client: Client, student: User, next_: str) -> None:
    browser = entered(client, ticket(student))
    answer = browser.post(f"/me/prove/?next={next_}", {"password": PASSWORD})
    assert answer["Location"] == "/me/"


def test_somebody_without_a_password_is_told_so(client: Client, student: User) -> None:
    User.objects.filter(pk=student.pk).update(password="!")
    browser = entered(client, ticket(student))
    assert "You have no password yet" in browser.get("/me/").content.decode()
    page = browser.post("/me/prove/", {"password": ""}).content.decode()
    assert "You have no password yet" in page
    assert 'name="password"' not in page


def test_a_link_may_not_be_used_by_a_machine(student: User) -> None:
    link = ticket(student)
    assert not any(link_sign_in.too_many(link) for _ in range(link_sign_in.PER_LINK))
    assert link_sign_in.too_many(link)
    assert link_sign_in.too_many(ticket(student, message=2)) is False  # from the same network


def test_staff_sees_who_came_by_a_link_and_revokes(as_: As, student: User, manager: User) -> None:
    link_sign_in.enter(request(), ticket(student))
    client = as_(manager)
    page = client.get(f"/people/{student.pk}/").content.decode()
    assert "192.0.2.0/24" in page
    assert "a mailing that is deleted" in page
    address = f"/people/{student.pk}/revoke-links/"
    assert "Revoke the sign-in links of Ivan?" in client.get(address).content.decode()
    student.refresh_from_db()
    assert student.links_revoked_at is None
    assert client.post(address)["Location"] == f"/people/{student.pk}/"
    student.refresh_from_db()
    assert student.links_revoked_at is not None
    event = AuditEvent.objects.get()
    assert (event.by, event.what, event.target) == (manager, "links_revoked", f"user {student.pk}")


def test_nobody_revokes_the_links_of_those_above(as_: As, owner: User, manager: User) -> None:
    assert as_(manager).post(f"/people/{owner.pk}/revoke-links/").status_code == 403


def test_a_mailing_and_all_are_revoked_by_their_pages(
    as_: As, owner: User, mailing: Mailing
) -> None:
    client = as_(owner)
    for address in (f"/mailings/{mailing.pk}/revoke-links/", "/settings/sending/revoke-links/"):
        assert client.get(address).status_code == 200
        assert not AuditEvent.objects.exists()
        assert client.post(address).status_code == 302
        AuditEvent.objects.all().delete()
    mailing.refresh_from_db()
    assert mailing.sign_in_revoked_at is not None


def test_a_mailing_whose_links_do_not_sign_in_has_none_to_revoke(as_: As, manager: User) -> None:
    plain = Mailing.objects.create(name="Plain", state=Mailing.State.DONE)
    assert as_(manager).get(f"/mailings/{plain.pk}/revoke-links/").status_code == 404


def test_the_mark_says_how_a_session_began(student: User) -> None:
    asked = request()
    link_sign_in.enter(asked, ticket(student))
    assert link_sessions.is_by_link(asked)
