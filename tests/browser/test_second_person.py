"""A large mailing from a saved text to its launch by two people, in two browsers; and a test as
another person gets it.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from mailings.models import Mailing, Message, SavedText
from tests import factories
from tests.mailings import mailing_factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def as_(open_page: Callable[..., Page]) -> Callable[[str, str], Page]:
    """A browser of their own, signed in, on this page."""
    factories.simulator(price=2)
    factories.students(5)
    factories.manager(language="en", phone="+79980000077")
    factories.owner(language="en")

    def sign_in(name: str, path: str) -> Page:
        page = open_page(f"/sign-in/?next={path}", locale="en")
        page.locator("[name=username]").fill(f"{name}@example.com")
        page.locator("[name=password]").fill(factories.PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator(".frame")).to_be_visible()
        return page

    return sign_in


def test_two_people_launch_what_began_with_a_saved_text(as_: Callable[[str, str], Page]) -> None:
    mailing_factories.policy(two_people_above=3)
    SavedText.objects.create(name="Reminder", text="At six, {first_name}")
    page = as_("maria", "/mailings/new/")
    page.locator("#id_name").fill("Lesson")
    page.get_by_label("Everyone").check()
    text = page.locator("#id_text")
    text.fill("Hello!")
    page.get_by_text("Begin with a saved text").click()
    page.get_by_role("button", name="Reminder").click()
    expect(text).to_have_value("Hello!\nAt six, {first_name}")
    page.get_by_role("button", name="Undo the replacement").click()
    expect(text).to_have_value("Hello!")
    page.get_by_role("button", name="Reminder").click()
    expect(text).to_have_value("Hello!\nAt six, {first_name}")
    page.locator("#id_name").press("Enter")  # saves, and puts no text in

    page.get_by_role("link", name="Launch…").click()
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("May confirm: Olga.")
    dialog.get_by_role("button", name="Ask for the launch").click()
    expect(page.locator("h1")).to_contain_text("Waiting for a second person")
    expect(page.get_by_role("link", name="Confirm and launch…")).to_have_count(0)
    assert Mailing.objects.get().text.replace("\r", "") == "Hello!\nAt six, {first_name}"

    second = as_("olga", "/")
    second.get_by_role("link", name="Lesson").first.click()
    second.get_by_role("link", name="Confirm and launch…").click()
    dialog = second.locator("#dialog")
    any_of_them = re.compile(r"^Hello!\s+At six, (Student\d|Maria)$")
    expect(dialog.locator(".sample .bubble")).to_have_text([any_of_them] * 3)
    dialog.get_by_role("button", name="Confirm and launch").click()
    expect(second.locator("main")).to_contain_text("Launched")
    assert Mailing.objects.get().state == Mailing.State.PREPARING


def test_a_test_goes_out_as_somebody_found_in_the_dialog(as_: Callable[[str, str], Page]) -> None:
    draft = Mailing.objects.create(name="Lesson", text="At six, {first_name}", everyone=True)
    page = as_("maria", f"/mailings/{draft.pk}/")
    page.get_by_role("link", name="Send a test").click()
    dialog = page.locator("#dialog")
    dialog.get_by_label("As another person would get it").fill("student3")
    page.keyboard.press("Enter")  # looks, and sends nothing
    choice = page.get_by_label("Student3")
    expect(choice).to_be_checked()
    assert not Message.objects.exists()
    page.get_by_role("button", name="Send the test").click()
    expect(page.locator(".bubble")).to_have_text("At six, Student3")
    assert Message.objects.get().phone == "+79980000077"
