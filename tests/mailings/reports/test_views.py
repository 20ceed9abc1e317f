"""The pages of mailings, as a manager meets them."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import Account
from integrations.reasons import Reason
from mailings.lifecycle import transitions
from mailings.models import Counters, Mailing, Message
from mailings.sending import ledger
from mailings.sending.ledger import Move
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, Group, User
from users.rights import Right

As = Callable[[User], Client]
State, Status = Mailing.State, Message.Status
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def account(db: None) -> Account:
    return factories.simulator(price="2.5")


def text_of(response: Any) -> str:
    """What a person reads: without tags, spaces made single."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def move(messages: list[Message], to: Message.Status, reason: str = "") -> None:
    with transaction.atomic():
        ledger.move([Move(message.pk, to, reason) for message in messages])


def mixed(manager: User, count: int = 6, **fields: Any) -> Mailing:
    """A mailing under way: one delivered, one refused, one sent, the rest waiting."""
    factories.students(count)
    mailing = mailing_factories.prepared(manager, **fields)
    rows = list(Message.objects.filter(mailing=mailing, status=Status.WAITING).order_by("id"))
    move(rows[:1], Status.ACCEPTED)
    move(rows[:1], Status.DELIVERED)
    move(rows[1:2], Status.REFUSED, Reason.NO_SUCH_NUMBER)
    move(rows[2:3], Status.ACCEPTED)
    return mailing


# --- dashboard and list -----------------------------------------------------------------------
def test_the_dashboard_shows_what_runs_and_what_keeps_it(
    as_: As, manager: User, account: Account
) -> None:
    mixed(manager, name="Open lesson")
    page = text_of(as_(manager).get("/"))
    assert "Open lesson" in page
    assert "3 of 6 handed over" in page
    account.cooldown_reason = Reason.NO_MONEY
    account.cooldown_until = timezone.now() + timedelta(minutes=5)
    account.save()
    page = text_of(as_(manager).get("/"))
    assert "Simulator: Not enough money on the account of the SMS service" in page


def test_without_a_service_the_dashboard_says_what_to_do(
    as_: As, manager: User, owner: User
) -> None:
    ask, connect = "Ask the owner of the account to connect one", "Connect a service"
    page = text_of(as_(manager).get("/"))
    assert (ask in page, connect in page) == (True, False)
    page = text_of(as_(owner).get("/"))
    assert (ask in page, connect in page) == (False, True)


def test_a_student_has_a_page_of_their_own_and_no_dashboard(as_: As, student: User) -> None:
    response = as_(student).get("/")
    assert (response.status_code, response["Location"]) == (302, reverse("me"))


@pytest.mark.parametrize("typed", ["вебинар", "Вебинар", "ВЕБИНАР", "бина"])
def test_it_finds_a_mailing_however_it_is_asked_for(as_: As, manager: User, typed: str) -> None:
    mailing_factories.draft(name="Вебинар")
    mailing_factories.draft(name="Lesson")
    page = as_(manager).get("/mailings/", {"q": typed})
    assert [row.name for row in page.context["page"].rows] == ["Вебинар"]


def test_it_narrows_the_list_by_state(as_: As, manager: User, account: Account) -> None:
    mailing_factories.draft(name="A draft")
    mixed(manager, name="A running one")
    names = {
        status_filter: [
            row.name
            for row in as_(manager).get(f"/mailings/?state={status_filter}").context["page"].rows
        ]
        for status_filter in ("", "draft", "running", "over", "nonsense")
    }
    assert names == {
        "": ["A running one", "A draft"],
        "draft": ["A draft"],
        "running": ["A running one"],
        "over": [],
        "nonsense": [],
    }


def test_an_empty_list_says_what_to_do_next(as_: As, manager: User) -> None:
    assert "Write the first one" in text_of(as_(manager).get("/mailings/"))


@pytest.mark.parametrize(
    "address",
    ["/mailings/?q=%00", "/mailings/?before=x", "/mailings/?before=99999999999999999999999"],
)
def test_it_survives_nonsense_in_the_address(as_: As, manager: User, address: str) -> None:
    expected = 404 if "before=" in address else 200
    assert as_(manager).get(address).status_code == expected


# --- composing --------------------------------------------------------------------------------
def filled(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Lesson",
        "text": "At six, {first_name|friend}",
        "recipients": "everyone",
        **fields,
    }


