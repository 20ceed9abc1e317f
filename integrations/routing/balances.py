"""Asks for the balance of every connected account from time to time."""

import contextlib
from datetime import timedelta

from django.utils import timezone

from integrations.models import Account
from integrations.providers.contract import Balance, ProviderError
from smsmail.jobs import moments

from . import routing, service_clock
from .in_turn import Turns

BALANCE_AGE = timedelta(minutes=10)


def refresh_balances() -> bool:
    """Periodic job: ask for the balance of every connected account whose balance is older than
    BALANCE_AGE. True would mean more to do at once; there never is.
    """
    return _balances.take(routing.connected())


def _refresh_balance(account: Account) -> bool:
    now = timezone.now()
    asked_at = moments.believed(account.balance_at, timedelta(), now)
    fresh = asked_at and asked_at > now - BALANCE_AGE
    provider = routing.provider_of(account)
    if not fresh and provider.has_balance:
        # Only sending starts a cooldown; a balance is just a figure.
        with contextlib.suppress(ProviderError):
            write_down(account, provider.balance())
        service_clock.note_clock(account.id, provider)
    return False


_balances = Turns("refresh_balances", _refresh_balance)


def write_down(account: Account, balance: Balance) -> None:
    Account.objects.filter(id=account.id).update(
        balance=balance.amount,
        balance_currency=balance.currency[:3],
        balance_at=timezone.now(),
    )
