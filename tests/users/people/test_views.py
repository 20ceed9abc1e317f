"""The list of people, a person's page and form, groups."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from users.consent import consent
from users.models import AuditEvent, ConsentEvent, Group, Membership, OptOut, User
from users.people import search
from users.rights import Right, Role

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def names(client: Client, address: str) -> list[str]:
    return [person.name for person in client.get(address).context["rows"]]


@pytest.mark.parametrize(
    "typed",
    ["Иванов", "иВАНОВ", "пётр иванов", "PETR@", "998 555", "8 (998) 555-44-33", "+79985554433"],
)
def test_it_finds_a_person_however_they_are_asked_for(as_: As, manager: User, typed: str) -> None:
    factories.person("petr", first_name="Пётр", last_name="Иванов", phone="+79985554433")
    factories.students(3)
    assert names(as_(manager), f"/people/?q={typed.replace('+', '%2B')}") == ["Пётр Иванов"]


@pytest.mark.parametrize(
    "address",
    ["?q=%00", "?group=", "?role=&only=", "?before="],
)
def test_it_takes_nothing_in_the_address_for_no_filter(
    as_: As, manager: User, address: str
) -> None:
    assert names(as_(manager), f"/people/{address}") == ["Maria"]


def test_it_narrows_the_list_by_links(
    as_: As, manager: User, student: User, employee: User
) -> None:
    group = Group.objects.create(name="Webinar")
    student.groups.add(group)
    User.objects.filter(pk=employee.pk).update(
        phone="+79980000009", phone_confirmed_at=timezone.now()
    )
    consent.forbid(employee, manager)
    client = as_(manager)
    assert names(client, f"/people/?group={group.id}") == ["Ivan"]
    assert names(client, "/people/?role=student") == ["Ivan"]
    assert names(client, "/people/?only=forbidden") == ["Egor"]
    assert names(client, "/people/?only=no-phone") == ["Maria"]
    assert names(client, "/people/?only=unconfirmed") == ["Ivan"]
    assert names(client, "/people/?only=forbidden&role=student") == []


def test_it_keeps_the_other_filters_in_each_link(as_: As, manager: User) -> None:
    page = as_(manager).get("/people/?q=iv&role=student").content.decode()
    assert 'href="?q=iv&amp;role=student&amp;only=forbidden"' in page


def test_it_walks_all_pages_and_shows_everybody_once(as_: As, manager: User) -> None:
    factories.students(120)
    client, address, seen = as_(manager), "/people/", []
    for shown in (50, 50, 21):
        context = client.get(address).context
        assert len(context["rows"]) == shown
        seen += [person.id for person in context["rows"]]
        address = f"/people/?before={context['older']}"
    assert context["older"] is None
    assert len(seen) == len(set(seen)) == 121
    assert seen == sorted(seen, reverse=True)


def test_its_queries_do_not_grow_with_the_people(
    as_: As, manager: User, django_assert_max_num_queries: Any
) -> None:
    client = as_(manager)
    factories.working()
    group = Group.objects.create(name="Webinar")
    for count, start in ((5, 0), (60, 100)):
        group.people.add(*factories.students(count, start=start))
        for address in ("/people/", "/people/groups/"):
            with django_assert_max_num_queries(8):
                client.get(address)


def test_it_says_what_to_do_when_nobody_is_found(as_: As, manager: User) -> None:
    page = as_(manager).get("/people/?q=nobody-like-this").content.decode()
    assert "Nobody like this" in page
    assert "Show everybody" in page


def test_it_forbids_sms_and_says_who_did_it(as_: As, manager: User, student: User) -> None:
    client = as_(manager)
    page = client.get(f"/people/{student.id}/").content.decode()
    assert "no mailing and no notification will reach this person" in page
    client.post(f"/people/{student.id}/forbid/")
    student.refresh_from_db()
    assert student.sms_forbidden
    page = client.get(f"/people/{student.id}/").content.decode()
    assert "Forbidden by Maria" in page
    assert AuditEvent.objects.get().what == "sms_forbidden"
    assert ConsentEvent.objects.get().by == manager
    client.post(f"/people/{student.id}/allow/")
    student.refresh_from_db()
    assert not student.sms_forbidden


def test_it_does_not_forbid_by_a_look(as_: As, manager: User, student: User) -> None:
    assert as_(manager).get(f"/people/{student.id}/forbid/").status_code == 405


def test_it_shows_that_a_number_has_opted_out(as_: As, manager: User, student: User) -> None:
    consent.opt_out(student.phone, OptOut.Source.REPLY)
    assert "The number has opted out" in as_(manager).get(f"/people/{student.id}/").content.decode()


def typed(**changes: Any) -> dict[str, Any]:
    return {
        "first_name": "Anna",
        "last_name": "Example",
        "email": "anna@example.com",
        "phone": "8 998 000-00-77",
        **changes,
    }


def test_it_writes_down_a_new_person(as_: As, manager: User) -> None:
    group = Group.objects.create(name="Webinar")
    answer = as_(manager).post(
        "/people/new/", typed(email="Anna@Example.com", groups=[group.id], role="owner")
    )
    anna = User.objects.get(email="anna@example.com")
    assert answer["Location"] == reverse("person", args=[anna.id])
    assert (anna.phone, anna.role) == ("+79980000077", Role.STUDENT)
    assert list(anna.groups.all()) == [group]
    assert not anna.has_usable_password()
    assert AuditEvent.objects.get().what == "person_added"


def test_it_complains_about_a_phone_beside_it_and_loses_nothing(as_: As, manager: User) -> None:
    page = as_(manager).post("/people/new/", typed(phone="8 998 000-00"))
    form = page.context["form"]
    assert form.errors["phone"] == ["Digits are missing."]
    text = page.content.decode()
    assert 'value="8 998 000-00"' in text
    assert 'value="anna@example.com"' in text
    assert 'id="id_phone_error"' in text
    assert not User.objects.filter(email="anna@example.com").exists()


def test_it_does_not_write_one_person_down_twice(as_: As, manager: User, student: User) -> None:
    page = as_(manager).post("/people/new/", typed(email="IVAN@example.com"))
    assert page.context["form"].errors["email"] == ["Another person has this e-mail."]


def test_it_takes_the_confirmation_of_a_phone_away_with_the_phone(
    as_: As, manager: User, student: User
) -> None:
    User.objects.filter(pk=student.pk).update(phone_confirmed_at=timezone.now())
    client = as_(manager)
    same = typed(email=student.email, phone="8 (998) 000-00-01")
    client.post(f"/people/{student.id}/edit/", same)
    student.refresh_from_db()
    assert student.phone_confirmed_at
    client.post(f"/people/{student.id}/edit/", {**same, "phone": "8 (998) 000-00-02"})
    student.refresh_from_db()
    assert student.phone == "+79980000002"
    assert student.phone_confirmed_at is None


def test_it_keeps_the_profiles_of_those_above_closed(as_: As, manager: User, owner: User) -> None:
    client = as_(manager)
    assert client.post(f"/people/{owner.id}/edit/", typed()).status_code == 403
    assert client.post(f"/people/{owner.id}/password/").status_code == 403
    owner.refresh_from_db()
    assert owner.email == "olga@example.com"


def test_it_ticks_rights_on_the_persons_page(as_: As, owner: User, administrator: User) -> None:
    client = as_(owner)
    page = client.get(f"/people/{administrator.id}/").content.decode()
    assert "Responsible for the account" in page
    client.post(f"/people/{administrator.id}/rights/", {"rights": [Right.ACCOUNT]})
    assert User.objects.get(pk=administrator.pk).may(Right.ACCOUNT)
    assert client.get("/people/").status_code == 200


def test_it_offers_no_rights_to_whoever_may_not_give_them(
    as_: As, manager: User, employee: User
) -> None:
    page = as_(manager).get(f"/people/{employee.id}/")
    assert page.context["role_form"] is None
    assert page.context["rights_form"] is None
    assert as_(manager).post(f"/people/{employee.id}/rights/", {"rights": []}).status_code == 403


def test_it_does_not_raise_an_administrator_by_a_forged_form(as_: As, administrator: User) -> None:
    client = as_(administrator)
    boris = factories.person("boris", role=Role.EMPLOYEE)
    assert (
        client.post(f"/people/{administrator.id}/rights/", {"rights": ["account"]}).status_code
        == 403
    )
    assert client.post(f"/people/{administrator.id}/role/", {"role": "owner"}).status_code == 403
    assert client.post(f"/people/{boris.id}/role/", {"role": "owner"}).status_code == 403
    assert User.objects.get(pk=boris.pk).role == Role.EMPLOYEE
    assert not User.objects.get(pk=administrator.pk).may(Right.ACCOUNT)


def test_it_shows_a_new_password_once(as_: As, owner: User, employee: User) -> None:
    client = as_(owner)
    page = client.post(f"/people/{employee.id}/password/")
    assert User.objects.get(pk=employee.pk).check_password(page.context["password"])
    assert page.context["password"] not in client.get(f"/people/{employee.id}/").content.decode()
    assert "no-store" in page["Cache-Control"]


def test_it_keeps_groups(as_: As, manager: User, student: User) -> None:
    client = as_(manager)
    client.post("/people/groups/new/", {"name": "  Webinar   in May "})
    group = Group.objects.get()
    assert group.name == "Webinar in May"
    again = client.post("/people/groups/new/", {"name": "WEBINAR in May"})
    assert again.context["form"].errors["name"] == ["There is a group of this name."]
    client.post(f"/people/groups/{group.id}/", {"name": "Webinar in June"})
    group.refresh_from_db()
    assert group.name == "Webinar in June"
    group.people.add(student)
    page = client.get(f"/people/groups/{group.id}/delete/").content.decode()
    assert "1 person is in it and stays" in page
    assert Group.objects.exists()
    client.post(f"/people/groups/{group.id}/delete/")
    assert not Group.objects.exists()
    assert User.objects.filter(pk=student.pk).exists()


def test_a_word_that_many_have_is_not_counted_to_its_end(
    as_: As, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_COUNTED", 3)
    students = factories.students(5)
    Membership.objects.create(user=students[0], group=Group.objects.create(name="Art"))
    client = as_(manager)
    assert "More than 3 people found" in client.get("/people/?q=student").text
    assert "1 person found" in client.get("/people/?q=student4").text
    assert "1 person found" in client.get(f"/people/?group={Group.objects.get().pk}").text
