"""A link of an SMS on a phone: a student is in their own account, a manager is asked for the password,
and the page of the mailing shows who clicked.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations.models import SimulatedSms
from mailings.models import Click, Message
from tests import people
from tests.browser.test_story import sign_in
from tests.mailings.test_hits import PEOPLE, PREVIEWS
from users.models import LinkSignIn, User

pytestmark = pytest.mark.browser

PHONE: dict[str, Any] = {"user_agent": PEOPLE[0], "viewport": {"width": 390, "height": 844}}
WAIT = 30_000  # milliseconds; receipts take some seconds


@pytest.fixture
def maria(worker: None, settings: Any, live_server: LiveServer) -> User:
    """The manager, who gets SMS too, and a student."""
    settings.PUBLIC_URL = settings.SHORT_URL = live_server.url
    people.simulator()
    people.ivan(language="en")
    return people.maria(language="en", phone="+79980000002")


def launched(page: Page, manager: User, home: str) -> None:
    sign_in(page, manager)
    page.goto("/mailings/new/")
    page.get_by_label("Name", exact=True).fill("Webinar")
    page.get_by_label("Text", exact=True).fill(
        f"Your page: {home}/me/messages/. Site: https://school.ru"
    )
    page.get_by_label("Wrap links to count clicks").check()
    page.get_by_label("Wrap links to sign in").check()
    page.get_by_label("Everyone").check()
    become = page.get_by_role("region", name="What becomes of the links")
    expect(become).to_contain_text("signs students in")
    expect(become).to_contain_text("it signs nobody in")
    page.get_by_role("button", name="Save and look it over").click()
    page.get_by_role("link", name="Launch").click()
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_text("All messages have their final status.")).to_be_visible(timeout=WAIT)


def link_on_the_phone(page: Page, phone: str) -> str:
    """As the phone on the manager's screen shows it."""
    page.goto(f"/simulator/?phone=%2B{phone.removeprefix('+')}")
    link = page.get_by_role("region", name=f"Messages to {phone}").get_by_role("link").first
    address = link.get_attribute("href")
    assert address
    return address


def test_a_student_is_let_in_and_a_manager_is_asked_for_the_password(
    maria: User, open_page: Callable[..., Page], live_server: LiveServer
) -> None:
    page = open_page("/")
    launched(page, maria, live_server.url)
    story = page.url
    of_student = link_on_the_phone(page, "+79980000001")
    of_manager = link_on_the_phone(page, "+79980000002")
    assert SimulatedSms.objects.count() == 2

    phone = open_page(of_student, **PHONE)
    expect(phone).to_have_url(re.compile(r"/me/messages/$"))
    expect(phone.get_by_role("heading", name="My messages")).to_be_visible()
    expect(phone.locator(".bubble")).to_contain_text("/r/***************")
    phone.goto("/me/")
    expect(phone.locator("main")).to_contain_text("+79980000001")

    other = open_page(of_manager, **PHONE)
    expect(other).to_have_url(re.compile(r"/sign-in/\?next=%2Fme%2Fmessages%2F$"))
    expect(other.get_by_label("Password")).to_be_visible()
    assert set(LinkSignIn.objects.values_list("user__first_name", "outcome")) == {
        ("Ivan", "signed_in"),
        ("Maria", "staff"),
    }

    page.goto(story)
    clicks = page.get_by_role("region", name="Clicks on links")
    people_link = clicks.get_by_role("link", name="People who clicked")
    expect(people_link).to_contain_text("2", timeout=WAIT)  # by itself
    people_link.click()
    expect(page.get_by_role("row")).to_have_count(3)


def test_without_javascript_it_takes_one_tap(
    maria: User, open_page: Callable[..., Page], live_server: LiveServer
) -> None:
    page = open_page("/")
    launched(page, maria, live_server.url)
    phone = open_page(link_on_the_phone(page, "+79980000001"), java_script_enabled=False, **PHONE)
    assert not LinkSignIn.objects.exists()
    phone.get_by_role("button", name="Open my page").click()
    expect(phone).to_have_url(re.compile(r"/me/messages/$"))


def test_a_preview_is_let_in_nowhere_and_is_not_counted(
    maria: User, open_page: Callable[..., Page], live_server: LiveServer
) -> None:
    page = open_page("/")
    launched(page, maria, live_server.url)
    preview = open_page(link_on_the_phone(page, "+79980000001"), user_agent=PREVIEWS[0])
    expect(preview.get_by_role("heading", name="A personal link")).to_be_visible()
    preview.goto("/me/")
    expect(preview).to_have_url(re.compile("/sign-in/"))
    assert not LinkSignIn.objects.exists()
    assert set(Click.objects.values_list("kind", flat=True)) == {"preview"}
    assert not Message.objects.filter(first_click_at__isnull=False).exists()
