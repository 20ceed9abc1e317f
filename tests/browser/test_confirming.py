"""A student confirms their phone with the code that the simulator's phone shows."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from mailings.notifications.send import raise_event
from tests import factories
from tests.browser.test_story import sign_in
from users.models import ConsentEvent, User

pytestmark = pytest.mark.browser


def test_a_student_confirms_their_phone(open_page: Callable[..., Page], worker: None) -> None:
    factories.simulator()
    student, manager = factories.student(language="en"), factories.manager(language="en")
    page, phone = open_page("/sign-in/"), open_page("/sign-in/")
    sign_in(page, student)
    sign_in(phone, manager)

    page.get_by_role("button", name="Confirm the number").click()
    expect(page.get_by_text("The code is on its way")).to_be_visible()
    page.get_by_label("Code from the SMS").fill("12 34")
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_text("This is not the code")).to_be_visible()

    bubble = phone.locator(".bubble")
    for _ in range(40):  # a second until the worker looks, usually
        phone.goto(f"/simulator/?phone={student.phone.replace('+', '%2B')}")
        if bubble.count():
            break
        phone.wait_for_timeout(250)
    code = re.search(r"\d{6}", bubble.inner_text())
    assert code
    page.get_by_label("Code from the SMS").fill(code[0])
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_text("Thank you: the number is confirmed")).to_be_visible()
    expect(page.get_by_text("Confirm the number")).to_have_count(0)

    assert User.objects.get(pk=student.pk).phone_confirmed_at
    assert ConsentEvent.objects.get().kind == "confirmed"
    page.get_by_role("link", name="My messages").click()
    expect(page.get_by_text("••••••")).to_be_visible()


def test_a_manager_writes_a_notification_and_its_event_is_raised(
    open_page: Callable[..., Page], worker: None
) -> None:
    factories.simulator()
    vera, manager = factories.person("vera", phone="+79980000077"), factories.manager(language="en")
    page = open_page("/sign-in/")
    sign_in(page, manager)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Notifications").click()
    page.get_by_role("link", name="New notification").click()
    page.get_by_label("Name", exact=True).fill("Order paid")
    page.get_by_label("Event", exact=True).fill("order_paid")
    page.get_by_label("What the event brings").fill("number")
    page.get_by_label("Text", exact=True).fill("{first_name}, order {number} is paid")
    expect(page.locator("#meter .bubble")).to_contain_text("order number is paid")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Order paid")).to_contain_text("Off")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("heading", name="Order paid")).to_contain_text("On")

    raised = raise_event("order_paid", vera, key="15", values={"number": "15"})
    assert raised.message
    delivered = page.get_by_role("link", name=re.compile("Delivered"))
    expect(delivered).to_contain_text("1", timeout=30_000)
    delivered.click()
    page.get_by_role("link", name=re.compile("Message")).last.click()
    expect(page.locator(".bubble")).to_have_text("Vera, order 15 is paid")
