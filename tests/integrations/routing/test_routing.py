"""Which account sends, connecting and disconnecting, rest and wake, and what is kept how."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.db import connection
from django.utils import timezone

from integrations.models import Account, Receipt, ReceiptPack, SimulatedSms
from integrations.providers import REGISTRY
from integrations.providers.base import Provider
from integrations.providers.contract import Balance, ProviderError
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from integrations.receipts import packs
from integrations.receipts.inbox import RawReceipt
from integrations.routing import accounts, balances, cooldown, retention, routing
from tests import factories
from users.models import AuditEvent, User

PASSWORD = "a made-up password of the service"


class First(Simulator):
    """Before the other in the registry, after it in the alphabet."""

    slug = "west"
    parallel = 9
    says: ClassVar[Balance | ProviderError] = Balance(Decimal("12.5"), "RUB")
    asked: ClassVar[int] = 0

    def balance(self) -> Balance:
        First.asked += 1
        if isinstance(First.says, ProviderError):
            raise First.says
        return First.says


class Second(Simulator):
    slug = "east"
    has_balance = False


@pytest.fixture(autouse=True)
def two_services(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Sequence[type[Provider]] = (First, Second)
    monkeypatch.setattr("integrations.providers.REGISTRY", registry)
    First.says, First.asked = Balance(Decimal("12.5"), "RUB"), 0


def connect(slug: str, by: User | None = None) -> Account:
    return accounts.connect(
        slug, {"password": PASSWORD}, sender="School", price=Decimal("2.5"), by=by
    )


# --- which account sends ---------------------------------------------------------------------
def test_nothing_connected_sends_nothing(db: None) -> None:
    assert routing.current() is None
    Account.objects.create(provider="west")
    Account.objects.create(provider="forgotten", credentials={"on": "yes"})
    assert routing.connected() == []
    assert routing.current() is None


def test_the_first_of_the_registry_sends_whichever_was_connected_first(owner: User) -> None:
    second, first = connect("east"), connect("west")
    assert routing.connected() == [first, second]
    assert routing.current() == first
    cooldown.start(first.id, Reason.BUSY, "")
    assert routing.current() == first  # resting or not
    accounts.disconnect(first, owner)
    assert routing.current() == second


def test_the_registry_ends_with_the_simulator(db: None) -> None:
    assert REGISTRY[-1] is Simulator
    assert len({provider.slug for provider in REGISTRY}) == len(REGISTRY)


def test_an_unregistered_service_has_no_class(db: None) -> None:
    with pytest.raises(KeyError):
        routing.provider_class("nobody")


# --- connecting ------------------------------------------------------------------------------
def test_connecting_keeps_what_was_entered_and_says_who_did_it(owner: User) -> None:
    account = connect("west", owner)
    assert account.connected
    assert (account.credentials, account.sender, account.price) == (
        {"password": PASSWORD},
        "School",
        Decimal("2.5"),
    )
    assert account.parallel == First.parallel
    event = AuditEvent.objects.get()
    assert (event.what, event.target, event.by) == ("account_connected", "account west", owner)
    assert PASSWORD not in str(event.details)


def test_connecting_again_keeps_the_address_of_receipts_and_wakes_the_account(owner: User) -> None:
    before = connect("west")
    cooldown.start(before.id, Reason.BAD_LOGIN, "2")
    after = connect("west")
    assert after.id == before.id
    assert after.receipt_key == before.receipt_key
    assert not cooldown.is_on(after)
    assert (after.failures, after.cooldown_reason, after.cooldown_raw) == (0, "", "")


def test_disconnecting_deletes_the_credentials(owner: User) -> None:
    account = connect("west")
    accounts.check(account)
    cooldown.start(account.id, Reason.BUSY, "")
    accounts.disconnect(account, owner)
    assert (account.credentials, account.sender, account.balance) == ({}, "", None)
    assert not account.connected
    assert not cooldown.is_on(account)
    assert _raw_credentials() == ""
    assert AuditEvent.objects.get(what="account_disconnected").by == owner


def test_a_provider_is_made_with_the_accounts_credentials_and_address(settings: Any) -> None:
    settings.PUBLIC_URL = "https://sms.example.com"
    account = connect("west")
    provider = routing.provider_of(account)
    assert provider.credentials.get("password") == PASSWORD
    assert provider.credentials.sender == "School"
    assert provider.receipt_url == f"https://sms.example.com/hooks/west/{account.receipt_key}/"
    assert PASSWORD not in repr(provider.credentials)


# --- rest and wake ---------------------------------------------------------------------------
def test_it_rests_longer_each_time_and_a_success_forgets_it(db: None) -> None:
    account = connect("west")
    paused = []
    for _ in range(5):
        now = timezone.now()
        cooldown.start(account.id, Reason.UNAVAILABLE, "x" * 100)
        account.refresh_from_db()
        assert cooldown.is_on(account)
        assert account.cooldown_until is not None
        paused.append(round((account.cooldown_until - now).total_seconds()))
        Account.objects.update(cooldown_until=timezone.now() - timedelta(seconds=1))
    assert paused == [30, 60, 120, 300, 300]
    account.refresh_from_db()
    assert not cooldown.is_on(account)
    assert (account.cooldown_reason, account.cooldown_raw) == (Reason.UNAVAILABLE, "x" * 64)
    cooldown.end(account.id)
    account.refresh_from_db()
    assert (account.failures, account.cooldown_until) == (0, None)
    # Kept for whoever wants to know what it was.
    assert (account.cooldown_reason, account.cooldown_raw) == (Reason.UNAVAILABLE, "x" * 64)
    assert account.rest_about == Reason.UNAVAILABLE.about


def test_it_remembers_since_when_the_trouble_goes_on(db: None) -> None:
    account = connect("west")
    since = []
    for reason in (Reason.UNAVAILABLE, Reason.NO_MONEY):
        cooldown.start(account.id, reason, "")
        account.refresh_from_db()
        since.append(account.cooldown_since)
        Account.objects.update(cooldown_until=timezone.now())
    assert since[0] is not None
    assert since[0] == since[1]
    cooldown.end(account.id)
    cooldown.start(account.id, Reason.BUSY, "")
    account.refresh_from_db()
    assert account.cooldown_since is not None
    assert account.cooldown_since > since[0]


def test_trouble_while_it_rests_is_the_same_trouble(db: None) -> None:
    account = connect("west")
    cooldown.start(account.id, Reason.UNAVAILABLE, "the first")
    cooldown.start(account.id, Reason.NO_MONEY, "the second")
    account.refresh_from_db()
    assert (account.failures, account.cooldown_raw) == (1, "the first")


def test_waking_one_that_is_awake_writes_nothing(django_assert_num_queries: Any) -> None:
    account = connect("west")
    before = Account.objects.values().get()
    with django_assert_num_queries(1):
        cooldown.end(account.id)
    assert Account.objects.values().get() == before


# --- balance ---------------------------------------------------------------------------------
def test_a_check_asks_the_balance_and_wakes_the_account(db: None) -> None:
    account = connect("west")
    cooldown.start(account.id, Reason.NO_MONEY, "3")
    assert accounts.check(account) == First.says
    assert account.balance == Decimal("12.5")
    assert account.balance_at is not None
    assert not cooldown.is_on(account)


def test_a_check_that_fails_says_why_and_leaves_the_rest(db: None) -> None:
    account = connect("west")
    cooldown.start(account.id, Reason.NO_MONEY, "3")
    First.says = ProviderError(Reason.BAD_LOGIN)
    with pytest.raises(ProviderError, match="BAD_LOGIN"):
        accounts.check(account)
    account.refresh_from_db()
    assert cooldown.is_on(account)


def test_a_service_without_a_balance_can_be_checked(db: None) -> None:
    assert accounts.check(connect("east")) is None


def test_balances_are_asked_every_ten_minutes_where_there_are_any(db: None) -> None:
    connect("west")
    connect("east")
    balances.refresh_balances()
    balances.refresh_balances()
    assert First.asked == 1
    Account.objects.update(balance_at=timezone.now() - timedelta(minutes=11))
    First.says = ProviderError(Reason.UNAVAILABLE)
    balances.refresh_balances()
    assert First.asked == 2
    assert Account.objects.get(provider="west").balance == Decimal("12.5")


# --- encrypted at rest -----------------------------------------------------------------------
def _raw_credentials() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM integrations_account")
        (row,) = cursor.fetchall()
    return str(row[0])


def test_the_database_never_holds_the_password(db: None) -> None:
    connect("west")
    raw = _raw_credentials()
    assert raw
    assert PASSWORD not in raw
    assert "password" not in raw
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM integrations_account")
        assert PASSWORD not in str(cursor.fetchall())
    assert Account.objects.get().credentials == {"password": PASSWORD}


def test_a_wrong_key_raises_instead_of_handing_on_what_it_cannot_read(settings: Any) -> None:
    connect("west")
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(ValueError, match="not in FIELD_KEYS"):
        Account.objects.get()


def test_an_old_key_still_reads_and_the_first_one_writes(settings: Any) -> None:
    connect("west")
    old, new = settings.FIELD_KEYS[0], Fernet.generate_key().decode()
    settings.FIELD_KEYS = [new, old]
    account = Account.objects.get()
    assert account.credentials == {"password": PASSWORD}
    account.save()
    settings.FIELD_KEYS = [new]
    assert Account.objects.get().credentials == {"password": PASSWORD}


@pytest.mark.parametrize("lookup", ["exact", "contains", "in", "startswith"])
def test_what_is_encrypted_cannot_be_searched(db: None, lookup: str) -> None:
    with pytest.raises(FieldError):
        Account.objects.filter(**{f"credentials__{lookup}": "a"}).exists()


# --- forgetting ------------------------------------------------------------------------------
def test_processed_receipts_and_the_simulators_books_are_kept_ninety_days(db: None) -> None:
    account = factories.simulator()
    now = timezone.now()
    for days in (91, 89):
        received_at = now - timedelta(days=days)
        Receipt.objects.create(account=account, body=str(days), received_at=received_at)
        raw = RawReceipt(days, account.pk, account.provider, {}, "", str(days), received_at)
        packs.pack([raw], {days: "applied"})
        SimulatedSms.objects.create(
            phone="+79980000001", text=str(days), at=now - timedelta(days=days), report_at=now
        )
    while retention.forget_old():
        pass
    assert Receipt.objects.count() == 2  # what was never understood is not thrown away
    [kept] = [each for stored in ReceiptPack.objects.all() for each, _ in packs.unpack(stored)]
    assert kept.body == "89"
    assert set(SimulatedSms.objects.values_list("text", flat=True)) == {"89"}
