"""Texts kept to begin a mailing with."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from integrations.models import Account
from mailings.models import Mailing, SavedText
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, OwnField, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
LIST = "/mailings/texts/"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def account(db: None) -> Account:
    return factories.simulator()


@pytest.fixture
def saved() -> SavedText:
    return SavedText.objects.create(name="Reminder", text="At six, {first_name|friend}")


# --- their pages ------------------------------------------------------------------------------
def test_one_is_written_changed_and_deleted(as_: As, manager: User) -> None:
    client = as_(manager)
    assert "Write the first text" in client.get(LIST).content.decode()
    answer = client.post(f"{LIST}new/", {"name": "Reminder", "text": "At six"})
    assert answer["Location"] == LIST
    saved = SavedText.objects.get()
    assert (saved.name, saved.text, saved.created_by) == ("Reminder", "At six", manager)
    client.post(f"{LIST}{saved.pk}/", {"name": "Reminder", "text": "At seven"})
    page = client.get(LIST).content.decode()
    assert "At seven" in page
    assert "Delete the text “Reminder”?" in client.get(f"{LIST}{saved.pk}/delete/").content.decode()
    assert SavedText.objects.exists()
    client.post(f"{LIST}{saved.pk}/delete/")
    assert not SavedText.objects.exists()
    whats = AuditEvent.objects.filter(target=f"text {saved.pk}").order_by("id")
    assert [row.what for row in whats] == ["text_saved", "text_changed", "text_deleted"]
    assert not any("At s" in str(row.details) for row in whats)


def test_a_text_that_cannot_be_rendered_is_refused_with_its_place(as_: As, manager: User) -> None:
    bad = "Hello\r\nand {fist_name}, welcome"
    page = as_(manager).post(f"{LIST}new/", {"name": "Reminder", "text": bad})
    assert page.status_code == 200
    error = " ".join(page.context["form"].errors["text"])
    assert "Did you mean {first_name}?" in error
    assert "Line 2: “{fist_name}, welcome”" in error
    assert page.context["form"]["text"].value() == bad
    assert not SavedText.objects.exists()


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"name": "reminder "}, "", ""),
        ({"name": "Reminder"}, "name", "There is a text of this name."),
        ({"name": ""}, "name", "required"),
        ({"name": "x" * 121}, "name", "120"),
        ({"text": " \n "}, "text", "required"),
        ({"text": "a\0b"}, "text", "Null characters"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    as_: As, manager: User, saved: SavedText, typed: dict[str, str], field: str, words: str
) -> None:
    page = as_(manager).post(f"{LIST}new/", {"name": "Other", "text": "Hello", **typed})
    if not field:
        assert page.status_code == 302
        return
    assert words in " ".join(page.context["form"].errors[field])
    assert SavedText.objects.count() == 1


def test_the_text_of_a_draft_is_saved_from_its_page(as_: As, manager: User) -> None:
    draft = mailing_factories.draft(name="Lesson", text="At six")
    address = f"{LIST}new/?mailing={draft.pk}"
    assert address in as_(manager).get(f"/mailings/{draft.pk}/").content.decode()
    form = as_(manager).get(address).context["form"]
    assert (form["name"].value(), form["text"].value()) == ("Lesson", "At six")
    assert not SavedText.objects.exists()


@pytest.mark.parametrize("asked", ["", "x", "-1", "9" * 30, "%00"])
def test_nonsense_in_the_address_is_no_text(as_: As, manager: User, asked: str) -> None:
    form = as_(manager).get(f"{LIST}new/?mailing={asked}").context["form"]
    assert not form["text"].value()
    assert not as_(manager).get(f"/mailings/new/?saved={asked}").context["form"]["text"].value()


# --- in the composer --------------------------------------------------------------------------
def test_a_mailing_begins_with_one(as_: As, manager: User, saved: SavedText) -> None:
    assert f"/mailings/new/?saved={saved.pk}" in as_(manager).get(LIST).content.decode()
    page = as_(manager).get(f"/mailings/new/?saved={saved.pk}")
    assert page.context["form"]["text"].value() == saved.text
    assert page.context["preview"].body == "At six, Maria"


def test_the_address_of_a_draft_never_replaces_its_text(
    as_: As, manager: User, saved: SavedText
) -> None:
    draft = mailing_factories.draft(text="Mine")
    page = as_(manager).get(f"/mailings/{draft.pk}/edit/?saved={saved.pk}")
    assert page.context["form"]["text"].value() == "Mine"


@pytest.mark.parametrize(
    ("typed", "comes"),
    [
        ("", "At six, {first_name|friend}"),
        (" \n", "At six, {first_name|friend}"),
        ("Mine", "Mine\nAt six, {first_name|friend}"),
        ("{unfinished", "{unfinished\nAt six, {first_name|friend}"),
    ],
)
def test_choosing_one_loses_nothing_that_is_typed(
    as_: As, manager: User, saved: SavedText, typed: str, comes: str
) -> None:
    """Both ways: as the browser asks, and by a post of the whole form."""
    fix = {"text": typed, "fix": f"saved:{saved.pk}"}
    assert as_(manager).post("/mailings/fix/", fix).content.decode() == comes
    page = as_(manager).post("/mailings/new/", {**fix, "name": "Lesson", "recipients": "everyone"})
    assert page.context["form"]["text"].value() == comes
    assert page.context["form"]["name"].value() == "Lesson"
    assert not Mailing.objects.exists()


@pytest.mark.parametrize("which", ["", "x", "999", "9" * 30])
def test_a_text_that_is_gone_changes_nothing(
    as_: As, manager: User, saved: SavedText, which: str
) -> None:
    answer = as_(manager).post("/mailings/fix/", {"text": "Mine", "fix": f"saved:{which}"})
    assert answer.content.decode() == "Mine"


def test_the_first_button_of_the_form_is_the_one_that_saves(
    as_: As, manager: User, saved: SavedText
) -> None:
    """Enter in a field presses it: no saved text may come into the text by that."""
    page = as_(manager).get("/mailings/new/").content.decode()
    form = page[page.index('id="draft"') : page.index("</form>", page.index('id="draft"'))]
    buttons = [each for each in form.split("<button")[1:] if 'type="button"' not in each[:200]]
    assert 'name="fix"' not in buttons[0].partition(">")[0]
    assert "Save and look it over" in buttons[0]


# --- own fields -------------------------------------------------------------------------------
def test_a_field_that_a_saved_text_names_is_not_deleted(as_: As, manager: User) -> None:
    field = OwnField.objects.create(slug="course", label="Course")
    SavedText.objects.create(name="Reminder", text="Your {course|lesson}")
    SavedText.objects.create(name="Other", text="course, {first_name}")
    address = f"/people/fields/{field.pk}/delete/"

    assert "used by saved text “Reminder”." in as_(manager).get(address).content.decode()
    as_(manager).post(address)
    assert OwnField.objects.exists()

    SavedText.objects.filter(name="Reminder").delete()
    as_(manager).post(address)
    assert not OwnField.objects.exists()
