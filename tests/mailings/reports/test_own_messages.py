"""What a person sees of what was sent to them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mailings.models import Mailing, Message
from mailings.text.sealed import sealed
from tests import factories
from users.consent.confirmation import code_of
from users.models import User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
Kind, Status = Mailing.Kind, Message.Status


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def sent(to: User, text: str, *, kind: Mailing.Kind = Kind.MAILING, **fields: Any) -> Message:
    mailing = Mailing.objects.create(name="Webinar", kind=kind, state=Mailing.State.SENDING)
    fields = {
        "status": Status.DELIVERED,
        "phone": to.phone,
        "submitted_at": timezone.now(),
    } | fields
    return Message.objects.create(mailing=mailing, key=str(to.pk), user=to, text=text, **fields)


def test_it_shows_what_has_gone_to_them_the_newest_first(as_: As, student: User) -> None:
    sent(student, "The first lesson")
    sent(student, "The second lesson", status=Status.UNDELIVERED)
    page = as_(student).get("/me/messages/").content.decode()
    assert page.index("The second lesson") < page.index("The first lesson")
    assert "Not delivered" in page


def test_it_shows_nothing_of_others_and_nothing_that_has_not_gone(as_: As, student: User) -> None:
    sister = factories.person("vera", phone=student.phone)
    sent(sister, "To the sister, at the same phone")
    sent(student, "To another phone", phone="+79980000099")
    sent(student, "Left out", status=Status.SKIPPED)
    sent(student, "Still waiting", status=Status.WAITING)
    assert "Nothing has been sent to you yet" in as_(student).get("/me/messages/").content.decode()


def test_it_shows_notifications_but_never_a_code(as_: As, student: User) -> None:
    """A number one does not hold would be confirmed by reading the code here."""
    nonce = "0123456789abcdef"
    sent(student, f"Your code is {sealed(nonce)}", kind=Kind.NOTIFICATION)
    page = as_(student).get("/me/messages/").content.decode()
    assert "Your code is ••••••" in page
    assert code_of(nonce) not in page
    assert nonce not in page


def test_it_shows_no_tests(as_: As, student: User) -> None:
    sent(student, "A try", kind=Kind.TEST)
    assert "A try" not in as_(student).get("/me/messages/").content.decode()


@pytest.mark.parametrize(
    ("before", "status"),
    [("", 200), ("0", 200), *((each, 404) for each in ("x", "-1", "9" * 30, "\0"))],
)
def test_it_bears_any_address(as_: As, student: User, before: str, status: int) -> None:
    assert as_(student).get("/me/messages/", {"before": before}).status_code == status
