"""Short links from the form to the phone: rows at the launch, marks in what is stored, tokens in what is
handed over and nowhere else, and the same count of parts all the way.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.models import SimulatedSms
from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from mailings import errors
from mailings.composing.preview import preview_of
from mailings.lifecycle import transitions
from mailings.models import Counters, Link, Mailing, Message
from mailings.notifications import send
from mailings.sending import claim as claiming
from mailings.sending import prepare, reconciliation, record, worker
from mailings.text import template, tokens
from mailings.text.tokens import Purpose, Token
from mailings.tracking import link_rows
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
OURS = "https://sms.example.com"
TEXT = f"{{first_name}}, https://school.ru/a?u={{email}} or {OURS}/me/. https://school.ru/a?u={{email}}"


@pytest.fixture(autouse=True)
def here(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    settings.PUBLIC_URL = OURS
    settings.SHORT_URL = "https://s.example.com"


@pytest.fixture
def school(owner: User) -> User:
    factories.simulator(price="2")
    factories.students(3, start=10)
    return owner


def found_in(body: str) -> list[Token | None]:
    return [tokens.read(each) for each in re.findall(r"https://s\.example\.com/r/(\w+)", body)]


# --- the launch -------------------------------------------------------------------------------
def test_the_launch_writes_a_row_for_each_address(school: User) -> None:
    mailing = mailing_factories.launched(school, text=TEXT, wrap_links=True, links_sign_in=True)
    rows = Link.objects.filter(mailing=mailing).values_list("position", "url")
    assert dict(rows) == {0: "https://school.ru/a?u={email}", 1: f"{OURS}/me/"}


def test_links_to_others_get_no_row_when_only_ours_shall_sign_in(school: User) -> None:
    mailing = mailing_factories.launched(school, text=TEXT, links_sign_in=True)
    assert list(mailing.links.values_list("position", "url")) == [(1, f"{OURS}/me/")]


def test_links_left_alone_get_no_rows_and_stay_in_the_text(school: User) -> None:
    mailing = mailing_factories.prepared(school, text=TEXT)
    assert not mailing.links.exists()
    message = mailing.messages.filter(status="waiting").first()
    assert message
    assert message.text.count("https://school.ru/a?u=student") == 2


def test_a_link_that_cannot_be_short_stops_the_launch(school: User) -> None:
    draft = mailing_factories.draft(text="https://{city}.school.ru/", wrap_links=True)
    with pytest.raises(errors.CannotLaunch, match="name of the site"):
        transitions.launch(draft, school)
    assert not Link.objects.exists()


# --- preparation and hand-over ----------------------------------------------------------------
def test_what_is_stored_has_marks_and_what_is_handed_over_has_tokens(school: User) -> None:
    mailing = mailing_factories.prepared(school, text=TEXT, wrap_links=True, links_sign_in=True)
    stored = Message.objects.filter(mailing=mailing, status="waiting").first()
    assert stored
    assert stored.text == "Student10, \x1a0 or \x1b1. \x1a0"
    batch = mailing_factories.claimed()
    assert len(batch.messages) == 3
    for sms in batch.messages:
        click = Token(sms.key, 0, Purpose.CLICK)
        assert found_in(sms.text) == [click, Token(sms.key, 1, Purpose.SIGN_IN), click]
        assert "\x1a" not in sms.text + stored.shown


@pytest.mark.parametrize("length", range(0, 160, 7))
def test_parts_are_counted_with_the_link_as_long_as_it_will_be(school: User, length: int) -> None:
    written = f"https://school.ru/{'long' * 30} {'a' * length} {OURS}/me/"
    draft = mailing_factories.draft(text=written, wrap_links=True, links_sign_in=True)
    seen = preview_of(draft.text, draft, school)
    transitions.launch(draft, school)
    mailing = draft
    prepare.prepare_some(mailing.id)
    batch = mailing_factories.sent()
    (parts,) = {template.measure(sms.text).parts for sms in batch.messages}
    assert set(mailing.messages.filter(status="accepted").values_list("parts", flat=True)) == {
        parts
    }
    assert seen.measure.parts == parts
    assert seen.parts.total == Counters.objects.get(mailing=mailing).parts == 3 * parts
    assert seen.price == Counters.objects.get(mailing=mailing).price


def test_the_longest_and_the_shortest_have_short_links_too(school: User) -> None:
    draft = mailing_factories.draft(text=TEXT, wrap_links=True)
    seen = preview_of(draft.text, draft, school)
    assert seen.extremes
    for end in (seen.extremes.longest, seen.extremes.shortest):
        assert end.body.count("https://s.example.com/r/************") == 3
        assert "school.ru" not in end.body


def test_filling_tokens_in_asks_the_database_nothing(school: User) -> None:
    def claim(**fields: bool) -> int:
        mailing_factories.prepared(school, text=TEXT, **fields)
        with CaptureQueriesContext(connection) as queries:
            assert claiming.claim()
        return len(queries)

    assert claim(wrap_links=True, links_sign_in=True) == claim()


def test_a_service_is_asked_about_the_very_text_that_it_got(school: User) -> None:
    mailing_factories.prepared(school, text=TEXT, wrap_links=True, links_sign_in=True)
    batch = mailing_factories.claimed()
    mailing_factories.grown_older(hours=1)
    worker.recover_due()
    row = Message.objects.filter(status="unknown").first()
    assert row
    assert row.batch
    asked = {each.phone: each.text for each in reconciliation._open_messages(row.batch)}
    assert asked == {sms.phone: sms.text for sms in batch.messages}


def test_one_text_refused_for_all_is_one_text_also_with_links_of_their_own(school: User) -> None:
    mailing_factories.prepared(school, text="https://school.ru", wrap_links=True)
    batch = mailing_factories.claimed()
    assert len({sms.text for sms in batch.messages}) == 3
    refused = mailing_factories.results(batch, Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN)
    assert record._no_way_out(batch, refused[0])


# --- test messages ----------------------------------------------------------------------------
def test_a_test_message_has_links_that_lead_where_those_of_the_draft_do(school: User) -> None:
    draft = mailing_factories.draft(text=TEXT, wrap_links=True, links_sign_in=True)
    message = send.send_test(draft, school, school, "+79980000009")
    batch = mailing_factories.claimed()
    (sms,) = batch.messages
    click, sign_in, again = found_in(sms.text)
    assert click == again == Token(message.id, 0, Purpose.CLICK)
    assert sign_in == Token(message.id, 1, Purpose.SIGN_IN)
    assert message.parts == template.measure(sms.text).parts
    assert not Link.objects.exists()
    assert link_rows.of(draft) == {0: "https://school.ru/a?u={email}", 1: f"{OURS}/me/"}


# --- pages ------------------------------------------------------------------------------------
def test_no_page_shows_a_link_that_works(as_: As, school: User, student: User) -> None:
    mailing = mailing_factories.prepared(school, text=TEXT, wrap_links=True, links_sign_in=True)
    mailing_factories.sent()
    message = Message.objects.get(mailing=mailing, user=student)
    client = as_(school)
    for address in (
        reverse("message", args=[message.pk]),
        reverse("mailing", args=[mailing.pk]),
        reverse("mailing-recipients", args=[mailing.pk]),
    ):
        page = client.get(address).content.decode()
        assert found_in(page) in ([], [None] * 3)
        assert "\x1a" not in page
        assert "\x1b" not in page
    client.force_login(student)
    page = client.get(reverse("my-messages")).content.decode()
    assert "https://s.example.com/r/***************" in page
    assert found_in(page) == []


def test_the_phone_on_the_screen_opens_links_only_while_nothing_real_sends(
    as_: As, school: User, student: User
) -> None:
    mailing_factories.prepared(school, text=TEXT, wrap_links=True, links_sign_in=True)
    batch = mailing_factories.claimed()
    record.record(batch, worker.hand_over(batch))
    assert SimulatedSms.objects.filter(phone=student.phone).exists()
    client, address = as_(school), reverse("simulator") + "?phone=%2B79980000001"
    page = client.get(address).content.decode()
    links = re.findall(r'<a href="(https://s\.example\.com/r/\w+)"', page)
    assert len(links) == 3
    factories.smsc()
    page = client.get(address).content.decode()
    assert found_in(page) == []
    assert page.count("https://s.example.com/r/***") == 3
    assert "Short links are hidden here" in page


# --- the form ---------------------------------------------------------------------------------
def typed(**fields: str) -> dict[str, str]:
    return {"name": "Webinar", "text": TEXT, "recipients": "everyone"} | fields


def test_the_form_keeps_both_choices(as_: As, school: User) -> None:
    client = as_(school)
    client.post("/mailings/new/", typed(wrap_links="on", links_sign_in="on"))
    draft = Mailing.objects.get()
    assert (draft.wrap_links, draft.links_sign_in) == (True, True)
    page = client.get(f"/mailings/{draft.pk}/edit/").content.decode()
    assert len(re.findall(r'name="(?:wrap_links|links_sign_in)"[^>]* checked', page)) == 2
    client.post(f"/mailings/{draft.pk}/edit/", typed())
    draft.refresh_from_db()
    assert (draft.wrap_links, draft.links_sign_in) == (False, False)


def test_the_form_refuses_a_variable_in_the_name_of_the_site(as_: As, school: User) -> None:
    fields = typed(text="Look:\nhttps://{city}.school.ru/", wrap_links="on")
    page = as_(school).post("/mailings/new/", fields).content.decode()
    assert "A variable may not stand in the name of the site." in page
    assert "Line 2" in page
    assert not Mailing.objects.exists()
    as_(school).post("/mailings/new/", typed(text="https://{city}.school.ru/"))
    assert Mailing.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "others", "ours"),
    [
        ({"wrap_links": "on"}, "counts clicks", "counts clicks"),
        ({"links_sign_in": "on"}, "stays as it is", "signs students in"),
        ({"wrap_links": "on", "links_sign_in": "on"}, "it signs nobody in", "signs students in"),
    ],
)
def test_the_form_says_which_link_does_what(
    as_: As, school: User, fields: dict[str, str], others: str, ours: str
) -> None:
    page = as_(school).post("/mailings/meter/", typed(**fields)).content.decode()
    said = dict(
        re.findall(r'(?s)<li>\s*<code>(.*?)</code>\s*<span class="soft">(.*?)</span>', page)
    )
    assert others in said["https://school.ru/a?u={email}"]
    assert ours in said[f"{OURS}/me/"]


def test_the_form_says_when_nobody_would_be_signed_in(as_: As, school: User) -> None:
    client, words = as_(school), f"Nobody will be signed in: no link begins with {OURS}/"
    fields = typed(text="Look: https://school.ru", links_sign_in="on")
    assert words in client.post("/mailings/meter/", fields).content.decode()
    assert words in client.post("/mailings/meter/", fields | {"text": "Look"}).content.decode()
    for fine in ({"text": f"Look: {OURS}/me/"}, {"links_sign_in": ""}):
        assert words not in client.post("/mailings/meter/", fields | fine).content.decode()


def test_without_either_choice_the_form_says_nothing(as_: As, school: User) -> None:
    page = as_(school).post("/mailings/meter/", typed()).content.decode()
    assert "What becomes of the links" not in page
