"""The pages of notifications: written, changed, switched, tried; figures that open recipients."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from mailings.models import Counters, Link, Mailing, Message
from mailings.notifications import editing, registry, send
from mailings.notifications.send import raise_event
from mailings.reports import recount
from mailings.sending import record, worker
from tests import factories
from tests.mailings import mailing_factories
from tests.test_rights import patterns
from users.consent import consent
from users.consent.confirmation import code_of
from users.models import AuditEvent, OwnField, User
from users.rights import Right

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
NONCE = "0123456789abcdef"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def service(db: None) -> None:
    factories.simulator()


@pytest.fixture
def paid(manager: User) -> Mailing:
    made = Mailing(
        event="paid", name="Paid", text="Order {number} is paid", event_values=["number"]
    )
    editing.add(made, manager)
    editing.switch(made, manager, on=True)
    return made


def fields(**changed: str) -> dict[str, str]:
    return {
        "name": "Order paid",
        "event": "order_paid",
        "brought": "number, date",
        "text": "Order {number} of {date} is paid",
    } | changed


def said(client: Client, path: str, **data: Any) -> str:
    answer = client.post(path, data, follow=True) if data else client.get(path, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def errors(client: Client, path: str, **changed: str) -> str:
    answer = client.post(path, fields(**changed))
    assert answer.status_code == 200
    return " ".join(str(error) for each in answer.context["form"].errors.values() for error in each)


# --- written and changed ------------------------------------------------------------------------
def test_a_manager_adds_one_which_is_off(as_: As, manager: User, student: User) -> None:
    page = said(as_(manager), "/notifications/new/", **fields())
    made = Mailing.objects.get(event="order_paid")
    assert "order_paid" in page
    assert (made.kind, made.created_by, made.event_values) == (
        "notification",
        manager,
        ["number", "date"],
    )
    assert not registry.is_on(made)
    assert Counters.objects.filter(mailing=made).exists()
    assert AuditEvent.objects.get(what="event_added").target == f"mailing {made.pk}"
    assert "manage.py raise_event order_paid" in page
    editing.switch(made, manager, on=True)
    raised = raise_event("order_paid", student, key="1", values={"number": "5", "date": "today"})
    assert raised.message is not None
    assert raised.message.text == "Order 5 of today is paid"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": ""}, "required"),
        ({"event": ""}, "required"),
        ({"event": "Order Paid"}, "letter"),
        ({"event": "5paid"}, "letter first"),
        ({"event": "заказ"}, "letter"),
        ({"event": "x" * 41}, "40"),
        ({"event": "paid"}, "There is an event of this name"),
        ({"event": "phone_code"}, "There is an event of this name"),
        ({"event": "welcome"}, "There is an event of this name"),
        ({"brought": "Number"}, "“Number”"),
        ({"brought": "number, first_name"}, "variable of the person"),
        ({"brought": "number, date, course"}, "variable of the person"),
        ({"brought": " ".join(f"n{n}" for n in range(11)) + " number date"}, "At most 10"),
        ({"brought": "number"}, "There is no variable {date}"),
        ({"text": ""}, "required"),
        ({"text": "  "}, "required"),
        ({"text": "{number"}, "not closed"),
        ({"text": "See http://{number}.example.com", "wrap_links": "on"}, "name of the site"),
        ({"text": "See http://a.example.com/{number}", "wrap_links": "on"}, "is not kept"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_lost(
    as_: As, manager: User, paid: Mailing, changed: dict[str, str], words: str
) -> None:
    OwnField.objects.create(slug="course", label="Course")
    client = as_(manager)
    assert words in errors(client, "/notifications/new/", **changed)
    assert not Mailing.objects.filter(event="order_paid").exists()
    page = client.post("/notifications/new/", fields(**changed)).content.decode()
    assert "of {date} is paid" in page or "text" in changed


def test_a_text_is_changed_while_it_is_on_and_the_event_stays(
    as_: As, manager: User, paid: Mailing, student: User
) -> None:
    raise_event("paid", student, key="1", values={"number": "1"})
    client = as_(manager)
    page = said(client, f"/notifications/{paid.pk}/edit/")
    assert "It is on: the new text holds from the next event" in page
    assert 'name="event"' not in page
    said(client, f"/notifications/{paid.pk}/edit/", **fields(text="Thank you: {number}", event="x"))
    paid.refresh_from_db()
    assert (paid.event, paid.text, paid.event_values) == (
        "paid",
        "Thank you: {number}",
        ["number", "date"],
    )
    assert registry.is_on(paid)
    raise_event("paid", student, key="2", values={"number": "2"})
    texts = Message.objects.order_by("id").values_list("text", flat=True)
    assert list(texts) == ["Order 1 is paid", "Thank you: 2"]
    assert AuditEvent.objects.filter(what="text_changed").count() == 1
    assert "Notification changed" in said(client, f"/notifications/{paid.pk}/")


def test_what_is_changed_while_it_is_on_takes_the_right_to_send(as_: As, paid: Mailing) -> None:
    writer = factories.person(
        "writer", role="employee", rights=[str(Right.SEE_MAILINGS), str(Right.EDIT_MAILINGS)]
    )
    client = as_(writer)
    edit = f"/notifications/{paid.pk}/edit/"
    assert edit not in said(client, f"/notifications/{paid.pk}/")
    assert client.post(edit, fields()).status_code == 403
    editing.switch(paid, writer, on=False)
    assert edit in said(client, f"/notifications/{paid.pk}/")
    assert client.post(edit, fields()).status_code == 302
    assert client.post(f"/notifications/{paid.pk}/switch/", {"on": "yes"}).status_code == 403


def test_two_who_change_it_do_not_lose_each_others_words(
    as_: As, manager: User, paid: Mailing
) -> None:
    client = as_(manager)
    edit = f"/notifications/{paid.pk}/edit/"
    version = re.search(r'name="version" value="(\w+)"', said(client, edit))
    assert version
    Mailing.objects.filter(pk=paid.pk).update(text="Somebody else's {number}")
    page = said(client, edit, **fields(text="Mine: {number}", version=version[1]))
    assert "Somebody has changed it meanwhile" in page
    assert "Mine: {number}" in page
    paid.refresh_from_db()
    assert paid.text == "Somebody else's {number}"
    again = re.search(r'name="version" value="(\w+)"', page)
    assert again
    said(client, edit, **fields(text="Mine: {number}", version=again[1]))
    paid.refresh_from_db()
    assert paid.text == "Mine: {number}"


def test_the_code_cannot_leave_its_text(as_: As, manager: User) -> None:
    code = registry.named(registry.PHONE_CODE)
    assert code is not None
    client = as_(manager)
    edit = f"/notifications/{code.pk}/edit/"
    assert "{code} must stand in this text" in errors(client, edit, text="Your code is ready")
    said(client, edit, **fields(text="Code {code}", brought="other", event="other"))
    code.refresh_from_db()
    assert (code.event, code.text, code.event_values) == ("phone_code", "Code {code}", ["code"])


def test_an_address_keeps_its_position_when_the_text_changes(
    as_: As, manager: User, paid: Mailing, student: User
) -> None:
    """Or the links in older messages would lead elsewhere."""
    client = as_(manager)
    edit = f"/notifications/{paid.pk}/edit/"
    first = "See https://a.example.com and https://b.example.com"
    said(client, edit, **fields(text=first, wrap_links="on"))
    raise_event("paid", student, key="1")
    said(client, edit, **fields(text="See https://c.example.com, https://b.example.com"))
    assert Link.objects.count() == 2, "not wrapped now"
    said(
        client,
        edit,
        **fields(text="See https://c.example.com, https://b.example.com", wrap_links="on"),
    )
    raise_event("paid", student, key="2")
    links = dict(Link.objects.filter(mailing=paid).values_list("url", "position"))
    assert links == {
        "https://a.example.com": 0,
        "https://b.example.com": 1,
        "https://c.example.com": 2,
    }
    older, newer = Message.objects.order_by("id").values_list("text", flat=True)
    assert re.findall("\x1a(.)", older) == ["0", "1"]
    assert re.findall("\x1a(.)", newer) == ["2", "1"]


@pytest.mark.parametrize("pk", [True, False])
def test_the_meter_shows_one_message_with_the_values_of_the_event(
    as_: As, manager: User, paid: Mailing, student: User, pk: bool
) -> None:
    path = f"/notifications/{paid.pk}/meter/" if pk else "/notifications/meter/"
    page = said(as_(manager), path, **fields(text="{first_name}, order {number}", look_q="Ivan"))
    assert "Ivan, order number" in page
    assert "everybody" not in page
    assert said(as_(manager), path, **fields(text="{first_nam"))


def test_a_fix_changes_the_text_and_saves_nothing(as_: As, manager: User, paid: Mailing) -> None:
    page = said(
        as_(manager),
        f"/notifications/{paid.pk}/edit/",
        **fields(text="“{number}”", fix="signs"),
    )
    assert "&quot;{number}&quot;" in page
    paid.refresh_from_db()
    assert paid.text == "Order {number} is paid"


# --- on and off ---------------------------------------------------------------------------------
def test_it_is_switched_from_the_list_and_from_its_page(
    as_: As, manager: User, paid: Mailing
) -> None:
    client = as_(manager)
    switch = f"/notifications/{paid.pk}/switch/"
    assert client.get(switch).status_code == 405
    answer = client.post(switch, {"on": "no", "from": "list"})
    assert answer["Location"] == "/notifications/"
    paid.refresh_from_db()
    assert not registry.is_on(paid)
    answer = client.post(switch, {"on": "yes"})
    assert answer["Location"] == f"/notifications/{paid.pk}/"
    paid.refresh_from_db()
    assert registry.is_on(paid)
    assert "Switched on" in said(client, f"/notifications/{paid.pk}/")


def test_who_only_sees_gets_no_buttons(as_: As, paid: Mailing) -> None:
    reader = factories.person("reader", role="employee", rights=[str(Right.SEE_MAILINGS)])
    client = as_(reader)
    for path in ("/notifications/", f"/notifications/{paid.pk}/"):
        page = said(client, path)
        assert "/switch/" not in page
        assert "/edit/" not in page
        assert "/try/" not in page


@pytest.mark.parametrize("what", ["", "edit/", "meter/", "switch/", "try/", "delete/"])
def test_a_mailing_is_no_notification(as_: As, manager: User, what: str) -> None:
    mailing = mailing_factories.draft()
    client = as_(manager)
    assert client.post(f"/notifications/{mailing.pk}/{what}").status_code == 404


SHARED = {
    *("mailing", "mailing-live", "mailing-recipients", "mailing-reasons", "mailing-revoke-links"),
    *("mailing-close-unknown", "mailing-send-again", "mailing-clicks"),
}
OF_MAILINGS = sorted(
    str(each.name)
    for each in patterns()
    if str(each.name).startswith("mailing") and list(each.pattern.converters) == ["pk"]
)


@pytest.mark.parametrize("name", [name for name in OF_MAILINGS if name not in SHARED])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_notification_is_no_mailing(
    as_: As, owner: User, paid: Mailing, name: str, method: str
) -> None:
    answer = getattr(as_(owner), method)(reverse(name, args=[paid.pk]))
    if name == "mailing-autosave" and method == "post":  # says so in its own way
        assert answer.json()["saved"] is False
    else:
        assert answer.status_code in {404, 405}
    paid.refresh_from_db()
    assert registry.is_on(paid)
    assert Mailing.objects.filter(event=None).count() == 0


# --- figures ------------------------------------------------------------------------------------
def test_its_figures_open_the_recipients_the_reasons_and_the_messages(
    as_: As, manager: User, paid: Mailing, student: User
) -> None:
    raise_event("paid", student, key="1", values={"number": "1"})
    mailing_factories.reported(mailing_factories.sent(), "delivered")
    raise_event("paid", student, key="2")
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN)
    consent.forbid(student, None)
    raise_event("paid", student, key="3")
    client = as_(manager)
    page = said(client, f"/notifications/{paid.pk}/")
    for query in ("status=delivered", "category=error", "status=skipped"):
        path = f"/mailings/{paid.pk}/recipients/?{query}"
        assert path in page
        assert len(client.get(path).context["page"].rows) == 1
    assert str(Reason.FORBIDDEN.about.title) in said(client, f"/mailings/{paid.pk}/reasons/")
    assert said(client, f"/mailings/{paid.pk}/live/")
    message = Message.objects.get(key="1")
    page = said(client, f"/messages/{message.pk}/")
    assert "Order 1 is paid" in page
    assert f"/mailings/{paid.pk}/recipients/" in page
    back = client.get(f"/mailings/{paid.pk}/")
    assert back["Location"] == f"/notifications/{paid.pk}/"
    row = said(client, "/notifications/")
    assert re.findall(r'<td class="number"[^>]*>(\d+)<', row)[:4] == ["2", "1", "1", "1"]


def test_no_page_of_staff_shows_a_code(as_: As, owner: User, student: User) -> None:
    send.send_code(student, NONCE)
    record.record(batch := mailing_factories.claimed(), worker.hand_over(batch))
    code = registry.named(registry.PHONE_CODE)
    message = Message.objects.get()
    assert code is not None
    client = as_(owner)
    for path in (
        f"/messages/{message.pk}/",
        f"/notifications/{code.pk}/",
        f"/mailings/{code.pk}/recipients/",
        f"/people/{student.pk}/",
    ):
        page = said(client, path)
        assert code_of(NONCE) not in page
        assert NONCE not in page
    assert "Your code: ••••••" in said(client, f"/messages/{message.pk}/")


def test_notifications_stand_in_no_list_of_mailings(as_: As, manager: User, paid: Mailing) -> None:
    client = as_(manager)
    assert "Paid" not in said(client, "/mailings/")
    assert f"/mailings/{paid.pk}/" not in said(client, "/")


def test_unknown_ones_are_decided_as_those_of_a_mailing(
    as_: As, manager: User, paid: Mailing, student: User, settings: Any
) -> None:
    raise_event("paid", student, key="1")
    mailing_factories.sent(Outcome.UNKNOWN)
    mailing_factories.grown_older(seconds=settings.RECEIPT_WAIT + 1)
    client = as_(manager)
    assert f"/mailings/{paid.pk}/let-be/" in said(client, f"/notifications/{paid.pk}/")
    answer = client.post(f"/mailings/{paid.pk}/let-be/", follow=True)
    assert answer.redirect_chain[-1][0] == f"/notifications/{paid.pk}/"
    assert mailing_factories.statuses(paid) == {"no_receipt": 1}
    assert recount.compare() == []


def test_its_sign_in_links_are_revoked_as_those_of_a_mailing(
    as_: As, manager: User, paid: Mailing
) -> None:
    Mailing.objects.filter(pk=paid.pk).update(links_sign_in=True)
    client = as_(manager)
    revoke = f"/mailings/{paid.pk}/revoke-links/"
    assert revoke in said(client, f"/notifications/{paid.pk}/")
    client.post(revoke)
    paid.refresh_from_db()
    assert paid.sign_in_revoked_at


# --- a try --------------------------------------------------------------------------------------
def test_a_try_goes_to_the_person_named_with_the_values_typed(
    as_: As, manager: User, paid: Mailing, student: User
) -> None:
    client = as_(manager)
    path = f"/notifications/{paid.pk}/try/"
    assert 'name="value_number"' in said(client, path)
    said(client, path, email=" Ivan@Example.com", value_number="77")
    message = Message.objects.get()
    assert (message.text, message.user, message.mailing.kind) == (
        "Order 77 is paid",
        student,
        Mailing.Kind.TEST,
    )
    assert "Order 77 is paid" in said(client, f"/messages/{message.pk}/")
    assert "There is nobody with this e-mail" in said(client, path, email="nobody@example.com")
    consent.forbid(student, None)
    assert "forbidden" in said(client, path, email=student.email)
    assert Message.objects.count() == 1


def test_a_try_of_the_code_holds_a_made_up_one(as_: As, manager: User, student: User) -> None:
    code = registry.named(registry.PHONE_CODE)
    assert code is not None
    said(as_(manager), f"/notifications/{code.pk}/try/", email=student.email, value_code="123456")
    assert Message.objects.get().text.startswith("Your code: 123456.")


def test_an_unused_one_is_deleted_after_a_question(as_: As, manager: User, paid: Mailing) -> None:
    client = as_(manager)
    path = f"/notifications/{paid.pk}/delete/"
    assert path not in said(client, f"/notifications/{paid.pk}/")
    assert "Switch it off first" in said(client, path, sure="yes")
    editing.switch(paid, manager, on=False)
    assert path in said(client, f"/notifications/{paid.pk}/")
    assert "Delete “Paid”?" in said(client, path)
    assert "is deleted" in said(client, path, sure="yes")
    assert not Mailing.objects.filter(event="paid").exists()


def test_a_student_added_by_hand_is_welcomed(as_: As, manager: User) -> None:
    welcome = registry.named(registry.WELCOME)
    assert welcome is not None
    editing.switch(welcome, manager, on=True)
    person = {"first_name": "Vera", "email": "vera@example.com", "phone": "+79980000044"}
    as_(manager).post("/people/new/", person)
    message = Message.objects.get()
    assert (message.phone, message.mailing) == ("+79980000044", welcome)
    assert message.text.startswith("Welcome, Vera!")
