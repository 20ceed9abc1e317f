"""Composing: shown as whom, replacements at one click, a draft that saves itself, two at one draft."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from integrations.models import Account
from mailings.composing import drafts
from mailings.models import Mailing
from tests import factories
from users.models import AuditEvent, Group, OwnField, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def account() -> Account:
    return factories.simulator(price=Decimal(2))


def typed(**fields: Any) -> dict[str, Any]:
    return {"name": "Lesson", "text": "At six", "recipients": "everyone", **fields}


# --- shown as whom ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("look", "name"),
    [
        ({}, "Ann"),
        ({"look_q": "maximil"}, "Maximiliane"),
        ({"look_q": "+79980000002"}, "Bo"),
        ({"look": "longest"}, "Maximiliane"),
        ({"look": "shortest"}, "Bo"),
        ({"look": "nonsense", "look_q": "\0"}, "Ann"),
    ],
)
def test_it_is_shown_as_a_real_person_gets_it(
    as_: As, manager: User, account: Account, look: dict[str, str], name: str
) -> None:
    for number, first in enumerate(["Ann", "Bo", "Maximiliane"], start=1):
        factories.person(first.lower(), first_name=first, phone=f"+7998000000{number}")

    page = as_(manager).post("/mailings/meter/", typed(text="Dear {first_name}", **look))

    assert page.context["preview"].body == f"Dear {name}"


def test_nobody_found_is_said(as_: As, manager: User, account: Account) -> None:
    factories.person("ann", phone="+79980000001")
    page = as_(manager).post("/mailings/meter/", typed(look_q="zzz")).content.decode()
    assert "Nobody like that gets it." in page


def test_parts_and_money_are_those_of_the_real_texts(
    as_: As, manager: User, account: Account
) -> None:
    """One long name makes one message of two parts: not all, and not none."""
    factories.students(3)
    factories.person("max", first_name="M" * 40, phone="+79980900000")
    body = "x" * 130 + "{first_name}"

    preview = as_(manager).post("/mailings/meter/", typed(text=body)).context["preview"]

    assert (preview.measure.parts, preview.parts.total, preview.parts.exact) == (1, 5, True)
    assert preview.longest.measure.parts == 2
    assert preview.price == 10


def test_it_says_what_fewer_characters_would_save(as_: As, manager: User, account: Account) -> None:
    factories.students(3)
    preview = as_(manager).post("/mailings/meter/", typed(text="x" * 163)).context["preview"]
    assert (preview.shorter.characters, preview.shorter.parts, preview.shorter.saved) == (3, 1, 6)


def test_it_says_what_plain_signs_and_latin_letters_would_save(
    as_: As, manager: User, account: Account
) -> None:
    factories.students(3)
    dear = "x" * 100 + "«»"
    preview = as_(manager).post("/mailings/meter/", typed(text=dear)).context["preview"]
    assert (preview.plain.parts, preview.plain.saved, preview.latin) == (1, 6, None)

    preview = as_(manager).post("/mailings/meter/", typed(text="я" * 75)).context["preview"]
    assert (preview.latin.parts, preview.latin.saved, preview.plain) == (1, 6, None)


# --- replacements ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "text", "changed"),
    [
        ("signs", "«a» — b", '"a" - b'),
        ("sign:—", "«a» — b", "«a» - b"),
        ("latin", "Да, {first_name}", "Da, {first_name}"),
        ("links", "school.ru/a", "https://school.ru/a"),
        ("nonsense", "«a»", "«a»"),
        ("sign:", "«a»", "«a»"),
    ],
)
def test_a_click_changes_the_text_and_saves_nothing(
    as_: As, manager: User, account: Account, how: str, text: str, changed: str
) -> None:
    answer = as_(manager).post("/mailings/fix/", {"text": text, "fix": how})
    assert answer.content.decode() == changed

    page = as_(manager).post("/mailings/new/", typed(text=text, fix=how, name=""))
    assert page.context["form"]["text"].value() == changed
    assert not Mailing.objects.exists()


def test_variables_are_offered_with_own_fields(as_: As, manager: User, account: Account) -> None:
    OwnField.objects.create(slug="course", label="Course")
    page = as_(manager).get("/mailings/new/").content.decode()
    assert "{course}" in page
    assert "{city}" in page


# --- a draft that saves itself ----------------------------------------------------------------------
def test_a_draft_saves_itself_half_filled_in(as_: As, manager: User, account: Account) -> None:
    group = Group.objects.create(name="Learners")
    half = {"name": "", "text": "Hi {first_na", "recipients": "groups", "groups": [group.pk]}

    said = as_(manager).post("/mailings/autosave/", half).json()

    draft = Mailing.objects.get()
    assert (draft.name, draft.text, draft.created_by) == ("Untitled", "Hi {first_na", manager)
    assert list(draft.groups.all()) == [group]
    assert said["saved"] is True
    assert said["address"] == f"/mailings/{draft.pk}/edit/"

    more = half | {"text": "Hi {first_name}", "recipients": "everyone", "version": said["version"]}
    assert as_(manager).post(said["autosave"], more).json()["saved"]
    draft.refresh_from_db()
    assert (draft.text, draft.everyone, draft.groups.count()) == ("Hi {first_name}", True, 0)
    assert AuditEvent.objects.filter(target=f"mailing {draft.pk}").count() == 1


def test_nonsense_is_saved_as_far_as_it_makes_sense(
    as_: As, manager: User, account: Account
) -> None:
    said = as_(manager).post(
        "/mailings/autosave/", {"text": "a\0b", "groups": ["x"], "segment": "9"}
    )
    assert said.json()["saved"]
    assert Mailing.objects.get().text == "ab"


def test_what_is_launched_is_not_saved(as_: As, manager: User, account: Account) -> None:
    draft = Mailing.objects.create(name="Lesson", text="A", everyone=True)
    factories.students(1)
    as_(manager).post(f"/mailings/{draft.pk}/launch/")

    said = as_(manager).post(f"/mailings/{draft.pk}/autosave/", typed(text="B")).json()

    assert said["saved"] is False
    assert "launched" in said["words"]
    draft.refresh_from_db()
    assert draft.text == "A"


def test_of_two_at_one_draft_neither_loses_their_words(
    as_: As, manager: User, owner: User, account: Account
) -> None:
    draft = Mailing.objects.create(name="Lesson", text="A", everyone=True)
    edit, version = f"/mailings/{draft.pk}/edit/", drafts.version_of(draft)
    as_(owner).post(edit, typed(text="By Olga", version=version))

    by_itself = as_(manager).post(
        f"/mailings/{draft.pk}/autosave/", typed(text="By Maria", version=version)
    )
    by_hand = as_(manager).post(edit, typed(text="By Maria", version=version))

    assert by_itself.json()["saved"] is False
    assert "Olga has changed this draft meanwhile" in by_hand.content.decode()
    assert "By Olga" in by_hand.content.decode()
    assert "data-conflict" in by_hand.content.decode()  # the page must not save it by itself
    assert by_hand.context["form"]["text"].value() == "By Maria"
    draft.refresh_from_db()
    assert draft.text == "By Olga"
    # Said, and meant: the second time it replaces.
    as_(manager).post(edit, typed(text="By Maria", version=by_hand.context["version"]))
    draft.refresh_from_db()
    assert draft.text == "By Maria"


def test_a_service_disconnected_meanwhile_takes_no_word_away(
    as_: As, manager: User, account: Account
) -> None:
    account.delete()

    page = as_(manager).post("/mailings/new/", typed(name="", text="Hello"))
    said = as_(manager).post("/mailings/autosave/", typed(text="Hello")).json()

    assert page.context["form"]["text"].value() == "Hello"
    assert said["saved"]
    assert Mailing.objects.get().text == "Hello"
    assert "text" not in as_(manager).get("/mailings/new/").context["form"].fields


def test_ones_own_second_window_is_called_so(as_: As, manager: User, account: Account) -> None:
    draft = Mailing.objects.create(name="Lesson", text="A", everyone=True)
    edit, version = f"/mailings/{draft.pk}/edit/", drafts.version_of(draft)
    as_(manager).post(edit, typed(text="First window", version=version))

    page = as_(manager).post(edit, typed(text="Second window", version=version))

    assert "You have changed this draft in another window" in page.content.decode()


def test_of_a_deleted_draft_the_words_are_left(
    as_: As, manager: User, owner: User, account: Account
) -> None:
    draft = Mailing.objects.create(name="Lesson", text="A", everyone=True)
    edit, version = f"/mailings/{draft.pk}/edit/", drafts.version_of(draft)
    as_(owner).post(f"/mailings/{draft.pk}/delete/")

    mine = typed(text="By Maria", version=version)
    said = as_(manager).post(f"/mailings/{draft.pk}/autosave/", mine).json()
    page = as_(manager).post(edit, mine)

    assert not said["saved"]
    assert "deleted meanwhile" in said["words"]
    assert "deleted meanwhile" in page.content.decode()
    assert page.context["form"]["text"].value() == "By Maria"
    assert 'action="/mailings/new/"' in page.content.decode()
    assert as_(manager).get(edit).status_code == 404
    as_(manager).post("/mailings/new/", mine | {"version": ""})
    assert Mailing.objects.get().text == "By Maria"


def test_an_unknown_name_is_refused_with_its_place_while_one_types(
    as_: As, manager: User, account: Account
) -> None:
    def meter(text: str) -> str:
        return as_(manager).post("/mailings/meter/", typed(text=text)).content.decode()

    wrong = meter("Hi\r\nDear {fist_name}!")
    assert "Did you mean {first_name}?" in wrong
    assert "Line 2: “{fist_name}!”" in wrong
    assert "There is no variable" not in meter("Dear {fi")  # not finished yet
    # Braces of a name are not sent: nothing there counts twice.
    assert '<mark class="double">' not in wrong


def test_marks_stand_for_the_field_too(as_: As, manager: User, account: Account) -> None:
    page = as_(manager).post("/mailings/meter/", typed(text="«Hi»\r\n{name}")).content.decode()
    marks = page.partition('id="marks-now" hidden>')[2].partition("</div>")[0]
    assert marks == '<mark class="unicode">«</mark>Hi<mark class="unicode">»</mark>\n{name}'


def test_signs_that_count_twice_are_replaced_too(as_: As, manager: User, account: Account) -> None:
    factories.students(2)
    preview = (
        as_(manager).post("/mailings/meter/", typed(text="[" + "x" * 158 + "]")).context["preview"]
    )
    assert preview.measure.parts == 2
    assert [(sign.sign, sign.equal) for sign in preview.signs] == [("[", "("), ("]", ")")]
    assert (preview.plain.parts, preview.plain.saved) == (1, 4)


def test_a_mistake_in_the_form_does_not_make_one_forget_the_others(
    as_: As, manager: User, owner: User, account: Account
) -> None:
    """The version stays that of the page as it was opened."""
    draft = Mailing.objects.create(name="Lesson", text="A", everyone=True)
    edit, version = f"/mailings/{draft.pk}/edit/", drafts.version_of(draft)
    as_(owner).post(edit, typed(text="By Olga", version=version))

    page = as_(manager).post(edit, typed(text="{", version=version))

    assert page.context["version"] == version
    assert 'data-wrong-at="0"' in page.content.decode()
