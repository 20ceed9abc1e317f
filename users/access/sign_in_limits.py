"""Limits on wrong passwords: how many are allowed, and how long to wait after them. They are counted by
account, by network, and by account and network together (smsmail.web.rate_limit), before a password is
hashed. The stored keys name nobody.

A wait is short at first and doubles, up to a quarter of an hour: a guesser gets a few tries an hour, and the
owner is never locked out for good. A browser in which this account has signed in before (a signed cookie) is
counted by itself and does not wait because of strangers. A network from which the account has signed in does
not wait because of other networks. `manage.py let_in you@example.com` resets the counts of an account.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from smsmail.web.network import network_of, networks_of
from smsmail.web.rate_limit import forget, held, hold, named, tries
from users.models import User

PER_ACCOUNT, PER_PAIR, PER_DEVICE = 10, 5, 10
PER_NETWORK = {32: 10, 24: 30, 64: 10, 56: 20, 48: 40, 0: 10}  # by the length of the prefix
ACCOUNT_SECONDS, NETWORK_SECONDS = 3600, 600
FIRST_WAIT, LONGEST_WAIT, NETWORK_WAIT = 60, 900, 60
KNOWN_NETWORK_SECONDS = 90 * 86400
LET_IN_SECONDS = 86400

COOKIE = "__Host-known-device" if settings.SECURE else "known-device"
COOKIE_SECONDS = 365 * 86400
ACCOUNTS = 5  # that one browser's cookie remembers
SALT = "users.access.sign_in_limits"


class TooManySignIns(Exception):
    """No password is checked now. Try again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, round(seconds))


@dataclass(frozen=True, slots=True)
class Limit:
    """One count: after `most` wrong passwords within `seconds`, a wait of at most `longest`
    seconds.
    """

    key: str
    most: int
    seconds: int
    longest: int

    @property
    def hold(self) -> str:
        return f"hold-{self.key}"

    def count(self) -> None:
        over = tries(self.key, self.seconds) - self.most
        if over >= 0:
            hold(self.hold, min(FIRST_WAIT * 2 ** min(over, 10), self.longest))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in: its account, its network, and the limits that apply to it."""

    account: str
    network: str
    of_account: tuple[Limit, ...]
    of_networks: tuple[Limit, ...]

    @property
    def limits(self) -> tuple[Limit, ...]:
        return self.of_account + self.of_networks

    @property
    def wait(self) -> float:
        until = held(limit.hold for limit in self.limits).values()
        return max(until, default=0.0) - time.time()

    def fail(self) -> None:
        for limit in self.limits:
            limit.count()

    def succeed(self) -> None:
        """Reset the counts of the account. Those of the network stay: otherwise whoever has one
        account could try others without end.
        """
        forget(name for limit in self.of_account for name in (limit.key, limit.hold))
        hold(_known_network(self.account, self.network), KNOWN_NETWORK_SECONDS)


def attempt(request: HttpRequest, email: str) -> Attempt:
    account, network = account_of(email), network_of(request)
    device, accounts = _device(request)
    if account in accounts:
        return Attempt(account, network, (_account_limit(PER_DEVICE, account, device),), ())
    let_in, known = _let_in(account), _known_network(account, network)
    found = held([let_in, known])
    # Changes when let_in() is called, so that counting starts anew.
    since = str(found.get(let_in, ""))
    limits = [_account_limit(PER_PAIR, account, network, since)]
    if known not in found:
        limits.append(_account_limit(PER_ACCOUNT, account, since))
    return Attempt(account, network, tuple(limits), tuple(map(_limit_of, networks_of(request))))


def account_of(email: str) -> str:
    """Return the key of an account. All spellings of one e-mail give the same key."""
    return named("account", email.strip().lower())


def let_in(email: str) -> None:
    """Reset everything that has been counted for this account."""
    hold(_let_in(account_of(email)), LET_IN_SECONDS)


class PasswordBackend(ModelBackend):
    """Django's backend with these limits before it. Without a request (a command, a test) it returns
    None.

    Raises TooManySignIns.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if request is None or username is None or password is None:
            return None
        this = attempt(request, username)
        if (wait := this.wait) > 0:
            raise TooManySignIns(wait)
        found = super().authenticate(request, username, password, **kwargs)
        if isinstance(found, User):
            this.succeed()
            return found
        this.fail()
        if (wait := this.wait) > 0:
            raise TooManySignIns(wait)
        raise PermissionDenied  # otherwise the next backend would hash the password again


def remember_device(request: HttpRequest, response: HttpResponse, person: User) -> None:
    """Set a cookie that marks this browser as one in which the person has signed in."""
    device, accounts = _device(request)
    account = account_of(person.email)
    remembered = [account, *(each for each in accounts if each != account)][:ACCOUNTS]
    response.set_cookie(
        COOKIE,
        signing.dumps([device or secrets.token_urlsafe(12), *remembered], salt=SALT),
        max_age=COOKIE_SECONDS,
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )


def _device(request: HttpRequest) -> tuple[str, list[str]]:
    """Return the name of the browser and the accounts it remembers; ("", []) for a cookie that we
    did not sign.
    """
    try:
        read = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=COOKIE_SECONDS)
    except signing.BadSignature:
        return "", []
    return read[0], read[1:]


def _account_limit(most: int, *parts: str) -> Limit:
    return Limit(named("wrong", str(most), *parts), most, ACCOUNT_SECONDS, LONGEST_WAIT)


def _limit_of(network: str) -> Limit:
    most = PER_NETWORK[int(network.rpartition("/")[2] or 0)]
    return Limit(named("wrong-from", network), most, NETWORK_SECONDS, NETWORK_WAIT)


def _known_network(account: str, network: str) -> str:
    return named("known-network", account, network)


def _let_in(account: str) -> str:
    return named("let-in", account)
