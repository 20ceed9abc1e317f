"""Writing a mailing in a browser: variables by the keyboard, marks and replacements, the draft that
saves itself, and what was typed before a session ended.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Page, expect

from mailings.models import Mailing
from tests import people
from tests.browser.conftest import NARROW
from users.models import OwnField

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The form of a new mailing, open for Maria."""
    people.simulator(price=2)
    people.students(3)
    people.maria(language="en")
    OwnField.objects.create(slug="course", label="Course")
    page = open_page("/sign-in/?next=/mailings/new/", locale="en")
    page.locator("[name=username]").fill("maria@example.com")
    page.locator("[name=password]").fill(people.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#id_text")).to_be_visible()
    return page


def test_a_text_is_written_by_the_keyboard_alone(page: Page) -> None:
    text = page.locator("#id_text")
    text.focus()
    page.keyboard.type("Dear {fi")
    expect(page.locator("#completion [role=option]:visible")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(text).to_have_value("Dear {first_name}")
    page.keyboard.type(", your {cou")
    page.keyboard.press("Tab")
    page.keyboard.type(" {la")
    page.keyboard.press("Escape")
    expect(page.locator("#completion")).to_be_hidden()
    expect(text).to_have_value("Dear {first_name}, your {course} {la")
    for _ in range(4):
        page.keyboard.press("Backspace")

    page.get_by_label("Everyone").check()
    expect(page.locator("#meter .bubble")).to_have_text(re.compile("Dear Student0, your"))
    page.get_by_label("The longest").check()
    expect(page.get_by_label("The longest")).to_be_checked()


def test_dear_signs_are_marked_and_replaced_and_links_repaired(page: Page) -> None:
    text = page.locator("#id_text")
    page.get_by_label("Everyone").check()
    text.fill("«Sale» — see school.ru/sale")
    expect(page.locator("#meter .bubble mark.unicode")).to_have_text(["«", "»", "—"])

    page.get_by_role("button", name="— → -").click()
    expect(text).to_have_value("«Sale» - see school.ru/sale")
    page.get_by_role("button", name="Replace all signs").click()
    expect(text).to_have_value('"Sale" - see school.ru/sale')
    expect(page.locator("#meter .bubble mark")).to_have_count(0)
    page.get_by_role("button", name="Add https://").click()
    expect(text).to_have_value('"Sale" - see https://school.ru/sale')
    page.get_by_role("button", name="Undo the replacement").click()
    expect(text).to_have_value('"Sale" - see school.ru/sale')

    text.fill("я" * 80)
    page.get_by_role("button", name="Transliterate").click()
    expect(text).to_have_value("ya" * 80)


def test_it_works_on_a_phone(page: Page) -> None:
    page.set_viewport_size(NARROW)
    page.locator("#id_text").fill("«Привет» 👍 {first_name} €")
    page.locator("#id_text").press_sequentially(" {")
    expect(page.locator("#completion")).to_be_visible()
    expect(page.locator("#meter .bubble mark.double")).to_have_count(1)
    out = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert out <= 0


def test_a_draft_saves_itself_and_leaving_too_early_warns(page: Page) -> None:
    warned: list[str] = []

    def stay(dialog: Dialog) -> None:
        warned.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.locator("#id_text").press_sequentially("Hello")
    page.evaluate("location.href = '/mailings/'")
    expect(page.locator("#saved")).to_have_text(re.compile("Saved as a draft at"), timeout=10_000)
    assert warned == ["beforeunload"]
    draft = Mailing.objects.get()
    assert draft.text == "Hello"
    expect(page).to_have_url(re.compile(f"/mailings/{draft.pk}/edit/"))

    # Saved: it goes without a word; and what is stored comes back.
    page.goto("/mailings/")
    page.goto(f"/mailings/{draft.pk}/edit/")
    expect(page.locator("#id_text")).to_have_value("Hello")
    page.locator("#id_name").fill("Lesson")
    page.get_by_label("Everyone").check()
    page.get_by_role("button", name="Save and look it over").click()
    expect(page.locator("h1")).to_have_text(re.compile("Lesson"))


def test_an_ended_session_loses_no_word(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")
    page.locator("#id_name").fill("Lesson")
    page.locator("#id_text").press_sequentially("Hello")
    expect(page.locator("#saved")).to_have_text(re.compile("signed out"), timeout=10_000)
    expect(page.locator("#id_text")).to_have_value("Hello")

    page.get_by_role("button", name="Save and look it over").click()
    page.locator("[name=username]").fill("maria@example.com")
    page.locator("[name=password]").fill(people.PASSWORD)
    page.keyboard.press("Enter")

    expect(page.locator("#id_text")).to_have_value("Hello")
    expect(page.locator("#id_name")).to_have_value("Lesson")
    expect(page.locator("#saved")).to_have_text(re.compile("is back|Saved as a draft"))
