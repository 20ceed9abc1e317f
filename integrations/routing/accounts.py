"""Connecting, disconnecting, checking and testing an account."""

from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.models import Account, FormerLogin, Stray
from integrations.providers.contract import Balance, Outcome, ProviderError, SendResult, Sms
from integrations.reasons import Reason
from smsmail.uptime import clock
from users.consent import consent
from users.models import User, audit

from . import balances, cooldown, logins, routing, service_clock, trial_messages


@transaction.atomic
def connect(
    slug: str,
    credentials: dict[str, str],
    *,
    sender: str,
    price: Decimal,
    by: User | None,
    parallel: int | None = None,  # None: as many as the provider accepts
    per_second: int = 0,
    warn_below: Decimal | None = None,
) -> Account:
    """Store the settings; the account sends from now on if it has priority. Earlier credentials are kept
    as long as open messages need them for look-ups.
    """
    provider = routing.provider_class(slug)
    before = Account.objects.select_for_update(no_key=True).filter(provider=slug).first()
    if before is not None and logins.fingerprint(slug, credentials) != logins.fingerprint(
        slug, before.credentials
    ):
        logins.keep(before)
    account, _ = Account.objects.update_or_create(
        provider=slug,
        defaults={
            "credentials": credentials,
            "sender": sender,
            "price": price,
            "currency": settings.CURRENCY,
            "parallel": min(parallel or provider.parallel, provider.parallel),
            "per_second": per_second,
            "next_free_at": None,
            "warn_below": warn_below,
            "balance": None,
            "balance_at": None,
            "proven_at": timezone.now() if provider.is_simulator else None,
            **cooldown.AWAKE,
            **cooldown.NO_TROUBLE,
        },
    )
    audit(by, "account_connected", f"account {slug}")
    return account


@transaction.atomic
def disconnect(account: Account, by: User | None) -> None:
    """Delete the credentials, earlier ones too. Waiting messages go through the next connected
    provider, if any. Messages that may have been sent can be looked up once the same login is
    connected again.
    """
    FormerLogin.objects.filter(account=account).delete()
    Account.objects.filter(id=account.id).update(
        credentials={},
        sender="",
        balance=None,
        balance_at=None,
        **cooldown.AWAKE,
        **cooldown.NO_TROUBLE,
    )
    account.refresh_from_db()
    audit(by, "account_disconnected", f"account {account.provider}")


def check(account: Account) -> Balance | None:
    """Ask the provider for the balance (None if it has none). A success ends the account's
    cooldown.

    Raises ProviderError.
    """
    provider = routing.provider_of(account)
    try:
        balance = provider.balance() if provider.has_balance else None
    except ProviderError as trouble:
        cooldown.doubt_settings(account, trouble.reason, trouble.raw)
        raise
    service_clock.note_clock(account.id, provider)
    if balance is not None:
        balances.write_down(account, balance)
    cooldown.end(account.id)
    account.refresh_from_db()
    return balance


class Refuses(Exception):
    """Nothing may be sent to this phone: it has opted out, or SMS to its owner are forbidden."""


def try_out(account: Account, phone: str, text: str, by: User | None) -> SendResult:
    """Send one message through this account, whether or not it has priority or is cooling down. The
    message belongs to no mailing and no statistics.

    Takes as long as the provider does: never call it inside a transaction. A failure starts no
    cooldown, since nothing waits for this message; a success proves that the account works.

    Raises Refuses.
    """
    if consent.phone_refuses(phone):
        raise Refuses
    reference = trial_messages.new_reference()
    sms = Sms(key=0, phone=phone, text=text)
    deadline = clock() + settings.BATCH_DEADLINE
    provider = routing.provider_of(account)
    # Stored before it leaves: it will be in the provider's records and must not be taken for
    # another message.
    stray = Stray.objects.create(
        account=account, phone=phone, at=timezone.now(), reference=reference
    )
    result = next(
        iter(provider.send(reference, [sms], deadline)),
        SendResult(0, Outcome.UNKNOWN, reason=Reason.NO_ANSWER),
    )
    if result.outcome == Outcome.UNSENT:
        stray.delete()
    else:
        trial_messages.keep(stray, result)
    service_clock.note_clock(account.id, provider)
    if result.outcome == Outcome.TAKEN:
        cooldown.end(account.id)
    elif result.reason is not None:
        cooldown.doubt_settings(account, result.reason, result.raw)
    audit(by, "account_tried", f"account {account.provider}", outcome=result.outcome.value)
    return result