def test_a_draft_is_saved_and_can_be_changed(as_: As, manager: User, account: Account) -> None:
    group = Group.objects.create(name="Autumn")
    response = as_(manager).post(
        "/mailings/new/", filled(recipients="groups", groups=[group.pk], only_confirmed="on")
    )
    draft = Mailing.objects.get()
    assert response["Location"] == reverse("mailing", args=[draft.pk])
    assert (draft.text, draft.everyone, draft.only_confirmed) == (
        "At six, {first_name|friend}",
        False,
        True,
    )
    assert (list(draft.groups.all()), draft.created_by) == ([group], manager)
    page = as_(manager).get(f"/mailings/{draft.pk}/edit/")
    assert page.context["form"]["recipients"].value() == "groups"
    as_(manager).post(f"/mailings/{draft.pk}/edit/", filled(groups=[group.pk]))
    draft.refresh_from_db()
    assert (draft.everyone, draft.groups.count()) == (True, 0)
    story = text_of(as_(manager).get(f"/mailings/{draft.pk}/"))
    assert "Draft changed" in story
    assert "Draft written" in story


def test_a_bad_text_is_refused_beside_the_field_and_nothing_typed_is_lost(
    as_: As, manager: User, account: Account
) -> None:
    bad = "Hello\r\nand {fist_name}, welcome"
    page = as_(manager).post("/mailings/new/", filled(text=bad, only_confirmed="on"))
    assert page.status_code == 200
    assert not Mailing.objects.exists()
    html = page.content.decode()
    error = re.search(r'id="id_text_error">(.*?)</div>\s*</div>', html, re.DOTALL)
    assert error is not None
    assert "Did you mean {first_name}?" in error[1]
    assert "Line 2: “{fist_name}, welcome”" in error[1]
    assert 'aria-describedby="id_text_error"' in html
    form = page.context["form"]
    assert form["text"].value() == bad
    assert (form["name"].value(), form["only_confirmed"].value()) == ("Lesson", True)


def test_groups_without_a_group_are_refused(as_: As, manager: User, account: Account) -> None:
    page = text_of(as_(manager).post("/mailings/new/", filled(recipients="groups")))
    assert "Choose at least one group, or everyone." in page


def test_without_a_service_there_is_no_text_to_write(as_: As, manager: User, owner: User) -> None:
    for person, words in [(manager, "Ask the owner"), (owner, "Connect a service")]:
        page = as_(person).get("/mailings/new/")
        assert b"<textarea" not in page.content
        assert words in text_of(page)


def test_a_launched_mailing_can_no_longer_be_changed(
    as_: As, manager: User, account: Account
) -> None:
    mailing = mixed(manager)
    address, its_page = f"/mailings/{mailing.pk}/edit/", reverse("mailing", args=[mailing.pk])
    assert as_(manager).get(address)["Location"] == its_page
    assert as_(manager).post(address, filled(text="Another"))["Location"] == its_page
    mailing.refresh_from_db()
    assert mailing.text != "Another"


def test_the_meter_counts_what_stands_in_the_form(as_: As, manager: User, account: Account) -> None:
    factories.students(4)
    factories.students(2, start=4, sms_forbidden=True)
    written = "Приходите, {first_name}! " + "о" * 60
    page = text_of(as_(manager).post("/mailings/meter/", filled(text=written)))
    assert "Приходите, Student0!" in page
    assert "as Student0 gets it" in page
    assert "SMS parts 2" in page
    assert "SMS are forbidden in the profile −2" in page
    assert "Will get it 4" in page
    assert "Price, about 20 ₽" in page


def test_the_meter_names_the_few_characters_that_make_it_unicode(
    as_: As, manager: User, account: Account
) -> None:
    page = text_of(as_(manager).post("/mailings/meter/", filled(text="Great “news”")))
    assert "marked makes it Unicode" in page
    assert "“ → &quot; ” → &quot;" in page
    assert "These characters" not in text_of(
        as_(manager).post("/mailings/meter/", filled(text="Приходите на вебинар"))
    )


@pytest.mark.parametrize(
    "typed", [{}, {"text": "{"}, {"text": "{first_nam}", "recipients": "groups"}, {"groups": "x"}]
)
def test_the_meter_answers_a_form_half_filled_in(
    as_: As, manager: User, account: Account, typed: dict[str, str]
) -> None:
    page = as_(manager).post("/mailings/meter/", typed)
    assert page.status_code == 200
    assert as_(manager).get("/mailings/meter/", typed).status_code == 405
    assert "Will get it 0" in text_of(page)


# --- a mailing's page -------------------------------------------------------------------------
def test_a_draft_shows_who_gets_it_and_asks_in_figures_before_the_launch(
    as_: As, manager: User, account: Account
) -> None:
    factories.students(3)
    draft = mailing_factories.draft(text="Short")
    address = reverse("mailing-launch", args=[draft.pk])
    assert address in as_(manager).get(f"/mailings/{draft.pk}/").content.decode()
    question = text_of(as_(manager).get(address))
    assert "Send to 3 people?" in question
    assert "Price, about 7.50 ₽" in question
    draft.refresh_from_db()
    assert draft.state == State.DRAFT
    as_(manager).post(address)
    draft.refresh_from_db()
    assert draft.state == State.PREPARING
    again = text_of(as_(manager).post(address, follow=True))
    assert "launched already" in again


