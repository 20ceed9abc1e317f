"""A link of an SMS on a phone: a student is in their own account, a manager is asked for the password,
and the page of the mailing shows who clicked.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations.models import SimulatedSms
from mailings.models import Click, Link, Mailing, Message
from mailings.text import tokens
from tests import factories
from tests.browser.test_story import sign_in
from tests.mailings import mailing_factories
from tests.mailings.tracking.test_classify import PEOPLE, PREVIEWS
from users.models import LinkSignIn, User

pytestmark = pytest.mark.browser

PHONE: dict[str, Any] = {
    "user_agent": PEOPLE[0],
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
DESKTOP = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
WAIT = 30_000  # milliseconds; receipts take some seconds


@pytest.fixture
def manager(worker: None, settings: Any, live_server: LiveServer) -> User:
    """The manager, who gets SMS too, and a student."""
    settings.PUBLIC_URL = settings.SHORT_URL = live_server.url
    factories.simulator()
    factories.student(language="en")
    return factories.manager(language="en", phone="+79980000002")


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
    manager: User, open_page: Callable[..., Page], live_server: LiveServer
) -> None:
    page = open_page("/")
    launched(page, manager, live_server.url)
    story = page.url
    of_student = link_on_the_phone(page, "+79980000001")
    of_manager = link_on_the_phone(page, "+79980000002")
    assert SimulatedSms.objects.count() == 2

    phone = open_page("/sign-in/", **PHONE)
    phone.add_init_script(BY_HAND)
    phone.goto(of_student)
    expect(phone).to_have_url(re.compile(r"/me/messages/$"))
    expect(phone.get_by_role("heading", name="My messages")).to_be_visible()
    expect(phone.locator(".bubble")).to_contain_text("/r/***************")
    phone.goto("/me/")
    expect(phone.locator("main")).to_contain_text("+79980000001")

    other = open_page(of_manager, **PHONE)
    other.get_by_role("button", name="Open my page").tap()
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
    manager: User, open_page: Callable[..., Page], live_server: LiveServer
) -> None:
    page = open_page("/")
    launched(page, manager, live_server.url)
    phone = open_page(link_on_the_phone(page, "+79980000001"), java_script_enabled=False, **PHONE)
    assert not LinkSignIn.objects.exists()
    phone.get_by_role("button", name="Open my page").click()
    expect(phone).to_have_url(re.compile(r"/me/messages/$"))


def test_a_preview_is_let_in_nowhere_and_is_not_counted(
    manager: User, open_page: Callable[..., Page], live_server: LiveServer
) -> None:
    page = open_page("/")
    launched(page, manager, live_server.url)
    preview = open_page(link_on_the_phone(page, "+79980000001"), user_agent=PREVIEWS[0])
    expect(preview.get_by_role("button", name="Open my page")).to_be_visible()
    preview.goto("/me/")
    expect(preview).to_have_url(re.compile("/sign-in/"))
    assert not LinkSignIn.objects.exists()
    assert set(Click.objects.values_list("kind", flat=True)) == {"preview"}
    assert not Message.objects.filter(first_click_at__isnull=False).exists()


# --- texts-phones-links.md, F3: who is signed in by looking ------------------------------------------
@pytest.fixture
def link(transactional_db: None, settings: Any, live_server: LiveServer) -> str:
    """Of a student, in a message that has been delivered."""
    settings.PUBLIC_URL = settings.SHORT_URL = live_server.url
    home = f"{live_server.url}/me/messages/"
    mailing = Mailing.objects.create(name="Webinar", state=Mailing.State.DONE, links_sign_in=True)
    Link.objects.create(mailing=mailing, position=0, url=home)
    message = Message.objects.create(
        mailing=mailing,
        user=factories.student(language="en"),
        key="ivan",
        phone="+79980000001",
        submitted_at=timezone.now(),
        status="delivered",
    )
    return f"/r/{tokens.make(message.pk, 0, tokens.Purpose.SIGN_IN)}"


def session_of(page: Page) -> list[str]:
    return [one.get("name", "") for one in page.context.cookies() if one.get("name") == "sessionid"]


BY_HAND = """Object.defineProperty(Navigator.prototype, "webdriver", {get: () => false})"""


@pytest.mark.parametrize(
    ("options", "by_hand"),
    [
        ({"user_agent": DESKTOP}, True),  # a scanner on a computer that hides what it is
        ({"user_agent": PEOPLE[0]}, True),  # one that calls itself a phone and has no touch
        (PHONE, False),  # one that has everything but says that a program is at the wheel
    ],
    ids=["desktop", "phone-without-touch", "automation"],
)
def test_a_scanner_with_javascript_is_not_signed_in_by_looking(
    link: str, open_page: Callable[..., Page], options: dict[str, Any], by_hand: bool
) -> None:
    scanner = open_page("/sign-in/", **options)
    if by_hand:
        scanner.add_init_script(BY_HAND)
    scanner.goto(link)
    scanner.wait_for_timeout(5000)
    expect(scanner.get_by_role("button", name="Open my page")).to_be_visible()
    assert session_of(scanner) == []
    assert not LinkSignIn.objects.exists()
    assert scanner.url.endswith("/in/")
    scanner.get_by_role("button", name="Open my page").click()
    expect(scanner).to_have_url(re.compile(r"/me/messages/$"))
    scanner.go_back()
    expect(scanner).to_have_url(re.compile(r"/me/|/sign-in/"))
    assert session_of(scanner)


def test_on_a_phone_in_a_hand_it_goes_by_itself(link: str, open_page: Callable[..., Page]) -> None:
    phone = open_page("/sign-in/", **PHONE)
    phone.add_init_script(BY_HAND)
    phone.goto(link)
    expect(phone).to_have_url(re.compile(r"/me/messages/$"))
    assert "ticket" not in phone.evaluate("performance.getEntries().map(e => e.name).join()")
    assert LinkSignIn.objects.get().outcome == "signed_in"


def test_not_while_nobody_looks(link: str, open_page: Callable[..., Page]) -> None:
    """A tab in the background, a page that is drawn beforehand."""
    phone = open_page("/sign-in/", **PHONE)
    phone.add_init_script(BY_HAND)
    hidden = """Object.defineProperty(document, "visibilityState", {get: () => window.looked ?? "hidden"})"""
    phone.add_init_script(hidden)
    phone.goto(link)
    phone.wait_for_timeout(2500)
    assert not LinkSignIn.objects.exists()
    phone.evaluate(
        "window.looked = 'visible'; document.dispatchEvent(new Event('visibilitychange'))"
    )
    expect(phone).to_have_url(re.compile(r"/me/messages/$"))


def test_not_where_the_owner_wants_a_tap(link: str, open_page: Callable[..., Page]) -> None:
    mailing_factories.policy(one_tap=True)
    phone = open_page("/sign-in/", **PHONE)
    phone.add_init_script(BY_HAND)
    phone.goto(link)
    phone.wait_for_timeout(2500)
    assert not LinkSignIn.objects.exists()
    phone.get_by_role("button", name="Open my page").tap()
    expect(phone).to_have_url(re.compile(r"/me/messages/$"))
