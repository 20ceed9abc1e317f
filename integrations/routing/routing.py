"""Which account sends now: the connected ones in the order of priority, and the one that stands in while the
first cools down.
"""

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from integrations import providers
from integrations.models import Account, Routing
from integrations.providers.base import Credentials, Provider
from users.models import User, audit

from . import cooldown


def provider_class(slug: str) -> type[Provider]:
    """KeyError for a slug that is not registered."""
    return providers.provider_class(slug)


def connected() -> list[Account]:
    """Connected accounts, the one with priority first."""
    order = [provider.slug for provider in providers.REGISTRY]
    accounts = [each for each in Account.objects.filter(provider__in=order) if each.connected]
    return sorted(accounts, key=lambda account: order.index(account.provider))


def current() -> Account | None:
    """The account that has priority: the first connected one, resting or not."""
    return next(iter(connected()), None)


def sender() -> Account | None:
    """The account to hand over to now: the one with priority or, while it rests and the switch is
    on, the next that does not. None: messages wait.
    """
    return sender_of(connected())


def sender_of(accounts: Sequence[Account]) -> Account | None:
    """The same among these, which have been read already."""
    if not accounts:
        return None
    first, *others = accounts
    if not cooldown.is_on(first):
        return first
    others = [each for each in others if may_stand_in(each) and not cooldown.is_on(each)]
    return others[0] if others and falls_back() else None


def may_stand_in(account: Account) -> bool:
    """The simulator would only pretend to send what people wait for."""
    return not provider_class(account.provider).is_simulator


def falls_back() -> bool:
    """May the next connected service send while the first is down?"""
    return Routing.objects.filter(fallback=True).exists()


@transaction.atomic
def set_fallback(on: bool, by: User | None) -> None:
    if falls_back() != on:
        Routing.objects.update_or_create(id=Routing.ONLY, defaults={"fallback": on})
        audit(by, "fallback_on" if on else "fallback_off", "routing")


def provider_of(account: Account) -> Provider:
    """The provider with this account's credentials, ready to send."""
    return provider_class(account.provider)(
        Credentials(values=account.credentials, sender=account.sender), receipt_url(account)
    )


def receipt_url(account: Account) -> str:
    """Where the provider tells us what became of messages."""
    return called_url(account) + provider_class(account.provider).callback_hint


def called_url(account: Account, query: str = "", key: str = "") -> str:
    """Our receipt webhook as the provider called it, whatever proxies made of the address since. key: the
    one it was called with, where that may be the one before.
    """
    webhook = f"{settings.PUBLIC_URL}/hooks/{account.provider}/{key or account.receipt_key}/"
    return f"{webhook}?{query}" if query else webhook
