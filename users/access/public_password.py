"""The password of the demo school. It stands in the public source, so anybody who can reach smsmail knows it:
it is given out and accepted on this machine only, and nobody may choose it.
"""

import ipaddress
import secrets
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from users.models import User, audit
from users.rights import Role

PASSWORD = "made-up-password"  # noqa: S105 - known to everybody
SIGN_INS = ("owner@example.com", "manager@example.com", "student@example.com")
MADE_UP = "@example.com"  # nobody has such an address
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


def fresh() -> str:
    """Return the password for the sign-ins of a new demo school: a random one if smsmail is
    reachable from elsewhere.
    """
    return secrets.token_urlsafe(12) if settings.REACHABLE else PASSWORD


def people() -> list[User]:
    """Return the people who sign in with this password. Each new password hash takes a moment to
    check, by design.
    """
    known = User.objects.filter(email__in=SIGN_INS, is_active=True).order_by("id")
    return [person for person in known if _is_it(person.password)]


def made_up(but: User) -> QuerySet[User]:
    """Return every active person whom the demo school has made, except this one."""
    return User.objects.filter(email__endswith=MADE_UP, is_active=True).exclude(pk=but.pk)


class LastOwner(Exception):
    """The removal would leave the account without an owner."""


@transaction.atomic
def remove(by: User) -> int:
    """Deactivate all made-up people except `by`, and return how many there were. They no longer sign
    in or get SMS; their history stays visible.

    Raises LastOwner if no owner would be left.
    """
    owners = User.objects.select_for_update().filter(role=Role.OWNER, is_active=True)
    if not [each for each in owners if each == by or not each.email.endswith(MADE_UP)]:
        raise LastOwner
    removed = made_up(by).update(
        is_active=False,
        password=make_password(None),
        must_change_password=False,
        sessions_ended=F("sessions_ended") + 1,
    )
    audit(by, "demo_removed", "people", people=removed)
    return removed


def is_local(request: HttpRequest) -> bool:
    """True if the request comes from this machine itself and not through a proxy on it."""
    if any(name in request.META for name in FORWARDED):
        return False
    public = urlsplit(settings.PUBLIC_URL).hostname or ""
    host = urlsplit(f"//{request.get_host()}").hostname
    if host == public and settings.REACHABLE:
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


class RefusesElsewhere(ModelBackend):
    """Treats the public password as wrong on any other machine, whoever has it."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_kwargs: Any,
    ) -> None:
        if password == PASSWORD and request is not None and not is_local(request):
            raise PermissionDenied


class NotThisOne:
    """A validator for AUTH_PASSWORD_VALIDATORS that refuses the public password."""

    def validate(self, password: str, user: User | None = None) -> None:
        if password == PASSWORD:
            raise ValidationError(_("This password is public. Choose another one."), code="public")

    def get_help_text(self) -> str:
        return ""


@lru_cache(maxsize=64)
def _is_it(encoded: str) -> bool:
    return check_password(PASSWORD, encoded)