def test_the_dialog_gets_the_question_without_the_frame(
    as_: As, manager: User, account: Account
) -> None:
    draft = mailing_factories.draft()
    address = reverse("mailing-delete", args=[draft.pk])
    alone = as_(manager).get(address).content.decode()
    inside = as_(manager).get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" in alone
    assert "<html" not in inside
    assert f'action="{address}"' in inside
    assert f'href="{reverse("mailing", args=[draft.pk])}"' in inside


def test_a_mailing_is_paused_resumed_and_cancelled(
    as_: As, manager: User, account: Account
) -> None:
    mailing = mixed(manager)
    client = as_(manager)
    for word, state in [("pause", State.PAUSED), ("resume", State.SENDING)]:
        assert client.get(f"/mailings/{mailing.pk}/{word}/").status_code == 405
        client.post(f"/mailings/{mailing.pk}/{word}/")
        mailing.refresh_from_db()
        assert mailing.state == state
    question = text_of(client.get(f"/mailings/{mailing.pk}/cancel/"))
    assert "Can still be stopped 3" in question
    assert "Have already gone 3" in question
    page = text_of(client.post(f"/mailings/{mailing.pk}/cancel/", follow=True))
    assert "Cancelled: 3 messages stopped, 3 had already gone." in page
    page = text_of(client.post(f"/mailings/{mailing.pk}/cancel/", follow=True))
    assert "meanwhile" in page
    assert all(word in page for word in ("Launched", "Paused", "Resumed", "Cancelled"))


def test_a_mailing_cancelled_at_once_has_sent_nothing(
    as_: As, manager: User, account: Account
) -> None:
    factories.students(2)
    address = f"/mailings/{mailing_factories.launched(manager).pk}/cancel/"
    assert "Can still be stopped 2" in text_of(as_(manager).get(address))
    assert "nothing had gone yet" in text_of(as_(manager).post(address, follow=True))


def test_a_draft_is_deleted_and_a_launched_mailing_is_not(
    as_: As, manager: User, account: Account
) -> None:
    draft, mailing = mailing_factories.draft(name="Old"), mixed(manager)
    for row in (draft, mailing):
        as_(manager).post(f"/mailings/{row.pk}/delete/")
    assert list(Mailing.objects.all()) == [mailing]


def test_the_moving_part_goes_on_until_all_is_final(
    as_: As, manager: User, account: Account
) -> None:
    mailing = mixed(manager)
    address = f"/mailings/{mailing.pk}/live/"
    assert f'hx-get="{address}?state=sending"' in as_(manager).get(
        f"/mailings/{mailing.pk}/"
    ).content.decode().replace("preparing", "sending")
    part = as_(manager).get(f"{address}?state={mailing.state}")
    assert (part.status_code, part.headers.get("HX-Refresh")) == (200, None)
    assert "3 of 6 handed over" in text_of(part)
    rows = list(Message.objects.filter(mailing=mailing))
    move([row for row in rows if row.status == Status.WAITING], Status.ACCEPTED)
    move([row for row in rows if row.status != Status.SKIPPED], Status.DELIVERED)
    transitions.settle_due()
    transitions.settle_due()
    part = as_(manager).get(f"{address}?state={mailing.state}")
    assert (part.status_code, part.headers.get("HX-Refresh")) == (286, "true")
    page = as_(manager).get(f"/mailings/{mailing.pk}/").content.decode()
    assert "hx-trigger" not in page


def test_it_says_why_it_has_paused_by_itself_and_what_may_have_gone(
    as_: As, manager: User, account: Account
) -> None:
    mailing = mixed(manager)
    waiting = Message.objects.filter(mailing=mailing, status=Status.WAITING)[:2]
    move(list(waiting), Status.UNKNOWN, Reason.NO_ANSWER)
    Mailing.objects.filter(pk=mailing.pk).update(
        state=State.PAUSED, trouble=Reason.SENDER_FORBIDDEN, trouble_raw="made-up code 14"
    )
    page = text_of(as_(manager).get(f"/mailings/{mailing.pk}/"))
    assert "Paused by itself: The sender name is not registered" in page
    assert "made-up code 14" in page
    assert "2 messages may or may not have gone" in page


def test_every_figure_opens_its_people(as_: As, manager: User, account: Account) -> None:
    mailing = mixed(manager)
    page = as_(manager).get(f"/mailings/{mailing.pk}/")
    for figure in page.context["figures"]:
        rows = as_(manager).get(f"/mailings/{mailing.pk}/recipients/?{figure.part.asked}")
        assert len(rows.context["page"].rows) == figure.count, figure.part.slug


