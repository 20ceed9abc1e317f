"""Which account sends now; connect, disconnect and check one; put one to rest and wake it again."""

from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from users.models import User, audit

from . import providers
from .models import Account, Receipt, SimulatedSms
from .provider import Balance, Credentials, Provider, Trouble
from .reasons import Reason

# How long an account rests after the first, second, ... trouble in a row, in settings.REST.
RESTS = (1, 2, 4, 10)
BALANCE_AGE = timedelta(minutes=10)
KEEP_RECEIPTS = timedelta(days=90)


def provider_class(slug: str) -> type[Provider]:
    """KeyError for a slug that is not registered."""
    return providers.provider_class(slug)


def connected() -> list[Account]:
    """Connected accounts, the one with priority first."""
    order = [provider.slug for provider in providers.REGISTRY]
    accounts = [each for each in Account.objects.filter(provider__in=order) if each.connected]
    return sorted(accounts, key=lambda account: order.index(account.provider))


def current() -> Account | None:
    """The account that sends: the first connected one by priority, resting or not."""
    return next(iter(connected()), None)


def rests(account: Account) -> bool:
    return account.resting_until is not None and account.resting_until > timezone.now()


def provider_of(account: Account) -> Provider:
    """The provider with this account's credentials, ready to send."""
    return provider_class(account.provider)(
        Credentials(values=account.credentials, sender=account.sender), receipt_url(account)
    )


def receipt_url(account: Account) -> str:
    """Where the provider tells us what became of messages."""
    return called_url(account) + provider_class(account.provider).callback_hint


def called_url(account: Account, query: str = "") -> str:
    """Our receipt door as the provider called it, whatever proxies made of the address since."""
    door = f"{settings.PUBLIC_URL}/hooks/{account.provider}/{account.receipt_key}/"
    return f"{door}?{query}" if query else door


@transaction.atomic
def connect(
    slug: str, credentials: dict[str, str], *, sender: str, price: Decimal, by: User | None
) -> Account:
    """Keep the settings; the account sends from now on if it has priority."""
    provider = provider_class(slug)
    account, _ = Account.objects.update_or_create(
        provider=slug,
        defaults={
            "credentials": credentials,
            "sender": sender,
            "price": price,
            "currency": settings.CURRENCY,
            "parallel": provider.parallel,
            "balance": None,
            "balance_at": None,
            **_AWAKE,
        },
    )
    audit(by, "account_connected", f"account {slug}")
    return account


@transaction.atomic
def disconnect(account: Account, by: User | None) -> None:
    """Delete the credentials. What waits goes through the next connected service, if any."""
    Account.objects.filter(id=account.id).update(
        credentials={}, sender="", balance=None, balance_at=None, **_AWAKE
    )
    account.refresh_from_db()
    audit(by, "account_disconnected", f"account {account.provider}")


def check(account: Account) -> Balance | None:
    """Ask the provider for the balance (None where it has none). Raises Trouble, in words.

    An account that rested because of money or login wakes up when the check succeeds.
    """
    provider = provider_of(account)
    balance = provider.balance() if provider.has_balance else None
    if balance is not None:
        Account.objects.filter(id=account.id).update(
            balance=balance.amount, balance_at=timezone.now()
        )
    wake(account.id)
    account.refresh_from_db()
    return balance


def rest(account_id: int, reason: Reason, raw: str) -> None:
    """Hand nothing over for a while: 30 s (settings.REST), then 1, 2 and 5 minutes.

    Several lots that fail at the same moment count as one trouble.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update().get(id=account_id)
        if rests(account):
            return
        pause = settings.REST * RESTS[min(account.failures, len(RESTS) - 1)]
        account.failures = F("failures") + 1
        account.resting_until = timezone.now() + timedelta(seconds=pause)
        account.rest_reason = reason
        account.rest_raw = raw[:64]
        account.save(update_fields=["failures", "resting_until", "rest_reason", "rest_raw"])


def wake(account_id: int) -> None:
    """It works again. Writes nothing when nothing was wrong: this is asked after every lot."""
    Account.objects.filter(id=account_id, failures__gt=0).update(**_AWAKE)


_AWAKE = {"failures": 0, "resting_until": None, "rest_reason": "", "rest_raw": ""}


def refresh_balances() -> bool:
    """Clock job: ask every connected account that has not been asked lately."""
    for account in connected():
        fresh = account.balance_at and account.balance_at > timezone.now() - BALANCE_AGE
        provider = provider_of(account)
        if fresh or not provider.has_balance:
            continue
        try:
            balance = provider.balance()
        except Trouble:
            continue  # sending itself puts the account to rest; a balance is only a figure
        Account.objects.filter(id=account.id).update(
            balance=balance.amount, balance_at=timezone.now()
        )
    return False


def forget_old() -> bool:
    """Clock job: folded receipts and the simulator's books are kept 90 days. A slice at a time."""
    before = timezone.now() - KEEP_RECEIPTS
    receipts = Receipt.objects.filter(received_at__lt=before, folded_at__isnull=False)
    old = list(receipts.order_by("received_at").values_list("id", flat=True)[:5000])
    Receipt.objects.filter(id__in=old).delete()
    simulated = list(SimulatedSms.objects.filter(at__lt=before).values_list("id", flat=True)[:5000])
    SimulatedSms.objects.filter(id__in=simulated).delete()
    return bool(old or simulated)
