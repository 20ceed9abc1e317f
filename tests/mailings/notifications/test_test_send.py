"""A test to oneself or as a named person gets it; and whose ban counts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from integrations.models import Account
from mailings.models import Mailing, Message
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, OptOut, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
MINE, THEIRS = "+79980000077", "+79980000001"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def account(db: None) -> Account:
    return factories.simulator()


@pytest.fixture
def draft() -> Mailing:
    return mailing_factories.draft()


@pytest.fixture
def manager() -> User:
    return factories.manager(phone=MINE)


def asked(client: Client, draft: Mailing, **typed: Any) -> Any:
    return client.post(f"/mailings/{draft.pk}/test/", typed, follow=True)


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def sent() -> tuple[str, str, User | None]:
    message = Message.objects.get()
    return message.phone, message.text, message.user


def test_without_another_word_it_is_about_oneself(as_: As, manager: User, draft: Mailing) -> None:
    page = as_(manager).get(f"/mailings/{draft.pk}/test/")
    assert page.context["form"]["phone"].value() == MINE
    asked(as_(manager), draft, phone=MINE)
    assert sent() == (MINE, "Webinar at six, Maria", manager)


@pytest.mark.parametrize("q", ["ivan", "IVAN@", "8 998 000-00-01"])
def test_people_are_found_and_nothing_is_sent_yet(
    as_: As, manager: User, student: User, draft: Mailing, q: str
) -> None:
    page = asked(as_(manager), draft, q=q, find="yes", phone="8 998")
    assert page.context["form"].found == [student]
    form = page.context["form"]
    assert (form["q"].value(), form["phone"].value(), form["person"].value()) == (
        q,
        "8 998",
        str(student.pk),
    )
    assert not form.errors
    assert f"{student.name} · {student.email} · {THEIRS}" in text_of(page)
    assert not Message.objects.exists()


def test_their_values_to_ones_own_phone(
    as_: As, manager: User, student: User, draft: Mailing
) -> None:
    page = asked(as_(manager), draft, q="ivan", person=student.pk, to="number", phone=MINE)
    assert sent() == (MINE, "Webinar at six, Ivan", manager)
    assert "Test message" in text_of(page)
    assert AuditEvent.objects.get(what="test_sent").details == {"person": student.pk}


def test_their_values_to_their_phone(as_: As, manager: User, student: User, draft: Mailing) -> None:
    asked(as_(manager), draft, q="ivan", person=student.pk, to="them", phone="nonsense")
    assert sent() == (THEIRS, "Webinar at six, Ivan", student)


@pytest.mark.parametrize("to", [{"to": "them"}, {"to": "number", "phone": "8 998 000-00-01"}])
@pytest.mark.parametrize("ban", ["forbidden", "opted_out"])
def test_their_ban_holds_for_their_phone_however_it_is_named(
    as_: As, manager: User, student: User, draft: Mailing, to: dict[str, str], ban: str
) -> None:
    if ban == "forbidden":
        User.objects.filter(pk=student.pk).update(sms_forbidden=True)
    else:
        OptOut.objects.create(phone=THEIRS, source=OptOut.Source.PERSON)
    page = asked(as_(manager), draft, q="ivan", person=student.pk, **to)
    assert "gets no SMS" in text_of(page)
    assert not Message.objects.exists()


def test_their_ban_does_not_keep_their_text_from_ones_own_phone(
    as_: As, manager: User, student: User, draft: Mailing
) -> None:
    User.objects.filter(pk=student.pk).update(sms_forbidden=True)
    asked(as_(manager), draft, q="ivan", person=student.pk, to="number", phone=MINE)
    assert sent() == (MINE, "Webinar at six, Ivan", manager)


def test_a_name_that_is_only_typed_chooses_nobody(
    as_: As, manager: User, student: User, draft: Mailing
) -> None:
    """Neither oneself nor the first who is found: an SMS costs money and reaches somebody."""
    page = asked(as_(manager), draft, q="ivan", phone=MINE)
    assert "Choose whose name and values stand in the text." in text_of(page)
    assert page.context["form"]["phone"].value() == MINE
    assert not Message.objects.exists()


def test_of_several_none_is_chosen_beforehand(as_: As, manager: User, draft: Mailing) -> None:
    factories.students(7)
    page = asked(as_(manager), draft, q="student", find="yes", phone=MINE)
    assert len(page.context["form"].found) == 5
    assert not page.context["form"]["person"].value()


def test_who_is_not_among_those_found_is_not_taken(
    as_: As, manager: User, student: User, draft: Mailing
) -> None:
    other = factories.person("petr", phone="+79980000002")
    page = asked(as_(manager), draft, q="ivan", person=other.pk, to="them")
    assert "Choose among those who are found now." in text_of(page)
    assert not Message.objects.exists()


def test_oneself_is_among_them(as_: As, manager: User, draft: Mailing) -> None:
    page = asked(as_(manager), draft, q="zzz", find="yes")
    assert "Nobody is found." in text_of(page)
    assert "Maria (you)" in text_of(page)
    asked(as_(manager), draft, q="zzz", person=manager.pk, to="them")
    assert sent() == (MINE, "Webinar at six, Maria", manager)


def test_a_person_without_a_phone(as_: As, manager: User, owner: User, draft: Mailing) -> None:
    page = asked(as_(manager), draft, q="olga", person=owner.pk, to="them")
    assert "Olga has no phone." in text_of(page)
    asked(as_(manager), draft, q="olga", person=owner.pk, to="number", phone=MINE)
    assert sent() == (MINE, "Webinar at six, Olga", manager)


@pytest.mark.parametrize(
    ("phone", "words"), [("", "Which number should it go to?"), ("8 998", "Digits are missing.")]
)
def test_a_number_is_needed_and_must_be_one(
    as_: As, manager: User, student: User, draft: Mailing, phone: str, words: str
) -> None:
    page = asked(as_(manager), draft, q="ivan", person=student.pk, to="number", phone=phone)
    assert words in text_of(page)
    assert page.context["form"]["person"].value() == str(student.pk)


def test_who_may_not_see_people_finds_nobody(
    as_: As, manager: User, student: User, draft: Mailing
) -> None:
    manager.rights = ["see_mailings", "send_mailings"]
    manager.save()
    page = asked(as_(manager), draft, q="ivan", find="yes", phone=MINE)
    assert "Ivan" not in text_of(page)
    asked(as_(manager), draft, q="ivan", person=student.pk, to="them", phone=MINE)
    assert sent() == (MINE, "Webinar at six, Maria", manager)


@pytest.mark.parametrize(
    "typed",
    [
        {"q": "\0", "find": "yes"},
        {"q": "x" * 5000, "find": "yes"},
        {"q": "ivan", "person": "9" * 30, "to": "nonsense", "phone": "\0"},
    ],
)
def test_nonsense_is_refused_quietly(
    as_: As, manager: User, draft: Mailing, typed: dict[str, str]
) -> None:
    assert asked(as_(manager), draft, **typed).status_code == 200
    assert not Message.objects.exists()
