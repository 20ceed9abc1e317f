"""Signing in, and the pages about oneself."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import PASSWORD
from users.consent import consent
from users.models import ConsentEvent, OptOut, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.mark.parametrize("typed", ["ivan@example.com", " Ivan@Example.COM "])
def test_a_student_lands_on_their_own_page(client: Client, student: User, typed: str) -> None:
    answer = client.post("/sign-in/", {"username": typed, "password": PASSWORD})
    assert answer["Location"] == "/me/"


def test_staff_lands_on_the_dashboard_or_where_they_wanted_to_go(
    client: Client, manager: User
) -> None:
    sign_in = {"username": manager.email, "password": PASSWORD}
    assert client.post("/sign-in/", sign_in)["Location"] == "/"
    client.logout()
    assert client.post("/sign-in/?next=/people/", sign_in)["Location"] == "/people/"
    client.logout()
    assert client.post("/sign-in/?next=https://example.com/", sign_in)["Location"] == "/"


def test_it_lets_nobody_in_who_may_not_sign_in(client: Client, as_: As, student: User) -> None:
    signed_in = as_(student)
    User.objects.filter(pk=student.pk).update(is_active=False)
    assert signed_in.get("/me/").status_code == 302
    wrong = client.post("/sign-in/", {"username": student.email, "password": PASSWORD})
    assert wrong.status_code == 200


def test_it_locks_after_five_wrong_passwords(client: Client, student: User) -> None:
    for spelling in ("ivan", "Ivan", "IVAN", "iVan", "ivaN"):
        client.post("/sign-in/", {"username": f"{spelling}@example.com", "password": "wrong"})
    locked = client.post("/sign-in/", {"username": student.email, "password": PASSWORD})
    assert locked.status_code == 429


def test_it_signs_out_by_post_only(as_: As, student: User) -> None:
    client = as_(student)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/me/").status_code == 302


def test_it_lets_people_change_what_is_theirs_and_no_more(as_: As, student: User) -> None:
    User.objects.filter(pk=student.pk).update(phone_confirmed_at=timezone.now())
    client = as_(student)
    client.post(
        "/me/",
        {
            "first_name": "Vanya",
            "phone": "8 998 000 00 55",
            "language": "ru",
            "time_zone": "Asia/Omsk",
            "email": "other@example.com",
            "role": "owner",
        },
    )
    student.refresh_from_db()
    assert (student.first_name, student.phone, student.phone_confirmed_at) == (
        "Vanya",
        "+79980000055",
        None,
    )
    assert (student.language, student.time_zone) == ("ru", "Asia/Omsk")
    assert (student.email, student.role) == ("ivan@example.com", "student")
    assert client.get("/me/")["Content-Language"] == "ru"


def test_it_keeps_the_name_in_the_head_while_the_form_is_wrong(as_: As, student: User) -> None:
    page = as_(student).post("/me/", {"first_name": "Typed", "phone": "abc"})
    assert "<h1>Ivan</h1>" in page.content.decode()
    assert 'value="Typed"' in page.content.decode()


def test_it_says_that_sms_are_forbidden(as_: As, student: User, manager: User) -> None:
    client = as_(student)
    assert "mailings at this number" in client.get("/me/").content.decode()
    consent.forbid(student, manager)
    assert "SMS are forbidden: nothing will be sent" in client.get("/me/").content.decode()


def test_it_changes_the_password_and_stays_signed_in(as_: As, student: User) -> None:
    client = as_(student)
    new = "quite another made-up one"
    answer = client.post(
        "/me/password/",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )
    assert answer["Location"] == "/me/"
    assert client.get("/me/").status_code == 200
    student.refresh_from_db()
    assert student.check_password(new)


def test_a_person_switches_sms_off_and_on(as_: As, student: User) -> None:
    User.objects.filter(pk=student.pk).update(phone_confirmed_at=timezone.now())
    client = as_(student)
    client.post("/me/sms/", {"on": "no"})
    assert OptOut.objects.get().phone == student.phone
    assert "switched off, for everybody who has it" in client.get("/me/").content.decode()
    client.post("/me/sms/", {"on": "yes"})
    assert not OptOut.objects.exists()
    book = ConsentEvent.objects.order_by("id").values_list("kind", "by", "source")
    assert list(book) == [("opted_out", student.pk, "person"), ("opted_in", student.pk, "person")]


def test_nobody_switches_on_a_number_that_they_have_only_written_down(
    as_: As, student: User
) -> None:
    """Its owner said no; anybody can write any number into their profile."""
    consent.opt_out(student.phone, OptOut.Source.REPLY)
    client = as_(student)
    assert "Somebody else may have switched them off" in client.get("/me/").content.decode()
    client.post("/me/sms/", {"on": "yes"})
    assert OptOut.objects.exists()

    User.objects.filter(pk=student.pk).update(phone_confirmed_at=timezone.now())
    client.post("/me/sms/", {"on": "yes"})
    assert not OptOut.objects.exists()


def test_the_own_switch_does_not_lift_what_staff_has_forbidden(
    as_: As, student: User, manager: User
) -> None:
    consent.forbid(student, manager)
    client = as_(student)
    assert "/me/sms/" not in client.get("/me/").content.decode()
    client.post("/me/sms/", {"on": "yes"})
    student.refresh_from_db()
    assert student.sms_forbidden


@pytest.mark.parametrize("data", [{}, {"on": "\0"}, {"on": "no"}])
def test_the_switch_of_somebody_without_a_phone_switches_nothing(
    as_: As, employee: User, data: dict[str, str]
) -> None:
    assert as_(employee).post("/me/sms/", data)["Location"] == "/me/"
    assert not OptOut.objects.exists()
