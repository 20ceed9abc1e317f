"""Integration: connect, check, disconnect a service; and the simulator's phone."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from integrations.models import Account, SimulatedSms
from integrations.reasons import Reason
from integrations.routing import cooldown, routing
from tests import factories
from tests.emulators.smsc import APIKEY, LOGIN, PASSWORD, SmscEmulator
from users.models import AuditEvent, User
from users.rights import Right

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db

SMSC = "/settings/integrations/smsc/"
SIMULATOR = "/settings/integrations/simulator/"
TYPED = {
    "host": "smsc.ru",
    "login": LOGIN,
    "password": PASSWORD,
    "sender": "School",
    "price": "2,5",
}


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def said(client: Client, address: str) -> str:
    """What the page says after a POST to the address."""
    return client.post(address, follow=True).content.decode()


def test_it_is_for_those_responsible_for_the_account(
    as_: As, owner: User, administrator: User
) -> None:
    assert as_(administrator).get(SMSC).status_code == 403
    assert "/settings/integrations/" not in as_(administrator).get("/me/").content.decode()
    User.objects.filter(pk=administrator.pk).update(rights=[str(Right.ACCOUNT)])
    assert as_(administrator).get(SMSC).status_code == 200
    assert "/settings/integrations/" in as_(administrator).get("/me/").content.decode()
    assert as_(owner).get(SMSC).status_code == 200


def test_it_connects_a_service(as_: As, owner: User) -> None:
    answer = as_(owner).post(SMSC, TYPED)
    assert answer["Location"] == SMSC
    account = Account.objects.get()
    assert account.credentials == {"host": "smsc.ru", "login": LOGIN, "password": PASSWORD}
    assert (account.sender, account.price) == ("School", Decimal("2.5"))
    assert routing.current() == account
    event = AuditEvent.objects.get()
    assert (event.by, event.target) == (owner, "account smsc")


def test_it_never_shows_a_secret_again(as_: As, owner: User) -> None:
    client = as_(owner)
    client.post(SMSC, TYPED | {"login": "made-up-login", "password": "made-up-secret"})
    wrong = client.post(SMSC, TYPED | {"password": "another-secret", "price": "abc"})
    for page in (client.get(SMSC), client.get("/settings/integrations/"), wrong):
        text = page.content.decode()
        assert "made-up-secret" not in text
        assert "another-secret" not in text
        assert "made-up-login" not in text
    text = client.get(SMSC).content.decode()
    assert "Saved, ends with …ogin." in text
    with connection.cursor() as cursor:
        cursor.execute("select credentials from integrations_account")
        assert "made-up" not in cursor.fetchone()[0]


def test_it_keeps_what_is_stored_when_a_field_is_left_empty(as_: As, owner: User) -> None:
    client = as_(owner)
    client.post(SMSC, TYPED)
    client.post(SMSC, TYPED | {"login": "", "password": "", "price": "3", "host": "smsc.kz"})
    account = Account.objects.get()
    assert account.credentials == {"host": "smsc.kz", "login": LOGIN, "password": PASSWORD}
    assert account.price == 3


def test_it_deletes_one_saved_secret_when_told_to(as_: As, owner: User) -> None:
    client = as_(owner)
    client.post(SMSC, TYPED | {"apikey": APIKEY})
    client.post(SMSC, TYPED | {"password": "", "forget_apikey": "on"})
    assert Account.objects.get().credentials["password"] == PASSWORD
    assert "apikey" not in Account.objects.get().credentials


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": ""}, "Enter the login and the password, or an API key."),
        ({"sender": "Школа"}, "Up to 11 Latin letters"),
        ({"price": "-1"}, "greater than or equal to 0"),
        ({"price": ""}, "This field is required"),
        ({"host": "evil.example.com"}, "Select a valid choice"),
    ],
)
def test_it_says_what_is_wrong_with_the_settings(
    as_: As, owner: User, changes: dict[str, str], words: str
) -> None:
    page = as_(owner).post(SMSC, TYPED | changes)
    assert words in page.content.decode()
    assert f'value="{LOGIN}"' in page.content.decode()
    assert not Account.objects.exists()


def test_check_tells_the_balance(as_: As, owner: User, smsc_emulator: SmscEmulator) -> None:
    client = as_(owner)
    client.post(SMSC, TYPED)
    smsc_emulator.balance = Decimal("1234.5")
    text = said(client, f"{SMSC}check/")
    assert "The service accepts the settings. Balance: 1,234.50" in text
    assert Account.objects.get().balance == Decimal("1234.5")


def test_check_says_in_words_what_is_wrong(
    as_: As, owner: User, smsc_emulator: SmscEmulator
) -> None:
    client = as_(owner)
    client.post(SMSC, TYPED | {"password": "wrong"})
    text = said(client, f"{SMSC}check/")
    assert str(Reason.BAD_LOGIN.about.title) in text
    assert "Check login and password or key" in text
    smsc_emulator.stop()
    assert str(Reason.UNAVAILABLE.about.title) in said(client, f"{SMSC}check/")


def test_it_disconnects_only_after_asking(as_: As, owner: User) -> None:
    client = as_(owner)
    client.post(SMSC, TYPED)
    page = client.get(f"{SMSC}disconnect/").content.decode()
    assert "cannot be read back" in page
    assert Account.objects.get().connected
    client.post(f"{SMSC}disconnect/")
    account = Account.objects.get()
    assert (account.credentials, account.sender) == ({}, "")
    assert routing.current() is None
    assert client.post(f"{SMSC}disconnect/").status_code == 404
    assert client.post(f"{SMSC}check/").status_code == 404


def test_it_says_which_service_sends_and_why(as_: As, owner: User) -> None:
    client = as_(owner)
    address = "/settings/integrations/"
    assert "No service is connected" in client.get(address).content.decode()
    factories.simulator()
    text = client.get(address).content.decode()
    assert "Everything goes through it" in text
    factories.smsc()
    text = " ".join(client.get(address).content.decode().split())
    assert (
        "Simulator is connected but waits: SMSC has priority."
        " To send through Simulator, disconnect SMSC." in text
    )


def test_it_says_why_a_service_rests_and_what_to_do(as_: As, owner: User) -> None:
    account = factories.smsc()
    cooldown.start(account.id, Reason.NO_MONEY, "smsc:error 3")
    for address in (SMSC, "/settings/integrations/"):
        text = as_(owner).get(address).content.decode()
        assert "Not enough money on the account of the SMS service. It rests until" in text
        assert "Top up the account." in text


def test_it_shows_the_address_for_receipts(as_: As, owner: User) -> None:
    account = factories.smsc()
    text = as_(owner).get(SMSC).content.decode()
    assert f"/hooks/smsc/{account.receipt_key}/?charset=utf-8" in text


def test_it_knows_no_other_services(as_: As, owner: User) -> None:
    client = as_(owner)
    for end in ("", "check/", "disconnect/"):
        assert client.post(f"/settings/integrations/nobody/{end}").status_code == 404


def test_the_simulator_is_connected_by_a_button(as_: As, owner: User) -> None:
    client = as_(owner)
    page = client.get(SIMULATOR).content.decode()
    assert "Nothing leaves this machine" in page
    assert "…02" in page
    client.post(SIMULATOR, {"price": "2.5"})
    assert routing.current() == Account.objects.get(provider="simulator")
    client.post(f"{SIMULATOR}disconnect/")
    assert routing.current() is None


def test_the_phone_shows_what_it_received(as_: As, manager: User) -> None:
    factories.simulator(sender="School")
    for number, text in enumerate(["first", "<b>second</b>"]):
        SimulatedSms.objects.create(
            reference=f"r{number}", phone="+79980000002", text=text, report_at=timezone.now()
        )
    client = as_(manager)
    assert "?phone=%2B79980000002" in client.get("/simulator/").content.decode()
    text = client.get("/simulator/?phone=8 998 000-00-02").content.decode()
    assert text.index("first") < text.index("&lt;b&gt;second&lt;/b&gt;")
    assert "out of reach" in text
    assert "has received nothing" in client.get("/simulator/?phone=89980000003").content.decode()
    assert "This is not a phone" in client.get("/simulator/?phone=%00abc").content.decode()


def test_the_phone_explains_itself_when_there_is_no_simulator(
    as_: As, manager: User, owner: User
) -> None:
    assert "Ask the owner to connect it" in as_(manager).get("/simulator/").content.decode()
    assert "Connect the simulator" in as_(owner).get("/simulator/").content.decode()


def test_the_pages_need_no_more_queries_for_more_messages(
    as_: As, manager: User, django_assert_max_num_queries: Any
) -> None:
    factories.simulator()
    factories.working()
    client = as_(manager)
    for count in (5, 300):
        SimulatedSms.objects.bulk_create(
            SimulatedSms(reference="r", phone="+79980000002", text="x", report_at=timezone.now())
            for _ in range(count)
        )
        with django_assert_max_num_queries(8):
            page = client.get("/simulator/?phone=89980000002")
        assert len(page.context["received"]) <= 50


@pytest.mark.parametrize(("make", "by_itself"), [(factories.smsc, False), (factories.twilio, True)])
def test_it_does_not_ask_to_enter_an_address_that_goes_with_every_message(
    as_: As, owner: User, make: Callable[[], Account], by_itself: bool
) -> None:
    page = said(as_(owner), f"/settings/integrations/{make().provider}/")
    assert ("It goes with every message by itself" in page) is by_itself
    assert ("so that it tells us what was delivered" in page) is not by_itself
