"""Which login of a service a message was handed over with, and the former ones while they are needed:
another login has other books, in which nothing of the first one ever stood.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping

from django.conf import settings

from integrations import providers
from integrations.models import Account, FormerLogin
from integrations.providers.base import Credentials, Provider
from users.hooks import Hook

# Which of these logins of an account are still needed: mailings answers it (mailings.apps).
Needed = Callable[[Account, Iterable[str]], set[str]]
needed: Hook[Needed] = Hook(lambda _account, _logins: set())


def fingerprint(slug: str, values: Mapping[str, str]) -> str:
    """Tells logins apart and tells nothing about them: a keyed hash. '' without credentials."""
    return next(iter(_fingerprints(slug, values)), "")


def is_current(account: Account, login: str) -> bool:
    """Batches of before fingerprints were kept have none: theirs is taken for the one of today."""
    return not login or login in _fingerprints(account.provider, account.credentials)


def credentials_of(account: Account, login: str) -> dict[str, str]:
    """Of today or of before; {} when this login is not kept any more."""
    if is_current(account, login):
        return dict(account.credentials)
    former = FormerLogin.objects.filter(account=account, login=login).first()
    return dict(former.credentials) if former else {}


def provider_of(account: Account, login: str, receipt_url: str) -> Provider | None:
    """To ask about what was handed over with this login; None when nobody can any more."""
    values = credentials_of(account, login)
    if not values:
        return None
    provider = providers.provider_class(account.provider)
    return provider(Credentials(values=values, sender=account.sender), receipt_url)


def keep(account: Account) -> None:
    """The credentials are about to be replaced. Inside the caller's transaction."""
    login = fingerprint(account.provider, account.credentials)
    if login and login in needed.given(account, [login]):
        FormerLogin.objects.update_or_create(
            account=account, login=login, defaults={"credentials": account.credentials}
        )


def forget_unneeded() -> None:
    """Former logins under which nothing is open any more."""
    for former in FormerLogin.objects.select_related("account"):
        again = is_current(former.account, former.login)
        if again or former.login not in needed.given(former.account, [former.login]):
            former.delete()


def _fingerprints(slug: str, values: Mapping[str, str]) -> list[str]:
    """By the key that writes now, then by those that only read."""
    if not values:
        return []
    what = f"login of {slug}\0{providers.provider_class(slug).login(values)}".encode()
    return [
        hmac.new(key.encode(), what, hashlib.sha256).hexdigest()[:32] for key in settings.FIELD_KEYS
    ]
