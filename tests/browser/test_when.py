"""The clock of a mailing in a browser: the countdown that runs by itself, its one button, a time set
and what is kept by the service until then.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from mailings.models import Mailing
from tests import factories
from tests.mailings import mailing_factories

pytestmark = pytest.mark.browser

SECONDS = re.compile(r"(\d+) seconds? left")


@pytest.fixture
def page(worker: None, open_page: Callable[..., Page]) -> Page:
    """Maria's dashboard, five students, the simulator, and the clock's jobs running."""
    factories.simulator()
    factories.students(5, digits="77")
    factories.manager(language="en", time_zone="Europe/Berlin")
    page = open_page("/sign-in/")
    page.get_by_label("E-mail").fill("maria@example.com")
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    return page


def write(page: Page) -> None:
    page.goto("/mailings/new/")
    page.get_by_label("Name", exact=True).fill("Webinar")
    page.get_by_label("Text", exact=True).fill("The webinar is at 19:00.")
    page.get_by_label("Everyone").check()
    answered(page)


def answered(page: Page) -> None:
    """A question to the server that the next one replaces is an error to the console."""
    page.wait_for_timeout(400)
    page.wait_for_load_state("networkidle")


def launch(page: Page) -> None:
    page.get_by_role("button", name="Save and look it over").click()
    page.get_by_role("link", name="Launch").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch").click()


def left(page: Page) -> int:
    found = SECONDS.search(page.locator(".countdown").inner_text())
    assert found
    return int(found.group(1))


def test_the_countdown_runs_and_one_button_takes_everything_back(page: Page) -> None:
    mailing_factories.policy(countdown=90)
    write(page)
    launch(page)
    expect(page.get_by_role("heading", name="Can be taken back until")).to_be_visible()
    expect(page.get_by_text("Europe/Berlin, UTC+")).to_be_visible()
    before = left(page)
    page.wait_for_function(
        "n => parseInt(document.querySelector('.countdown').innerText) < n - 2", arg=before
    )
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("It is a draft again.")).to_be_visible()
    expect(page.get_by_role("link", name="Launch")).to_be_visible()
    mailing = Mailing.objects.get()
    assert mailing.state == Mailing.State.DRAFT
    assert not mailing.messages.exists()


def test_when_it_has_run_out_the_page_goes_on_by_itself(page: Page) -> None:
    mailing_factories.policy(countdown=4)
    write(page)
    launch(page)
    expect(page.locator(".countdown")).to_be_visible()
    expect(page.get_by_text("All messages have their final status.")).to_be_visible(timeout=40_000)
    expect(page.get_by_role("button", name="Take back")).to_be_hidden()


def test_a_time_set_shows_what_is_kept_and_is_taken_back_from_the_service(page: Page) -> None:
    mailing_factories.policy(countdown=0)
    write(page)
    at = (timezone.now() + timedelta(hours=2)).astimezone(ZoneInfo("Europe/Berlin"))
    expect(page.get_by_label("Date")).to_be_hidden()
    page.get_by_label("Schedule the sending time").check()
    answered(page)
    page.get_by_label("Date").fill(f"{at:%Y-%m-%d}")
    answered(page)
    page.get_by_label("Time", exact=True).fill(f"{at:%H:%M}")
    answered(page)
    page.get_by_label("Time", exact=True).blur()
    answered(page)
    expect(page.locator("#meter")).to_contain_text("Less than 3 hours are left")
    launch(page)
    kept = page.get_by_text("5 messages have been handed over and can no longer be stopped here")
    expect(kept).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Try to take back").click()
    page.get_by_role("dialog").get_by_role("button", name="Try to take back").click()
    expect(page.get_by_text("5 messages taken back from the service")).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="See whose").click()
    expect(page.get_by_role("row")).to_have_count(6)


def test_without_javascript_the_clock_is_read_by_loading_again(
    worker: None, open_page: Callable[..., Page]
) -> None:
    factories.simulator()
    factories.students(5, digits="77")
    factories.manager(language="en")
    mailing_factories.policy(countdown=60)
    page = open_page("/sign-in/", java_script_enabled=False)
    page.get_by_label("E-mail").fill("maria@example.com")
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    write(page)
    page.get_by_role("button", name="Save and look it over").click()
    page.get_by_role("link", name="Launch").click()
    page.get_by_role("button", name="Launch").click()
    before = left(page)
    page.wait_for_timeout(1500)
    page.reload()
    assert left(page) < before
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("It is a draft again.")).to_be_visible()
