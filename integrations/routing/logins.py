"""Records which login of a provider a message was submitted with, and keeps earlier logins while they are
needed: another login has other records, in which the first one's messages never appear.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping

from django.conf import settings

from integrations import providers
from integrations.models import Account, FormerLogin
from integrations.providers.base import Provider
from integrations.providers.contract import Credentials
from users.hooks import Hook

# Returns which of these logins of an account are still needed; the mailings app registers it
# (mailings.apps).
Needed = Callable[[Account, Iterable[str]], set[str]]
needed: Hook[Needed] = Hook(lambda _account, _logins: set())


def fingerprint(slug: str, values: Mapping[str, str]) -> str:
    """Return a keyed hash that distinguishes logins and reveals nothing about them; '' without
    credentials.
    """
    return next(iter(_fingerprints(slug, values)), "")


def is_current(account: Account, login: str) -> bool:
    """True if this is the account's present login. Old batches without a fingerprint count as sent
    with the present one.
    """
    return not login or login in _fingerprints(account.provider, account.credentials)


def credentials_of(account: Account, login: str) -> dict[str, str]:
    """Return the credentials of a present or earlier login; {} if they are no longer stored."""
    if is_current(account, login):
        return dict(account.credentials)
    former = FormerLogin.objects.filter(account=account, login=login).first()
    return dict(former.credentials) if former else {}


def provider_of(account: Account, login: str, receipt_url: str) -> Provider | None:
    """Return a provider for look-ups of messages submitted with this login; None if its credentials
    are gone.
    """
    values = credentials_of(account, login)
    if not values:
        return None
    provider = providers.provider_class(account.provider)
    return provider(Credentials(values=values, sender=account.sender), receipt_url)


def keep(account: Account) -> None:
    """Store the present credentials, which are about to be replaced, if open messages need them.
    The caller has opened a transaction.
    """
    login = fingerprint(account.provider, account.credentials)
    if login and login in needed.given(account, [login]):
        FormerLogin.objects.update_or_create(
            account=account, login=login, defaults={"credentials": account.credentials}
        )


def forget_unneeded() -> None:
    """Delete earlier logins that no open message needs."""
    for former in FormerLogin.objects.select_related("account"):
        again = is_current(former.account, former.login)
        if again or former.login not in needed.given(former.account, [former.login]):
            former.delete()


def _fingerprints(slug: str, values: Mapping[str, str]) -> list[str]:
    """Return the hash with the key for writing first, then those with the keys that only read."""
    if not values:
        return []
    what = f"login of {slug}\0{providers.provider_class(slug).login(values)}".encode()
    return [
        hmac.new(key.encode(), what, hashlib.sha256).hexdigest()[:32] for key in settings.FIELD_KEYS
    ]
