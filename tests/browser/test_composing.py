"""Writing a mailing in a browser: variables by the keyboard, marks and replacements, the draft that
saves itself, and what was typed before a session ended.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from mailings.models import Mailing
from tests import factories
from tests.browser.conftest import NARROW
from tests.browser.test_every_page import problems
from users.models import OwnField

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The form of a new mailing, open for Maria."""
    factories.simulator(price=2)
    factories.students(3)
    factories.manager(language="en")
    OwnField.objects.create(slug="course", label="Course")
    page = open_page("/sign-in/?next=/mailings/new/", locale="en")
    sign_in(page)
    expect(page.locator("#id_text")).to_be_visible()
    return page


def sign_in(page: Page) -> None:
    page.locator("[name=username]").fill("maria@example.com")
    page.locator("[name=password]").fill(factories.PASSWORD)
    page.keyboard.press("Enter")


def test_a_mailing_is_written_by_the_keyboard_alone(page: Page) -> None:
    def walk_to(element: Locator) -> None:
        for _ in range(40):
            if element.evaluate("e => e === document.activeElement"):
                return
            page.keyboard.press("Tab")
        pytest.fail("Tab does not lead there")

    text = page.locator("#id_text")
    walk_to(page.locator("#id_name"))
    page.keyboard.type("Lesson")
    walk_to(text)
    page.keyboard.type("Dear {fi")
    expect(page.locator("#completion [role=option]:visible")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(text).to_have_attribute("aria-activedescendant", "variable-1")
    page.keyboard.press("Enter")
    expect(text).to_have_value("Dear {first_name}")
    page.keyboard.type(", your {{cou")
    page.keyboard.press("Tab")
    page.keyboard.type(" {la")
    page.keyboard.press("Escape")
    expect(page.locator("#completion")).to_be_hidden()
    expect(text).to_have_value("Dear {first_name}, your {course} {la")
    page.keyboard.press("Control+Z")  # the browser's own undo still works
    expect(text).not_to_have_value("Dear {first_name}, your {course} {la")
    page.keyboard.press("Control+A")
    page.keyboard.type("Dear {first_name}, it’s time")

    walk_to(page.locator("[name=recipients]").first)
    page.keyboard.press("Space")
    expect(page.locator("#meter .bubble")).to_have_text("Dear Student0, it’s time")
    walk_to(page.get_by_label("to a person"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("the longest")).to_be_focused()
    expect(page.get_by_role("searchbox")).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    walk_to(page.get_by_role("searchbox"))
    page.keyboard.type("student2")
    expect(page.locator("#meter .bubble")).to_have_text("Dear Student2, it’s time")
    expect(page.get_by_role("searchbox")).to_be_focused()

    walk_to(page.get_by_role("button", name="’ → '"))
    page.keyboard.press("Enter")
    expect(text).to_have_value("Dear {first_name}, it's time")
    expect(page.get_by_role("button", name="Undo the replacement")).to_be_focused()
    page.keyboard.press("Enter")
    expect(text).to_have_value("Dear {first_name}, it’s time")
    text.focus()
    walk_to(page.get_by_role("button", name="Save and look it over"))
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(re.compile("Lesson"))
    assert Mailing.objects.get().text == "Dear {first_name}, it’s time"


def test_what_was_typed_before_the_scripts_came_is_measured_too(page: Page) -> None:
    """As on a slow line: the fields are there, the scripts are still under way."""
    slow: list[Route] = []
    page.route("**/htmx*.js", lambda route: slow.append(route))
    page.goto("/mailings/new/", wait_until="commit")
    page.locator("#id_text").fill("Dear {first_name}, it is time")
    page.get_by_label("Everyone").check()
    expect(page.locator("#meter .bubble")).not_to_contain_text("Dear")
    for each in slow:
        each.continue_()
    expect(page.locator("#meter .bubble")).to_contain_text("Dear Student0, it is time")
    expect(page.locator("#saved")).to_contain_text("Saved")


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
    page.get_by_label("Everyone").check()
    page.locator("#id_name").fill("Lesson")
    page.locator("#id_text").fill("«Привет» 👍 school.ru €")
    expect(page.locator("#meter .bubble mark.double")).to_have_count(1)
    # The same marks stand in the field, exactly behind its text.
    expect(page.locator("#marks mark")).to_have_text("👍")
    behind, field = page.locator("#marks").bounding_box(), page.locator("#id_text").bounding_box()
    assert behind == field

    page.get_by_role("button", name="Add https://").click()
    expect(page.locator("#id_text")).to_have_value("«Привет» 👍 https://school.ru €")
    page.locator("#id_text").press_sequentially(" {fi")
    expect(page.locator("#completion")).to_be_visible()
    assert problems(page) == []
    page.locator("#id_text").press("Control+End")  # looking at it took the focus away
    page.locator("#id_text").press_sequentially("r")
    page.locator("#completion [role=option]:visible").first.click()
    expect(page.locator("#id_text")).to_have_value("«Привет» 👍 https://school.ru € {first_name}")
    page.set_viewport_size(NARROW)
    small = """[...document.querySelectorAll("main button, main a.button, main input:not([type=hidden]), main textarea")]
        .filter((e) => e.checkVisibility() && !["radio", "checkbox"].includes(e.type))
        .filter((e) => e.getBoundingClientRect().height < 40).map((e) => e.outerHTML)"""
    assert page.evaluate(small) == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    page.get_by_role("button", name="Save and look it over").click()
    expect(page.locator(".bubble")).to_have_text(re.compile("Student0"))


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
    sign_in(page)

    expect(page.locator("#id_text")).to_have_value("Hello")
    expect(page.locator("#id_name")).to_have_value("Lesson")
    expect(page.locator("#saved")).to_have_text(re.compile("is back|Saved as a draft"))


def test_one_goes_on_after_signing_in_in_another_tab(page: Page) -> None:
    """That makes the secrets of this tab's forms worthless; the page gets new ones by itself."""
    page.context.clear_cookies(name="sessionid")
    page.locator("#id_text").press_sequentially("Hello")
    expect(page.locator("#saved")).to_have_text(re.compile("signed out"), timeout=10_000)
    other = page.context.new_page()
    other.goto("/sign-in/")
    sign_in(other)
    expect(other.locator(".frame")).to_be_visible()

    page.bring_to_front()
    page.locator("#id_text").press_sequentially(" all")
    expect(page.locator("#saved")).to_have_text(re.compile("Saved as a draft"), timeout=10_000)
    expect(page.locator("#meter .bubble")).to_have_text("Hello all")
    assert Mailing.objects.get().text == "Hello all"


def test_a_second_tab_does_not_overwrite_the_first(page: Page) -> None:
    draft = Mailing.objects.create(name="Lesson", text="A", everyone=True)
    edit = f"/mailings/{draft.pk}/edit/"
    other = page.context.new_page()
    page.goto(edit)
    other.goto(edit)
    page.locator("#id_text").fill("First")
    expect(page.locator("#saved")).to_have_text(re.compile("Saved as a draft"), timeout=10_000)

    other.bring_to_front()
    other.locator("#id_text").fill("Second")
    said = other.locator("#saved")
    expect(said).to_have_text(re.compile("in another window"), timeout=10_000)
    other.get_by_role("button", name="Save and look it over").click()
    expect(other.locator(".conflict .bubble")).to_have_text("First")
    expect(other.locator("#id_text")).to_have_value("Second")
    assert problems(other) == []
    # Nothing is replaced by a page that saves itself: only by whoever has read what there is.
    other.locator("#id_text").press("Control+End")
    other.locator("#id_text").press_sequentially("!")
    other.wait_for_timeout(4000)
    draft.refresh_from_db()
    assert draft.text == "First"
    other.get_by_role("button", name="Save and look it over").click()
    expect(other.locator("h1")).to_have_text(re.compile("Lesson"))
    draft.refresh_from_db()
    assert draft.text == "Second!"


def test_what_is_stored_can_be_taken_instead(page: Page) -> None:
    draft = Mailing.objects.create(name="Lesson", text="A", everyone=True)
    page.goto(f"/mailings/{draft.pk}/edit/")
    Mailing.objects.filter(pk=draft.pk).update(text="Theirs")
    page.locator("#id_text").fill("Mine")
    page.get_by_role("button", name="Save and look it over").click()
    page.get_by_role("link", name="Drop what I wrote").click()
    expect(page.locator("#id_text")).to_have_value("Theirs")


def test_without_a_script_it_is_written_all_the_same(open_page: Callable[..., Page]) -> None:
    factories.simulator(price=2)
    factories.students(3)
    factories.manager(language="en")
    page = open_page("/sign-in/?next=/mailings/new/", locale="en", java_script_enabled=False)
    sign_in(page)
    page.locator("#id_text").fill("«Sale» {fist_name} school.ru")
    page.get_by_label("Everyone").check()
    page.get_by_role("button", name="Save and look it over").click()
    expect(page.locator(".field-error").first).to_be_visible()
    expect(page.locator("#id_text")).to_have_value("«Sale» {fist_name} school.ru")
    page.locator("#id_text").fill("«Sale» {first_name} school.ru")
    page.locator("#id_name").fill("Lesson")
    page.get_by_role("button", name="Save and look it over").click()
    page.get_by_role("link", name="Change").first.click()
    page.get_by_role("button", name="Add https://").click()
    page.get_by_role("button", name="Replace all signs").click()
    expect(page.locator("#id_text")).to_have_value('"Sale" {first_name} https://school.ru')
    page.get_by_role("button", name="Save and look it over").click()
    assert Mailing.objects.get().text == '"Sale" {first_name} https://school.ru'


def test_a_link_that_cannot_work_is_red_and_mended_at_one_click(page: Page) -> None:
    page.locator("#id_text").fill("Go: https://shcool,ru/a or https://school.ry 👇")
    become = page.get_by_role("region", name="Where the links lead")
    expect(become).to_contain_text("There is a comma where a dot belongs.")
    expect(become).to_contain_text("No site ends in .ry.")
    become.get_by_role("button", name="→ https://shcool.ru/a").click()
    expect(page.locator("#id_text")).to_have_value(
        "Go: https://shcool.ru/a or https://school.ry 👇"
    )
    expect(become).to_contain_text("leads to shcool.ru")
    page.get_by_role("button", name="Undo the replacement").click()
    expect(page.locator("#id_text")).to_have_value(
        "Go: https://shcool,ru/a or https://school.ry 👇"
    )
    page.set_viewport_size(NARROW)
    assert problems(page) == []
