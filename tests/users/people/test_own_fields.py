"""Fields that a school adds: made, filled in for people, named in texts and rules, deleted."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from mailings.audience import personalization
from mailings.models import Mailing, Message
from mailings.sending import prepare
from tests import factories
from tests.mailings import mailing_factories
from users.models import OwnField, Segment, User
from users.people import own_fields
from users.segments import rules, segments

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
Kind = OwnField.Kind


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def made(slug: str, kind: str = Kind.TEXT, label: str = "") -> OwnField:
    return OwnField.objects.create(slug=slug, label=label or slug.capitalize(), kind=kind)


@pytest.mark.parametrize(
    ("label", "typed", "slug"),
    [
        ("День рождения", "", "den_rozhdeniya"),
        ("Курс", "course", "course"),
        ("2 курс", "", "kurs"),
    ],
)
def test_it_makes_a_field(as_: As, manager: User, label: str, typed: str, slug: str) -> None:
    answer = as_(manager).post("/people/fields/", {"label": label, "slug": typed, "kind": "text"})

    assert answer.status_code == 302
    assert OwnField.objects.get().slug == slug


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"label": "Course", "slug": "Course", "kind": "text"}, "small Latin letters"),
        ({"label": "Course", "slug": "a__b", "kind": "text"}, "small Latin letters"),
        ({"label": "日本", "slug": "", "kind": "text"}, "small Latin letters"),
        ({"label": "Phone", "slug": "", "kind": "text"}, "taken by smsmail"),
        ({"label": "Name", "slug": "name", "kind": "text"}, "taken by smsmail"),
        ({"label": "Class", "slug": "grade", "kind": "text"}, "with this name in texts"),
        ({"label": "GRADE", "slug": "other", "kind": "text"}, "a field of this name"),
        ({"label": "Course", "slug": "course", "kind": "colour"}, "not one of the available"),
    ],
)
def test_it_says_what_is_wrong_and_keeps_what_was_typed(
    as_: As, manager: User, data: dict[str, str], error: str
) -> None:
    made("grade")

    answer = as_(manager).post("/people/fields/", data)

    assert error in answer.content.decode()
    assert f'value="{data["label"]}"' in answer.content.decode()
    assert OwnField.objects.count() == 1


def test_it_is_filled_in_on_the_persons_form(as_: As, manager: User) -> None:
    made("course"), made("points", Kind.NUMBER), made("birthday", Kind.DATE)
    made("vip", Kind.YES_NO)
    petr = factories.person("petr", fields={"left": "over", "course": "old"})
    typed = {"own_course": "Python", "own_points": "12.0", "own_birthday": "2001-02-03"}

    answer = as_(manager).post(
        f"/people/{petr.pk}/edit/", {"email": petr.email, "own_vip": "no", **typed}
    )

    assert answer.status_code == 302
    petr.refresh_from_db()
    assert petr.fields == {
        "left": "over",
        "course": "Python",
        "points": 12,
        "birthday": "2001-02-03",
        "vip": False,
    }
    page = as_(manager).get(f"/people/{petr.pk}/").content.decode()
    assert "Python" in page
    assert "Feb. 3, 2001" in page
    form = as_(manager).get(f"/people/{petr.pk}/edit/").content.decode()
    assert 'value="2001-02-03"' in form


def test_a_number_that_is_none_is_refused_beside_the_field(as_: As, manager: User) -> None:
    made("points", Kind.NUMBER)
    petr = factories.person("petr")

    answer = as_(manager).post(
        f"/people/{petr.pk}/edit/", {"email": petr.email, "own_points": "many"}
    )

    assert "Enter a number." in answer.content.decode()
    assert 'value="many"' in answer.content.decode()


def test_what_is_emptied_is_gone_for_rules_too(as_: As, manager: User) -> None:
    made("course")
    petr = factories.person("petr", fields={"course": "Python"})
    rule = {"version": 1, "all": [{"field": "own:course", "op": "filled"}]}
    assert segments.count(rules.read(rule)) == 1

    as_(manager).post(f"/people/{petr.pk}/edit/", {"email": petr.email, "own_course": ""})

    assert segments.count(rules.read(rule)) == 0


def test_texts_name_it(owner: User) -> None:
    factories.simulator()
    made("course"), made("starts", Kind.DATE), made("points", Kind.NUMBER)
    fields = {"course": "Python", "starts": "2026-12-01", "points": 12.5}
    factories.person("petr", phone="+79980000005", city="Tver", fields=fields)
    factories.person("anna", phone="+79980000006")

    written = "{course|Your course}, {city|your town}: {starts|soon}{points}"
    mailing_factories.prepared(owner, text=written)

    texts = dict(Message.objects.exclude(text="").values_list("phone", "text"))
    assert texts == {
        "+79980000005": "Python, Tver: 01.12.202612.5",
        "+79980000006": "Your course, your town: soon",
    }


def test_a_field_deleted_after_the_launch_leaves_the_values_in_place(owner: User) -> None:
    """The mailing is not stopped by it: the launch has checked the text."""
    factories.simulator()
    field = made("course")
    factories.person("petr", phone="+79980000005", fields={"course": "Python"})
    mailing = mailing_factories.launched(owner, text="{course|Hi}!")
    field.delete()

    while prepare.prepare_some(mailing.id):
        pass

    assert Message.objects.get(phone="+79980000005").text == "Python!"


def test_it_is_not_deleted_while_something_uses_it(as_: As, manager: User) -> None:
    field = made("course")
    rule = {"version": 1, "all": [{"field": "own:course", "op": "filled"}]}
    segment = Segment.objects.create(name="Learners", rule=rule)
    draft = Mailing.objects.create(name="Sale", text="{ course | you}, hello")
    launched = Mailing.objects.create(name="News", text="Hi", rule=rule, state="watching")
    assert own_fields.uses(field) == ["Learners", "Sale", "News"]
    listed = as_(manager).get("/people/fields/").content.decode()
    assert "Learners, Sale, News" in listed

    asked = as_(manager).get(f"/people/fields/{field.pk}/delete/").content.decode()
    assert "used by Learners, Sale, News" in asked
    assert "<form" not in asked.partition("<main")[2].partition("</main>")[0]
    refused = as_(manager).post(f"/people/fields/{field.pk}/delete/", follow=True)
    assert "used by: Learners, Sale, News" in refused.content.decode()
    assert OwnField.objects.filter(pk=field.pk).exists()

    segment.delete()
    draft.delete()
    launched.delete()
    as_(manager).post(f"/people/fields/{field.pk}/delete/")
    assert not OwnField.objects.filter(pk=field.pk).exists()


def test_renaming_keeps_the_name_in_texts(as_: As, manager: User) -> None:
    field = made("course")

    as_(manager).post(
        f"/people/fields/{field.pk}/", {"label": "Class", "slug": "x", "kind": "date"}
    )

    field.refresh_from_db()
    assert (field.label, field.slug, field.kind) == ("Class", "course", Kind.TEXT)
    assert personalization.variables()["course"] == "Class"
