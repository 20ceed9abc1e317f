"""The editor of rules in a browser: a nested rule by mouse and keyboard, counted while one types, saved
and used in a mailing; and the same without a script.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from mailings.models import Mailing
from tests import factories
from tests.browser.conftest import NARROW
from users.models import Group, Membership, OwnField, Segment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
READY = "#rule:not(.htmx-added)"  # the rows have come, and htmx listens to them
RULE = {
    "version": 1,
    "all": [
        {"field": "city", "op": "is", "value": "Kazan"},
        {
            "not": {
                "any": [
                    {"field": "own:course", "op": "is", "value": "Python"},
                    {"field": "phone", "op": "absent", "value": None},
                ]
            }
        },
    ],
}


def people_of_kazan() -> None:
    """Five of Kazan; two of them are left by RULE."""
    factories.simulator(price=2)
    factories.manager(language="en")
    OwnField.objects.create(slug="course", label="Course")
    factories.students(2, city="Kazan")
    factories.students(2, start=2, city="Kazan", fields={"course": "Python"})
    factories.students(3, start=4, city="Tver")
    factories.person("nobody", city="Kazan")


def new_segment(open_page: Callable[..., Page], **options: object) -> Page:
    page = open_page("/sign-in/?next=/segments/new/", locale="en", **options)
    page.locator("[name=username]").fill("maria@example.com")
    page.locator("[name=password]").fill(factories.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name")).to_be_visible()
    return page


def walk_to(page: Page, element: Locator) -> None:
    for _ in range(40):
        if element.evaluate("e => e === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail("Tab does not lead there")


def test_a_nested_rule_by_the_keyboard_alone(open_page: Callable[..., Page]) -> None:
    people_of_kazan()
    page = new_segment(open_page)
    number = page.locator(".rule-number")

    walk_to(page, page.get_by_label("Name"))
    page.keyboard.type("Kazan")
    walk_to(page, page.locator("#n-0-field"))
    page.keyboard.type("City")
    expect(page.locator("#n-0-op")).to_be_visible()
    expect(page.locator("#n-0-field")).to_be_focused()
    walk_to(page, page.locator("#n-0-value"))
    page.keyboard.type("Kazan")
    expect(number).to_have_text("5")

    walk_to(page, page.locator("#n-nest"))
    page.keyboard.press("Enter")
    expect(page.locator("#n-1-match")).to_be_visible()
    walk_to(page, page.locator("#n-1-match"))
    page.keyboard.type("none")
    walk_to(page, page.locator("#n-1-0-field"))
    page.keyboard.type("Course")
    walk_to(page, page.locator("#n-1-0-value"))
    page.keyboard.type("Python")
    expect(page.locator("#rule-count")).to_contain_text("Choose what is asked about.")
    walk_to(page, page.locator("#n-1-1-field"))
    page.keyboard.type("Phone")
    walk_to(page, page.locator("#n-1-1-op"))
    page.keyboard.type("is missing")
    expect(number).to_have_text("2")
    walk_to(page, page.get_by_role("button", name="Save").last)
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text("Kazan")
    assert Segment.objects.get().rule == RULE


def test_a_rule_by_the_mouse_goes_into_a_mailing(open_page: Callable[..., Page]) -> None:
    people_of_kazan()
    group = Group.objects.create(name="Evening")
    Membership.objects.create(group=group, user=factories.students(1, start=9)[0])
    page = new_segment(open_page)
    page.set_viewport_size(NARROW)

    page.locator("#n-0-field").select_option("City")
    page.locator("#n-0-value").fill("Tver")
    expect(page.locator(".rule-number")).to_have_text("3")
    page.get_by_role("button", name="Condition", exact=True).click()
    page.locator(f"{READY} #n-1-field").select_option("Group")
    page.locator("#n-1-value").select_option("Evening")
    expect(page.locator(".rule-number")).to_have_text("0")
    page.locator("#n-match").select_option("any")
    expect(page.locator(".rule-number")).to_have_text("4")
    expect(page.locator("#rule-count")).to_contain_text("City is “Tver” or Group is in “Evening”")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    # A mistake keeps everything that was chosen.
    page.get_by_role("button", name="Save").last.click()
    expect(page.locator(".field-error").first).to_be_visible()
    expect(page.locator("#n-1-value")).to_have_value(str(group.pk))
    page.get_by_label("Name").fill("Tver and evenings")
    page.get_by_role("button", name="Save").last.click()
    expect(page.locator("h1")).to_have_text("Tver and evenings")

    segment = Segment.objects.get()
    page.goto(f"/mailings/new/?segment={segment.pk}")
    page.locator("#id_name").fill("Lesson")
    page.locator("#id_text").fill("At six")
    expect(page.locator("#meter dd.sum").last).to_have_text("4")
    page.get_by_role("button", name="Save and look it over").click()
    expect(page.locator("main")).to_contain_text("Segment “Tver and evenings”")
    assert Mailing.objects.get().segment == segment


def test_without_a_script_it_takes_a_button_more(open_page: Callable[..., Page]) -> None:
    people_of_kazan()
    page = new_segment(open_page, java_script_enabled=False)

    def choose(path: str, field: str) -> None:
        page.locator(f"#{path}-field").select_option(field)
        page.get_by_role("button", name="Further").first.click()

    choose("n-0", "City")
    page.locator("#n-0-value").fill("Kazan")
    page.locator("#n-nest").click()
    page.locator("#n-1-match").select_option("none")
    choose("n-1-0", "Course")
    page.locator("#n-1-0-value").fill("Python")
    choose("n-1-1", "phone")
    page.locator("#n-1-1-op").select_option("is missing")
    page.get_by_label("Name").fill("Kazan")
    page.get_by_role("button", name="Save").last.click()

    expect(page.locator("h1")).to_have_text("Kazan")
    expect(page.locator("main")).to_contain_text(re.compile("City is “Kazan” and not"))
    assert Segment.objects.get().rule == RULE
