"""Who may change whom: profiles, roles, rights, passwords. What a right allows is in rights.py.

The owner may do everything; administrators see to employees and students; everybody else may only
do what a ticked right says, to those below. Nobody changes their own role or rights.
"""

import secrets
from collections.abc import Collection

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from .models import User, audit
from .rights import BY_OWNER_ONLY, Right, Role


class NotAllowed(PermissionDenied):
    """403, with the reason in words for the person who tried."""


def may_edit(by: User, person: User) -> bool:
    """The profile. It holds the e-mail one signs in by, so nobody edits those above."""
    if by.role == Role.OWNER or by == person:
        return by.may(Right.EDIT_PEOPLE)
    return by.may(Right.EDIT_PEOPLE) and person.role in _below(by)


def may_see_to_access(by: User, person: User) -> bool:
    """Whether the person may sign in, and with which password. One's own: the page "Password"."""
    return by != person and may_edit(by, person)


def roles_for(by: User, person: User) -> list[Role]:
    """The roles this person may be given; [] when the role is not theirs to change."""
    if by == person:
        return []
    match by.role:
        case Role.OWNER:
            return list(Role)
        case Role.ADMINISTRATOR if person.role in _below(by):
            return [Role.EMPLOYEE, Role.STUDENT]
        case _:
            return []


def rights_for(by: User, person: User) -> list[Right]:
    """The rights that `by` may tick or untick for this person as the role is now.

    An administrator has every right but the account anyway, and only the owner may give that one.
    Nobody gives a right that they lack, or two employees would raise each other.
    """
    if by == person or not by.may(Right.GRANT_RIGHTS):
        return []
    match person.role:
        case Role.ADMINISTRATOR if by.role == Role.OWNER:
            return [right for right in Right if right in BY_OWNER_ONLY]
        case Role.EMPLOYEE:
            return [right for right in Right if by.may(right) and right not in BY_OWNER_ONLY]
        case _:
            return []


@transaction.atomic
def change_role(person: User, role: Role, by: User) -> None:
    """A new role starts with no ticked rights."""
    person = _locked(person)
    if role == person.role:
        return
    if role not in roles_for(by, person):
        raise NotAllowed(_("You may not give this role to this person."))
    if person.role == Role.OWNER:
        _keep_an_owner(person)
    was, person.role, person.rights = person.role, role, []
    person.save(update_fields=["role", "rights"])
    audit(by, "role_changed", f"user {person.id}", was=was, now=role)


@transaction.atomic
def change_rights(person: User, ticked: Collection[str], by: User) -> None:
    """Of the rights that `by` may give, exactly the ticked ones; the others stay as they are."""
    person = _locked(person)
    open_ = {str(right) for right in rights_for(by, person)}
    had, wanted = set(person.rights), set(ticked)
    if not wanted - had <= open_:
        raise NotAllowed(_("You may not give these rights to this person."))
    now = (had - open_) | (wanted & open_)
    if now == had:
        return
    person.rights = sorted(now, key=Right.values.index)
    person.save(update_fields=["rights"])
    audit(
        by,
        "rights_changed",
        f"user {person.id}",
        given=sorted(now - had),
        taken=sorted(had - now),
    )


@transaction.atomic
def change_access(person: User, *, active: bool, by: User) -> None:
    """Whether the person may sign in. Their SMS are another matter: consent.py."""
    person = _locked(person)
    if active == person.is_active:
        return
    if not may_see_to_access(by, person):
        raise NotAllowed(_("You may not change whether this person signs in."))
    if person.role == Role.OWNER:
        _keep_an_owner(person)
    person.is_active = active
    person.save(update_fields=["is_active"])
    audit(by, "access_given" if active else "access_taken", f"user {person.id}")


@transaction.atomic
def give_password(person: User, by: User) -> str:
    """A new random password, shown once to whoever passes it on."""
    person = _locked(person)
    if not may_see_to_access(by, person):
        raise NotAllowed(_("You may not give a password to this person."))
    password = secrets.token_urlsafe(12)
    person.set_password(password)
    person.save(update_fields=["password"])
    audit(by, "password_given", f"user {person.id}")
    return password


def _below(by: User) -> frozenset[Role]:
    """Roles over which a person of this role has the say."""
    match by.role:
        case Role.OWNER:
            return frozenset(Role)
        case Role.ADMINISTRATOR:
            return frozenset({Role.EMPLOYEE, Role.STUDENT})
        case Role.EMPLOYEE:
            return frozenset({Role.STUDENT})
        case _:
            return frozenset()


def _locked(person: User) -> User:
    """As the person stands now: two changes at once must not overwrite each other. The owners are
    locked with them, in one order, so that two who leave at once cannot both be let go.
    """
    rows = User.objects.select_for_update().filter(Q(id=person.id) | Q(role=Role.OWNER))
    return next(row for row in rows.order_by("id") if row.id == person.id)


def _keep_an_owner(leaving: User) -> None:
    owners = User.objects.filter(role=Role.OWNER, is_active=True).exclude(id=leaving.id)
    if not owners.exists():
        raise NotAllowed(_("There must be an owner who can sign in."))
