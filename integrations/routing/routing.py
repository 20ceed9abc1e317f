"""Decides which account sends now: connected accounts in order of priority, and the one that replaces the
first during its cooldown.
"""

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from integrations import providers
from integrations.models import Account, Routing
from integrations.providers.base import Provider
from integrations.providers.contract import Credentials
from smsmail.compiled_query import CompiledQuery
from users.models import User, audit

from . import cooldown

_ALL = CompiledQuery(Account, lambda: Account.objects.all())  # read for every batch


def provider_class(slug: str) -> type[Provider]:
    """Return the class. Raises KeyError for a slug that is not registered."""
    return providers.provider_class(slug)


def connected() -> list[Account]:
    """Return the connected accounts, the one with priority first."""
    order = [provider.slug for provider in providers.REGISTRY]
    accounts = [each for each in _ALL.instances() if each.provider in order and each.connected]
    return sorted(accounts, key=lambda account: order.index(account.provider))


def current() -> Account | None:
    """Return the account with priority: the first connected one, even during its cooldown."""
    return next(iter(connected()), None)


def sender() -> Account | None:
    """Return the account to submit to now: the one with priority or, during its cooldown and if the
    switch is on, the next that is not in a cooldown. None: messages wait.
    """
    return sender_of(connected())


def sender_of(accounts: Sequence[Account]) -> Account | None:
    """Do the same among accounts that have been read already."""
    if not accounts:
        return None
    first, *others = accounts
    if not cooldown.is_on(first):
        return first
    others = [each for each in others if may_stand_in(each) and not cooldown.is_on(each)]
    return others[0] if others and falls_back() else None


def may_stand_in(account: Account) -> bool:
    """False for the simulator: it would only pretend to send messages that people wait for."""
    return not provider_class(account.provider).is_simulator


def falls_back() -> bool:
    """True if the next connected provider sends while the first is down."""
    return Routing.objects.filter(fallback=True).exists()


@transaction.atomic
def set_fallback(on: bool, by: User | None) -> None:
    if falls_back() != on:
        Routing.objects.update_or_create(id=Routing.ONLY, defaults={"fallback": on})
        audit(by, "fallback_on" if on else "fallback_off", "routing")


def provider_of(account: Account) -> Provider:
    """Return the provider with this account's credentials, ready to send."""
    return provider_class(account.provider)(
        Credentials(values=account.credentials, sender=account.sender), receipt_url(account)
    )


def receipt_url(account: Account) -> str:
    """Return the URL at which the provider reports what became of messages."""
    return called_url(account) + provider_class(account.provider).callback_query


def called_url(account: Account, query: str = "", key: str = "") -> str:
    """Return our webhook's URL as the provider called it, even if proxies have changed it since. key: the
    key it was called with, if that may be the previous one.
    """
    return webhook_url(account.provider, key or account.receipt_key, query)


def webhook_url(slug: str, key: str, query: str = "") -> str:
    webhook = f"{settings.PUBLIC_URL}/hooks/{slug}/{key}/"
    return f"{webhook}?{query}" if query else webhook
