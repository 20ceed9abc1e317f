"""The accounts as this process has last read them, so that a receipt needs no query for its account and no
decryption. What is remembered may be out of date: only storing.store() may believe it, because it looks again.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import TextField
from django.db.models.functions import Cast

from integrations.models import Account
from integrations.providers.base import Provider
from integrations.providers.contract import Credentials
from integrations.routing import routing

from . import keys


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account as its row was. Two are equal if receipts are let in by the same rules."""

    id: int
    receipt_key: str
    old_receipt_key: str
    old_receipt_key_until: datetime | None
    credentials: str = field(repr=False)  # encrypted; every change makes another text
    provider: Provider = field(repr=False, compare=False)  # only to check calls


# One entry at most for each registered provider. Entries are replaced as a whole, so threads need no lock.
_known: dict[str, KnownAccount] = {}


def remembered(slug: str, key: str) -> KnownAccount | None:
    """Return the account if the key is valid by what is remembered of it."""
    account = _known.get(slug)
    return account if keys.is_right(account, key) else None


def look(slug: str, key: str) -> KnownAccount | None:
    """Read the account and return it if the key is valid now. Raises DatabaseError and WrongKey."""
    rows = Account.objects.filter(provider=slug).annotate(
        encrypted=Cast("credentials", TextField())
    )
    columns = ("id", "receipt_key", "old_receipt_key", "old_receipt_key_until", "encrypted")
    found = rows.values_list(*columns, named=True).first()
    right = keys.is_right(found, key)
    # A disconnected account still receives reports on messages that it had sent.
    if found is None or not right:
        return None
    before = _known.get(slug)
    if before is not None and (before.id, before.credentials) == (found.id, found.encrypted):
        provider = before.provider
    else:
        made = _provider(slug, found.encrypted)
        if made is None:
            return None
        provider = made
    account = KnownAccount(
        found.id,
        found.receipt_key,
        found.old_receipt_key,
        found.old_receipt_key_until,
        found.encrypted,
        provider,
    )
    if account == before:
        return before
    _known[slug] = account
    return account


def _provider(slug: str, encrypted: str) -> Provider | None:
    """Return None for a provider that is no longer registered."""
    try:
        provider_class = routing.provider_class(slug)
    except KeyError:
        return None
    values = Account._meta.get_field("credentials").to_python(encrypted)
    return provider_class(Credentials(values=values))
