"""What the pages say and let one do when a service is down or its money runs out: banners, the
switch, the limits, the last trouble, a test to oneself.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import Account, SimulatedSms
from integrations.reasons import Reason
from integrations.routing import accounts, cooldown, routing
from mailings.models import Counters, Mailing, Message
from tests import factories
from tests.emulators.smsc import APIKEY, SmscEmulator
from tests.emulators.twilio import TwilioEmulator
from users.consent import consent
from users.models import AuditEvent, OptOut, User
from users.rights import Right, Role

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db

LIST = "/settings/integrations/"
SMSC = f"{LIST}smsc/"
SIMULATOR = f"{LIST}simulator/"
ME = {"phone": "8 998 000-00-07", "text": "Hello me"}
NO_MONEY = "Not enough money on the account of the SMS service"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def page(client: Client, address: str) -> str:
    return words(client.get(address).content.decode())


def posted(client: Client, address: str, data: dict[str, str]) -> str:
    return words(client.post(address, data, follow=True).content.decode())


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.partition("<main")[2]).split())


def down(reason: Reason = Reason.NO_MONEY, **fields: Any) -> Account:
    account = factories.smsc(**fields)
    cooldown.start(account.id, reason, "smsc:error 3")
    return account


# --- banners ---------------------------------------------------------------------------------
def test_on_every_page_it_says_what_happened_since_when_until_when_and_what_to_do(
    as_: As, owner: User
) -> None:
    down()
    until = timezone.now() + timedelta(minutes=4)  # a longer one would be a wrong clock's
    Account.objects.update(cooldown_since=timezone.now() - timedelta(hours=3), cooldown_until=until)
    for address in ("/people/", "/me/", "/mailings/", LIST, SMSC):
        text = page(as_(owner), address)
        assert f"SMSC: {NO_MONEY}" in text, address
        assert "Top up the account." in text
        assert "Since " in text
        assert f"next try at {timezone.localtime(until):%H:%M:%S}" in text
        assert "smsc:error 3" in text


def test_pages_that_tell_everybody_tell_it_once(as_: As, owner: User, manager: User) -> None:
    down()
    draft = Mailing.objects.create(name="Webinar", text="Hello", everyone=True)
    sending = Mailing.objects.create(name="Webinar", text="Hello", state=Mailing.State.SENDING)
    Counters.objects.create(mailing=sending, waiting=1)
    done = Mailing.objects.create(name="Webinar", text="Hello", state=Mailing.State.DONE)
    Counters.objects.create(mailing=done, delivered=1)
    addresses = ("/", "/mailings/new/", *(f"/mailings/{each.pk}/" for each in (draft, sending)))
    for address in addresses:
        assert page(as_(owner), address).count(f"SMSC: {NO_MONEY}") == 1, address
        assert page(as_(manager), address).count(f"SMSC: {NO_MONEY}") == 1, address
    assert page(as_(owner), f"/mailings/{done.pk}/").count(f"SMSC: {NO_MONEY}") == 1
    assert NO_MONEY not in page(as_(manager), f"/mailings/{done.pk}/")


def test_it_is_for_those_responsible_for_the_account(
    as_: As, administrator: User, student: User
) -> None:
    down()
    Account.objects.update(balance=1, warn_below=100)
    for person in (administrator, student):
        assert "SMSC" not in page(as_(person), "/me/")
    rita = factories.person("rita", role=Role.ADMINISTRATOR, rights=[str(Right.ACCOUNT)])
    assert NO_MONEY in page(as_(rita), "/me/")


def test_it_is_gone_when_the_service_works_again(as_: As, owner: User) -> None:
    account = down()
    cooldown.end(account.id)
    assert NO_MONEY not in page(as_(owner), "/me/")


@pytest.mark.parametrize(
    ("balance", "warn_below", "warned"),
    [("99.99", "100", True), ("100", "100", False), ("0", None, False), (None, "100", False)],
)
def test_it_warns_when_the_money_runs_out(
    as_: As, owner: User, manager: User, balance: str | None, warn_below: str | None, warned: bool
) -> None:
    factories.smsc(balance=balance, warn_below=warn_below)
    left = "SMSC: 99.99 ₽ left That is less than 100 ₽. Top up the account"
    assert (left in page(as_(owner), "/me/")) is warned
    assert (left in page(as_(owner), "/")) is warned
    assert ("the balance runs out" in page(as_(manager), "/")) is warned
    assert "the balance runs out" not in page(as_(owner), "/")


def test_a_disconnected_service_warns_of_nothing(as_: As, owner: User) -> None:
    account = down(balance=1, warn_below=100)
    accounts.disconnect(account, owner)
    assert "SMSC" not in page(as_(owner), "/me/")


def test_it_costs_one_query_and_nothing_for_others(as_: As, owner: User, student: User) -> None:
    factories.smsc()
    factories.simulator()

    def accounts_asked(person: User) -> int:
        client = as_(person)
        with CaptureQueriesContext(connection) as asked:
            client.get("/me/messages/")
        return sum("integrations_account" in each["sql"] for each in asked)

    assert accounts_asked(owner) == 1
    assert accounts_asked(student) == 0


def test_a_page_of_errors_has_no_need_of_it(as_: As, owner: User, client: Client) -> None:
    down()
    assert client.get("/nowhere/").status_code in {302, 404}
    answer = as_(owner).get("/nowhere/")
    assert answer.status_code == 404


# --- the switch ------------------------------------------------------------------------------
def test_the_next_service_steps_in_by_a_switch(as_: As, owner: User) -> None:
    down()
    Account.objects.create(provider="twilio", credentials={"on": "yes"})
    client = as_(owner)
    assert "It has priority but is down: messages wait until it works again." in page(client, LIST)
    said = posted(client, f"{LIST}fallback/", {"on": "yes"})
    assert "While a service is down, the next connected one sends." in said
    assert "SMSC is down: Twilio sends in its place until SMSC works again." in said
    assert "Until then Twilio sends in its place." in page(client, "/people/")
    dashboard = page(client, "/")
    assert "Until it works again Twilio sends in its place." in dashboard
    assert "Messages go through Twilio." in dashboard
    assert AuditEvent.objects.get(what="fallback_on").by == owner
    said = posted(client, f"{LIST}fallback/", {"on": "no"})
    assert "While a service is down, messages wait." in said
    assert routing.sender() is None


# --- limits and the last trouble --------------------------------------------------------------
TYPED = {"host": "smsc.ru", "apikey": APIKEY, "price": "2.5"}


def test_pace_and_warning_are_kept(as_: As, owner: User) -> None:
    client = as_(owner)
    client.post(SMSC, TYPED | {"per_second": "30", "parallel": "2", "warn_below": "500,5"})
    account = Account.objects.get()
    assert (account.per_second, account.parallel, account.warn_below) == (30, 2, Decimal("500.5"))
    html = client.get(SMSC).content.decode()
    for value in ('name="per_second" value="30"', 'name="parallel" value="2"', 'value="500.5"'):
        assert value in html
    client.post(SMSC, TYPED)
    account.refresh_from_db()
    assert (account.per_second, account.parallel, account.warn_below) == (0, 4, None)


@pytest.mark.parametrize(
    "wrong", [{"per_second": "-1"}, {"parallel": "5"}, {"parallel": "0"}, {"warn_below": "-1"}]
)
def test_limits_have_limits(as_: As, owner: User, wrong: dict[str, str]) -> None:
    assert as_(owner).post(SMSC, TYPED | wrong).status_code == 200
    assert not Account.objects.exists()


def test_the_last_trouble_stays_to_be_seen(as_: As, owner: User) -> None:
    account = down()
    cooldown.end(account.id)
    text = page(as_(owner), SMSC)
    assert f"Last trouble {NO_MONEY} smsc:error 3 ," in text
    assert "It rests until" not in text
    accounts.disconnect(account, owner)
    factories.simulator()
    assert "Last trouble none so far" in page(as_(owner), SIMULATOR)


def test_only_what_can_be_asked_can_be_checked(as_: As, owner: User) -> None:
    factories.smsc()
    Account.objects.create(provider="seventech", credentials={"login": "a", "password": "b"})
    assert f'action="{SMSC}check/"' in as_(owner).get(SMSC).content.decode()
    assert "check/" not in as_(owner).get(f"{LIST}seventech/").content.decode()


def test_a_balance_is_shown_in_the_services_own_currency(
    as_: As, owner: User, twilio_emulator: TwilioEmulator
) -> None:
    account = factories.twilio()
    twilio_emulator.balance = Decimal("7.5")
    accounts.check(account)
    Account.objects.update(warn_below=10)
    assert "Balance: 7.50 $" in page(as_(owner), "/")
    for address in (LIST, f"{LIST}twilio/", "/me/"):
        assert "7.50 $" in page(as_(owner), address), address
        assert "RUB" not in page(as_(owner), address), address


def test_smsc_is_said_to_put_off_mass_messages(as_: As, owner: User) -> None:
    assert page(as_(owner), LIST).count("puts off mass messages to between 9 and 22") == 1


# --- a test to oneself ------------------------------------------------------------------------
def test_the_form_knows_my_phone(as_: As, owner: User) -> None:
    factories.simulator()
    User.objects.filter(pk=owner.pk).update(phone="+79980000009")
    assert 'value="+79980000009"' in as_(owner).get(SIMULATOR).content.decode()


def test_a_test_goes_straight_through_the_service_and_says_what_became_of_it(
    as_: As, owner: User
) -> None:
    factories.smsc()  # which has priority
    factories.simulator()
    said = posted(as_(owner), f"{SIMULATOR}try/", ME)
    assert "Simulator has taken the message. Now look at the phone." in said
    sms = SimulatedSms.objects.get()
    assert (sms.phone, sms.text) == ("+79980000007", "Hello me")
    assert not Message.objects.exists()
    event = AuditEvent.objects.get()
    assert (event.what, event.by, event.target) == ("account_tried", owner, "account simulator")
    assert event.details == {"outcome": "taken"}


def test_a_refusal_is_told_in_words(as_: As, owner: User) -> None:
    factories.simulator()
    said = posted(as_(owner), f"{SIMULATOR}try/", ME | {"phone": "+79980000000"})
    assert (
        "Simulator refused the message: The phone is not a number one can call (simulator:00)."
        " Correct the number" in said
    )


def test_each_kind_of_answer_is_told(as_: As, owner: User, smsc_emulator: SmscEmulator) -> None:
    account = factories.smsc(credentials={"host": "smsc.ru", "apikey": APIKEY})
    client = as_(owner)
    assert "SMSC has taken the message." in posted(client, f"{SMSC}try/", ME)
    smsc_emulator.misbehave("cut-after")
    said = posted(client, f"{SMSC}try/", ME)
    assert "The message may have arrived:" in said
    assert "Look at the phone before you try again." in said
    smsc_emulator.stop()
    said = posted(client, f"{SMSC}try/", ME)
    assert "The message surely was not sent: The SMS service cannot be reached" in said
    assert "It is not tried again by itself." in said
    account.refresh_from_db()
    assert not cooldown.is_on(account)  # mailings go on


def test_a_taken_test_wakes_the_service(as_: As, owner: User) -> None:
    account = factories.simulator()
    cooldown.start(account.id, Reason.UNAVAILABLE, "")
    posted(as_(owner), f"{SIMULATOR}try/", ME)
    account.refresh_from_db()
    assert not cooldown.is_on(account)


def test_nobody_gets_a_test_who_wants_no_sms(as_: As, owner: User) -> None:
    factories.simulator()
    consent.opt_out("+79980000007", OptOut.Source.PERSON)
    anna = factories.person("anna", phone="+79980000008")
    consent.forbid(anna, owner)
    for phone in ("+79980000007", "+79980000008"):
        said = posted(as_(owner), f"{SIMULATOR}try/", ME | {"phone": phone})
        assert "Nothing was sent: SMS to this phone are forbidden." in said
    assert not SimulatedSms.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"phone": ""}, "This field is required."),
        ({"phone": "12"}, "Digits are missing."),
        ({"text": " "}, "This field is required."),
    ],
)
def test_it_says_what_is_wrong_with_the_test(
    as_: As, owner: User, wrong: dict[str, str], error: str
) -> None:
    factories.simulator()
    assert error in posted(as_(owner), f"{SIMULATOR}try/", ME | wrong)
    assert not SimulatedSms.objects.exists()


def test_what_is_not_connected_cannot_be_tried(as_: As, owner: User) -> None:
    assert as_(owner).post(f"{SMSC}try/", ME).status_code == 404
    assert as_(owner).post(f"{LIST}nobody/try/", ME).status_code == 404