def test_errors_are_shown_with_their_reasons_and_narrowed_by_one(
    as_: As, manager: User, account: Account
) -> None:
    mailing = mixed(manager)
    list_of = f"/mailings/{mailing.pk}/recipients/"
    page = text_of(as_(manager).get(f"{list_of}?category=error"))
    assert "The number does not exist 1" in page
    rows = as_(manager).get(f"{list_of}?reason=no_such_number").context["page"].rows
    assert [row.status for row in rows] == [Status.REFUSED]
    assert not as_(manager).get(f"{list_of}?reason=no_route").context["page"].rows
    reasons = text_of(as_(manager).get(f"/mailings/{mailing.pk}/reasons/"))
    assert "Ask the person for a new number." in reasons
    assert "Ask for the phone" in reasons  # Maria herself has none


@pytest.mark.parametrize("typed", ["+79980000002", "8 998 000-00-02", "0000002"])
def test_a_recipient_is_found_by_phone(
    as_: As, manager: User, account: Account, typed: str
) -> None:
    mailing = mixed(manager)
    page = as_(manager).get(f"/mailings/{mailing.pk}/recipients/", {"q": typed})
    assert [row.phone for row in page.context["page"].rows] == ["+79980000002"]


def test_a_deleted_person_stays_in_the_list(as_: As, manager: User, account: Account) -> None:
    mailing = mixed(manager, count=1)
    User.objects.filter(phone="+79980000000").delete()
    page = text_of(as_(manager).get(f"/mailings/{mailing.pk}/recipients/"))
    assert "deleted" in page
    assert "+79980000000" in page


def test_a_message_has_a_card(as_: As, manager: User, account: Account) -> None:
    mailing = mixed(manager)
    refused = Message.objects.get(mailing=mailing, status=Status.REFUSED)
    page = text_of(as_(manager).get(f"/messages/{refused.pk}/"))
    assert "The number does not exist" in page
    assert "Webinar at six, Student1" in page
    assert refused.phone in page


def test_a_test_goes_to_the_phone_that_is_named(as_: As, manager: User, account: Account) -> None:
    draft = mailing_factories.draft()
    address = f"/mailings/{draft.pk}/test/"
    assert "Digits are missing." in text_of(as_(manager).post(address, {"phone": "8 998"}))
    response = as_(manager).post(address, {"phone": "8 998 000-00-77"})
    message = Message.objects.get()
    assert (message.phone, message.text) == ("+79980000077", "Webinar at six, Maria")
    assert response["Location"] == reverse("message", args=[message.pk])
    assert "Test message" in text_of(as_(manager).get(response["Location"]))


# --- what holds for all pages -----------------------------------------------------------------
def test_who_may_not_send_sees_no_button_and_gets_403(
    as_: As, manager: User, account: Account
) -> None:
    manager.rights = [str(Right.SEE_MAILINGS)]
    manager.save()
    draft = mailing_factories.draft()
    page = as_(manager).get(f"/mailings/{draft.pk}/").content.decode()
    for word in ("launch", "test", "edit", "delete"):
        assert reverse(f"mailing-{word}", args=[draft.pk]) not in page
        assert as_(manager).post(f"/mailings/{draft.pk}/{word}/").status_code == 403
    assert Mailing.objects.get().state == State.DRAFT


ADDRESSES = (
    "/",
    "/mailings/",
    "/mailings/{pk}/",
    "/mailings/{pk}/live/",
    "/mailings/{pk}/recipients/",
    "/mailings/{pk}/recipients/?category=error",
    "/mailings/{pk}/reasons/",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_page_asks_more_when_there_are_more_rows(
    as_: As, manager: User, account: Account, address: str
) -> None:
    asked = []
    for count in (5, 60):
        factories.students(count, start=1000 * count)
        mailing = mailing_factories.prepared(manager)
        rows = Message.objects.filter(mailing=mailing, status=Status.WAITING)
        move(list(rows), Status.REFUSED, Reason.NO_SUCH_NUMBER)
        others = Mailing.objects.bulk_create(
            Mailing(name=f"{state} {number}", state=state)
            for number in range(count)
            for state in (State.DRAFT, State.PAUSED, State.DONE)
        )
        Counters.objects.bulk_create(
            Counters(mailing=other) for other in others if other.state != State.DRAFT
        )
        AuditEvent.objects.bulk_create(
            AuditEvent(by=manager, what="paused", target=f"mailing {mailing.pk}")
            for _ in range(count)
        )
        client = as_(manager)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address.format(pk=mailing.pk)).status_code == 200
        asked.append(len(queries))
    assert asked[0] == asked[1]


@pytest.mark.parametrize("address", [*ADDRESSES, "/mailings/new/", "/mailings/{pk}/cancel/"])
def test_no_page_holds_a_style_or_a_script_of_its_own(
    as_: As, manager: User, account: Account, address: str
) -> None:
    mailing = mixed(manager)
    html = as_(manager).get(address.format(pk=mailing.pk)).content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
