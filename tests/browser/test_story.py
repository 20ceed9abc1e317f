"""The story of the product through its real pages: from signing in to the reasons of errors."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from mailings.models import Counters, Mailing, Message
from tests import factories
from users.models import User

pytestmark = pytest.mark.browser

RECEIPTS = 30_000  # milliseconds; the simulator takes up to six seconds for each
FATES = {"77": 40, "01": 3, "02": 2}  # last digits -> people: delivered, no such number, no reach


@pytest.fixture
def school(worker: None) -> User:
    """A manager, students of three fates and one without a phone, and the simulator."""
    for start, (digits, count) in enumerate(FATES.items()):
        factories.students(count, start=start * 100, digits=digits)
    factories.simulator()
    return factories.manager(language="en")


def sign_in(page: Page, user: User) -> None:
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def write(page: Page) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Mailings").click()
    page.get_by_role("link", name="New mailing").first.click()
    page.get_by_label("Name", exact=True).fill("Webinar")
    page.get_by_label("Text", exact=True).fill("{first_name|Friend}, the webinar is at 19:00.")
    page.get_by_label("Everyone").check()


def launch(page: Page) -> None:
    page.get_by_role("link", name="Launch").click()
    expect(page.get_by_role("heading", name="Send to 45 people?")).to_be_visible()
    page.get_by_role("button", name="Launch").click()
    expect(page).to_have_url(re.compile(r"/mailings/\d+/$"))


def assert_the_books_agree() -> None:
    mailing = Mailing.objects.get()
    counters = Counters.objects.get(mailing=mailing)

    assert mailing.state == Mailing.State.DONE
    assert (counters.delivered, counters.undelivered, counters.skipped) == (40, 5, 1)
    assert counters.total == Message.objects.filter(mailing=mailing).count()


def test_a_manager_writes_launches_watches_and_learns_why(
    school: User, open_page: Callable[..., Page]
) -> None:
    page = open_page("/")
    expect(page).to_have_url(re.compile("/sign-in/"))
    sign_in(page, school)
    write(page)
    meter = page.locator("#meter")
    expect(meter).to_contain_text("the webinar is at 19:00.")
    expect(meter.locator(".bubble")).not_to_contain_text("{first_name")
    expect(meter).to_contain_text("45")
    page.get_by_role("button", name="Save and look it over").click()
    launch(page)

    # From here on the page moves by itself.
    expect(page.get_by_text("All messages have their final status.")).to_be_visible(
        timeout=RECEIPTS
    )
    figures = page.get_by_role("navigation", name="Statistics")
    expect(figures.get_by_role("link", name="Delivered")).to_contain_text("40")
    errors = figures.get_by_role("link", name="Error")
    expect(errors).to_contain_text("5")
    assert_the_books_agree()

    errors.click()
    expect(page.get_by_role("row")).to_have_count(6)  # with the head of the table
    page.go_back()
    page.get_by_role("link", name="What to do").first.click()
    reasons = page.get_by_role("region", name="Why it did not arrive")
    expect(reasons.get_by_role("listitem")).to_have_count(2)
    expect(reasons.get_by_role("listitem").first).to_contain_text("3")
    reasons.get_by_role("link").first.click()
    expect(page.get_by_role("row")).to_have_count(4)


def test_it_works_without_javascript(school: User, open_page: Callable[..., Page]) -> None:
    page = open_page("/", java_script_enabled=False)
    sign_in(page, school)
    write(page)
    page.get_by_role("button", name="Save and look it over").click()
    launch(page)

    done = page.get_by_text("All messages have their final status.")
    for _ in range(60):
        if done.is_visible():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(done).to_be_visible()
    assert_the_books_agree()


def test_the_question_can_be_answered_with_no(school: User, open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    sign_in(page, school)
    write(page)
    page.get_by_role("button", name="Save and look it over").click()

    page.get_by_role("link", name="Launch").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Launch").click()
    dialog.get_by_role("link", name="Back").click()
    expect(dialog).to_be_hidden()

    assert Mailing.objects.get().state == Mailing.State.DRAFT
