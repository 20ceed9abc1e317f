"""Pages that said what is not so, seen by a manager, an owner and a support person.

Each test names what was seen: badges, figures that did not add up, promises nobody kept.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone, translation

from integrations.models import Account, Receipt, Stray
from integrations.providers.contract import DeliveryReport, DeliveryStatus, Outcome, SendResult
from integrations.reasons import Reason
from integrations.routing import trial_messages
from mailings.lifecycle import start
from mailings.models import Batch, Mailing
from mailings.sending import prepare, receipts, record
from tests import factories
from tests.emulators.seventech import SevenTechEmulator
from tests.emulators.smsc import LOGIN, PASSWORD, SmscEmulator
from tests.mailings import mailing_factories
from users.models import LinkSignIn, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
MOSCOW = ZoneInfo("Europe/Moscow")
SETTINGS = "/settings/integrations/"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.partition("<main")[2]).split())


def page(client: Client, address: str, **fields: Any) -> str:
    return words(client.get(address, fields, follow=True).content.decode())


# --- the badge of a service -------------------------------------------------------------------
def test_a_service_that_nothing_has_proven_is_not_said_to_send(
    as_: As, owner: User, smsc_emulator: SmscEmulator
) -> None:
    factories.smsc()
    client = as_(owner)
    assert "Not checked" in page(client, f"{SETTINGS}smsc/")
    client.post(f"{SETTINGS}smsc/check/")
    assert "Sends now" in page(client, f"{SETTINGS}smsc/")


def test_a_refused_login_is_on_the_badge_and_is_the_last_trouble(
    as_: As, owner: User, seventech_emulator: SevenTechEmulator
) -> None:
    """A test was refused with 401; the badge stayed “Sends”, and the last trouble “none so far”."""
    factories.seventech(credentials={"login": "school", "password": "wrong"})
    client = as_(owner)
    client.post(f"{SETTINGS}seventech/try/", {"phone": "+79980000001", "text": "Hello"})
    shown = page(client, f"{SETTINGS}seventech/")
    assert "Refuses the settings" in shown
    assert "Sends now" not in shown
    assert "none so far" not in shown
    assert "Refuses the settings" in page(client, SETTINGS)


def test_a_refused_check_of_a_service_that_worked_is_on_the_badge(
    as_: As, owner: User, smsc_emulator: SmscEmulator
) -> None:
    account = factories.smsc()
    client = as_(owner)
    client.post(f"{SETTINGS}smsc/check/")
    Account.objects.filter(pk=account.pk).update(
        credentials=account.credentials | {"password": "changed there"}
    )
    client.post(f"{SETTINGS}smsc/check/")
    assert "Refuses the settings" in page(client, f"{SETTINGS}smsc/")


def test_a_batch_that_is_taken_proves_a_service(
    as_: As, owner: User, manager: User, smsc_emulator: SmscEmulator
) -> None:
    factories.smsc()
    factories.students(2)
    mailing_factories.prepared(manager)
    mailing_factories.sent(Outcome.TAKEN)
    assert "Sends now" in page(as_(owner), f"{SETTINGS}smsc/")


def test_after_saving_it_names_a_button_that_is_there(as_: As, owner: User) -> None:
    typed = {"login": "school", "password": "made-up", "sender": "School", "price": "2.5"}
    said = as_(owner).post(f"{SETTINGS}seventech/", typed, follow=True).content.decode()
    assert "Saved. Send a test to see" in said
    assert "Press “Check”" not in said


def test_a_test_message_shows_what_became_of_it(
    as_: As, owner: User, seventech_emulator: SevenTechEmulator
) -> None:
    """The page said to see that it becomes “Delivered” here, and nothing here showed it."""
    account = factories.seventech()
    client = as_(owner)
    client.post(f"{SETTINGS}seventech/try/", {"phone": "+79980000008", "text": "Hello"})
    shown = page(client, f"{SETTINGS}seventech/")
    assert "+79980000008 Taken by the service, no report yet" in shown
    test = Stray.objects.get()
    told = DeliveryReport(test.reference, test.phone, DeliveryStatus.DELIVERED)
    other = DeliveryReport(test.reference, "+79980000009", DeliveryStatus.UNDELIVERED)
    assert trial_messages.hear([other]) == set()
    assert trial_messages.hear([told]) == {test.reference}
    assert "+79980000008 Delivered" in page(client, f"{SETTINGS}seventech/")
    late = DeliveryReport(test.reference, test.phone, DeliveryStatus.ACCEPTED)
    trial_messages.hear([late])  # what is final stays
    assert "+79980000008 Delivered" in page(client, f"{SETTINGS}seventech/")
    assert trial_messages.latest(account).count() == 1


def test_a_receipt_of_a_test_is_no_strangers(
    as_: As, owner: User, smsc_emulator: SmscEmulator
) -> None:
    account = factories.smsc(credentials={"host": "smsc.ru", "login": LOGIN, "password": PASSWORD})
    as_(owner).post(f"{SETTINGS}smsc/try/", {"phone": "+79980000008", "text": "Hello"})
    body = f"id={Stray.objects.get().reference}&phone=79980000008&status=1"
    Receipt.objects.create(account=account, body=body)
    receipts.process_due()
    assert mailing_factories.receipt_outcomes() == ["applied"]
    assert "+79980000008 Delivered" in page(as_(owner), f"{SETTINGS}smsc/")


# --- figures ----------------------------------------------------------------------------------
def test_the_figures_of_the_dashboard_add_up(as_: As, manager: User) -> None:
    """30 days said 757 sent, 670 delivered and 93 errors."""
    factories.simulator()
    factories.students(6)
    mailing_factories.prepared(manager)
    batch = mailing_factories.claimed()
    outcomes = [Outcome.TAKEN, Outcome.TAKEN, Outcome.TAKEN, Outcome.REFUSED, Outcome.UNKNOWN]
    record.record(
        batch,
        [
            SendResult(sms.key, outcome, reason=None if outcome == Outcome.TAKEN else Reason.OTHER)
            for sms, outcome in zip(batch.messages, outcomes, strict=False)
        ],
    )
    shown = page(as_(manager), "/")
    handed_over, delivered, errors, still_open = (
        int(re.search(rf"(\d+)(?: \d+&nbsp;%)? {label}", shown)[1])  # type: ignore[index]
        for label in (
            "Messages handed over",
            "Delivered",
            "Errors",
            "On the way or without a report",
        )
    )
    assert (handed_over, errors) == (5, 1)
    assert handed_over == delivered + errors + still_open


@pytest.fixture
def kept(manager: User, time_machine: Any) -> Mailing:
    """Handed over at noon, to be sent by the service at half past two."""
    factories.smsc()
    factories.students(3)
    noon = datetime(2026, 3, 4, 12, tzinfo=MOSCOW)
    time_machine.move_to(noon, tick=False)
    mailing = mailing_factories.launched(manager, starts_at=noon + timedelta(hours=2, minutes=30))
    start.start_due()
    prepare.prepare_due()
    mailing_factories.sent(Outcome.TAKEN)
    assert Batch.objects.get().send_at
    return mailing


def test_what_only_waits_at_the_service_is_neither_sent_nor_on_the_way(
    as_: As, manager: User, kept: Mailing, time_machine: Any
) -> None:
    """37 stood as “Sent”, and “have already gone 37”, two hours before they left."""
    client = as_(manager)
    for address in (f"/mailings/{kept.pk}/", f"/mailings/{kept.pk}/recipients/"):
        shown = page(client, address)
        assert "At the service, waits for its time" in shown, address
        assert "On the way" not in shown, address
    assert "Have already gone 0" in page(client, f"/mailings/{kept.pk}/cancel/")
    time_machine.move_to(datetime(2026, 3, 4, 15, tzinfo=MOSCOW))
    assert "On the way" in page(client, f"/mailings/{kept.pk}/")


def test_disconnecting_says_what_lies_at_the_service(as_: As, owner: User, kept: Mailing) -> None:
    shown = page(as_(owner), f"{SETTINGS}smsc/disconnect/")
    assert "3 messages lie at the service until their time" in shown
    Batch.objects.update(send_at=None)
    assert "lie at the service" not in page(as_(owner), f"{SETTINGS}smsc/disconnect/")


# --- promises ---------------------------------------------------------------------------------
def test_the_launch_names_the_moment_after_which_nothing_can_be_stopped(
    as_: As, manager: User
) -> None:
    factories.smsc()
    factories.students(3)
    later = mailing_factories.draft(starts_at=timezone.now() + timedelta(days=1))
    shown = page(as_(manager), f"/mailings/{later.pk}/launch/")
    assert "it can no longer be stopped here" in shown
    assert "You can pause or cancel at any moment" not in shown
    now = mailing_factories.draft()
    shown = page(as_(manager), f"/mailings/{now.pk}/launch/")
    assert "You can pause or cancel at any moment" in shown


def test_the_minute_of_the_countdown_is_not_called_scheduled(as_: As, manager: User) -> None:
    factories.simulator()
    factories.students(3)
    mailing_factories.policy(countdown=60)
    mailing = mailing_factories.launched(manager)
    assert "About to start" in page(as_(manager), f"/mailings/{mailing.pk}/")
    timed = mailing_factories.launched(manager, starts_at=timezone.now() + timedelta(days=1))
    assert "About to start" not in page(as_(manager), f"/mailings/{timed.pk}/")


# --- names ------------------------------------------------------------------------------------
def test_a_sign_in_by_a_link_names_its_mailing(as_: As, manager: User, student: User) -> None:
    """It said “mailing 19”, the number of a row."""
    mailing = mailing_factories.draft(name="Webinar on Friday")
    for source in (f"mailing {mailing.pk}", "mailing 999999", "mailing x"):
        LinkSignIn.objects.create(user=student, source=source, outcome="signed_in")
    shown = page(as_(manager), f"/people/{student.pk}/")
    assert "Webinar on Friday" in shown
    assert shown.count("a mailing that is deleted") == 2


def test_required_fields_are_marked_and_optional_ones_are_not(as_: As, owner: User) -> None:
    html = as_(owner).get(f"{SETTINGS}smsc/").content.decode()
    marked = re.findall(r'<label for="(\w+)">[^<]*<span class="required"', html)
    assert "id_price" in marked
    assert "id_warn_below" not in marked


def test_an_address_to_copy_has_a_button(as_: As, owner: User) -> None:
    factories.smsc()
    html = as_(owner).get(f"{SETTINGS}smsc/").content.decode()
    assert 'data-copy="callback"' in html


@pytest.mark.parametrize("language", ["en", "ru"])
def test_money_has_one_form(as_: As, owner: User, language: str, settings: Any) -> None:
    """The page of the service had “10 000,00 RUB”, the dashboard “10 000 ₽”."""
    settings.LANGUAGE_CODE = language
    factories.smsc(
        balance=10_000, balance_at=timezone.now(), balance_currency="RUB", warn_below=20_000
    )
    client = as_(owner)
    with translation.override(language):
        for address in ("/", SETTINGS, f"{SETTINGS}smsc/"):
            shown = page(client, address)
            assert "RUB" not in shown, address
            assert re.search(r"10[,\s]000 ₽", shown), address
