"""Roles and rights: who may do what. A role gives a set of rights; single ones can be ticked in
addition.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.core.exceptions import PermissionDenied
from django.db.models import TextChoices
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

V = TypeVar("V", bound=Callable[..., HttpResponse])


class Role(TextChoices):
    OWNER = "owner", _("Owner")
    ADMINISTRATOR = "administrator", _("Administrator")
    EMPLOYEE = "employee", _("Employee")
    STUDENT = "student", _("Student")


class Right(TextChoices):
    """Every right, in the order in which a person's page lists them."""

    SEE_PEOPLE = "see_people", _("See people")
    EDIT_PEOPLE = "edit_people", _("Add and change people and groups")
    FORBID_SMS = "forbid_sms", _("Forbid and allow SMS for a person")
    SEE_MAILINGS = "see_mailings", _("See mailings and their statistics")
    EDIT_MAILINGS = "edit_mailings", _("Write and change mailings")
    SEND_MAILINGS = "send_mailings", _("Launch, pause and cancel mailings")
    GRANT_RIGHTS = "grant_rights", _("Give rights to employees")
    ACCOUNT = "account", _("Responsible for the account: integrations and their settings")


STAFF = frozenset({Role.OWNER, Role.ADMINISTRATOR, Role.EMPLOYEE})
# Only the owner may give these, and only to an administrator.
BY_OWNER_ONLY = frozenset({Right.ACCOUNT})


def rights_of(role: str, ticked: list[str]) -> frozenset[str]:
    """Return what a person of this role, with these rights ticked, may do.

    The owner may do everything; an administrator everything but ACCOUNT, unless it is ticked; an
    employee only what is ticked, and never ACCOUNT; a student nothing. Whoever may change people
    may also see them.
    """
    every = frozenset(Right.values)
    match role:
        case Role.OWNER:
            return every
        case Role.ADMINISTRATOR:
            return (every - {Right.ACCOUNT}) | (every & frozenset(ticked))
        case Role.EMPLOYEE:
            had = (every & frozenset(ticked)) - {Right.ACCOUNT}
            return had | {Right.SEE_PEOPLE} if Right.EDIT_PEOPLE in had else had
        case _:
            return frozenset()


def require_right(*rights: Right) -> Callable[[V], V]:
    """Decorate a view for users who have all these rights; others get 403 whatever they ask for, so
    that nobody learns from the response which objects exist. LoginRequiredMiddleware has already sent
    anonymous users to the sign-in page.
    """

    def decorate(view: V) -> V:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            person = request.user
            if not person.is_authenticated or not all(person.may(right) for right in rights):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return cast(V, guarded)

    return decorate
