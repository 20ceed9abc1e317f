"""Who may do what to whom: profiles, roles, rights, passwords, access. rights.py says what each right allows.

may() alone decides. Nobody acts on people who have more rights than they have themselves. The owner may do
everything; administrators manage employees and students; everybody else may do only what a ticked right
allows, to people of a lower role. Nobody changes their own role, rights or access.
"""

import secrets
from collections.abc import Collection
from enum import StrEnum

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from users.models import User, audit
from users.rights import BY_OWNER_ONLY, Right, Role

from . import password_links


class NotAllowed(PermissionDenied):
    """Becomes a 403 response that tells the user the reason."""


class Act(StrEnum):
    """Something that one person does to another."""

    EDIT = "edit"  # the profile, which holds the phone and the e-mail for sign-in
    FORBID = "forbid"  # forbid and allow SMS, lift an opt-out
    ACCESS = "access"  # whether the person may sign in
    PASSWORD = "password"  # noqa: S105 - give a password, or a link to set one
    REVOKE = "revoke"  # revoke the sign-in links sent by SMS
    ROLE = "role"
    RIGHTS = "rights"


NEEDS = {
    Act.EDIT: Right.EDIT_PEOPLE,
    Act.FORBID: Right.FORBID_SMS,
    Act.ACCESS: Right.EDIT_PEOPLE,
    Act.PASSWORD: Right.EDIT_PEOPLE,
    Act.REVOKE: Right.EDIT_PEOPLE,
    Act.ROLE: Right.GRANT_RIGHTS,
    Act.RIGHTS: Right.GRANT_RIGHTS,
}
TO_ONESELF = frozenset({Act.EDIT, Act.FORBID, Act.REVOKE})
RANKS = (Role.STUDENT, Role.EMPLOYEE, Role.ADMINISTRATOR, Role.OWNER)


def may(by: User, act: Act, person: User) -> bool:
    """True if `by` may do this to the person, with the current roles and rights of both."""
    if not (by.may(NEEDS[act]) and by.may(Right.SEE_PEOPLE)):
        return False
    if by == person:
        return act in TO_ONESELF
    if stands_above(person, by):
        return False
    match act:
        case Act.FORBID:
            return True
        case Act.ROLE:
            return bool(_roles_of(by)) and person.role in _below(by)
        case Act.RIGHTS:
            return bool(_rights_of(by, person))
        case _:
            return person.role in _below(by)


def stands_above(person: User, by: User) -> bool:
    """True if the person has a higher role than `by`, or a right that `by` lacks. This holds even
    while the person may not sign in.
    """
    if _rank(person.role) > _rank(by.role):
        return True
    return not person.power <= by.power


def may_edit(by: User, person: User) -> bool:
    return may(by, Act.EDIT, person)


def may_see_to_access(by: User, person: User) -> bool:
    """True if `by` may decide whether the person signs in, and with which password. People change
    their own password on the page "Password".
    """
    return may(by, Act.ACCESS, person)


def roles_for(by: User, person: User) -> list[Role]:
    """Return the roles that `by` may give this person; [] if `by` may not change the role."""
    return _roles_of(by) if may(by, Act.ROLE, person) else []


def rights_for(by: User, person: User) -> list[Right]:
    """Return the rights that `by` may tick or untick for this person in their present role.

    An administrator has every right but ACCOUNT anyway, and only the owner may give that one.
    Nobody gives a right that they lack; otherwise two employees could promote each other.
    """
    return _rights_of(by, person) if may(by, Act.RIGHTS, person) else []


@transaction.atomic
def change_role(person: User, role: Role, by: User) -> password_links.NewPasswordLink | None:
    """Change the role and clear the ticked rights. Returns a link to be passed on if the person now
    has to set a password, else None.

    Raises NotAllowed.
    """
    person = _locked(person)
    if role == person.role:
        return None
    if role not in roles_for(by, person):
        raise NotAllowed(_("You may not give this role to this person."))
    if person.role == Role.OWNER:
        _keep_an_owner(person)
    had, was = person.power, person.role
    person.role, person.rights = role, []
    person.save(update_fields=["role", "rights"])
    audit(by, "role_changed", f"user {person.id}", was=was, now=role)
    rises = _rank(role) > _rank(was) or not person.power <= had
    return _risen(person, by) if rises else None


@transaction.atomic
def change_rights(
    person: User, ticked: Collection[str], by: User
) -> password_links.NewPasswordLink | None:
    """Give exactly the ticked ones of the rights that `by` may give; other rights stay as they are.
    Returns a link as change_role() does. Raises NotAllowed.
    """
    person = _locked(person)
    open_ = {str(right) for right in rights_for(by, person)}
    had, wanted = set(person.rights), set(ticked)
    if not wanted - had <= open_:
        raise NotAllowed(_("You may not give these rights to this person."))
    now = (had - open_) | (wanted & open_)
    if now == had:
        return None
    power = person.power
    person.rights = sorted(now, key=Right.values.index)
    person.save(update_fields=["rights"])
    audit(
        by,
        "rights_changed",
        f"user {person.id}",
        given=sorted(now - had),
        taken=sorted(had - now),
    )
    return None if person.power <= power else _risen(person, by)


@transaction.atomic
def change_access(person: User, *, active: bool, by: User) -> None:
    """Allow or forbid signing in. Consent to SMS is a different matter (consent.py). Earlier sessions
    do not come back with the access. Raises NotAllowed.
    """
    person = _locked(person)
    if active == person.is_active:
        return
    if not may(by, Act.ACCESS, person):
        raise NotAllowed(_("You may not change whether this person signs in."))
    if person.role == Role.OWNER:
        _keep_an_owner(person)
    person.is_active = active
    person.sessions_ended += 1
    person.save(update_fields=["is_active", "sessions_ended"])
    password_links.close_all(person)
    audit(by, "access_given" if active else "access_taken", f"user {person.id}")


@transaction.atomic
def give_password(person: User, by: User) -> str:
    """Return a new random password, shown once to whoever passes it on. It opens only the page
    where it is changed. Raises NotAllowed.
    """
    person = _locked(person)
    if not may(by, Act.PASSWORD, person):
        raise NotAllowed(_("You may not give a password to this person."))
    password = secrets.token_urlsafe(12)
    person.set_password(password)
    person.must_change_password, person.password_from = True, by
    person.sessions_ended += 1
    person.save(
        update_fields=["password", "must_change_password", "password_from", "sessions_ended"]
    )
    password_links.close_all(person)
    audit(by, "password_given", f"user {person.id}")
    return password


@transaction.atomic
def give_link(person: User, by: User) -> password_links.NewPasswordLink:
    """Return a link at which the person sets a password; earlier passwords and links stop working.
    Raises NotAllowed.
    """
    person = _locked(person)
    if not may(by, Act.PASSWORD, person) or not person.is_active:
        raise NotAllowed(_("You may not give a password to this person."))
    return password_links.make(person, by)


def _risen(person: User, by: User) -> password_links.NewPasswordLink | None:
    """Called when the person has gained power. All their sessions end. They keep the password only if
    they made it themselves and whoever gave them their first one could still give them another:
    otherwise that person might know it, and would gain the power as well.
    """
    person.sessions_ended += 1
    person.links_revoked_at = timezone.now()
    person.save(update_fields=["sessions_ended", "links_revoked_at"])
    password_links.close_all(person)
    origin = person.password_from
    if (
        person.has_usable_password()
        and not person.must_change_password
        and origin is not None
        and may(origin, Act.PASSWORD, person)
    ):
        return None
    return password_links.make(person, by)


def _roles_of(by: User) -> list[Role]:
    match by.role:
        case Role.OWNER:
            return list(Role)
        case Role.ADMINISTRATOR:
            return [Role.EMPLOYEE, Role.STUDENT]
        case _:
            return []


def _rights_of(by: User, person: User) -> list[Right]:
    match person.role:
        case Role.ADMINISTRATOR if by.role == Role.OWNER:
            return [right for right in Right if right in BY_OWNER_ONLY]
        case Role.EMPLOYEE:
            return [right for right in Right if by.may(right) and right not in BY_OWNER_ONLY]
        case _:
            return []


def _rank(role: str) -> int:
    return RANKS.index(Role(role)) if role in RANKS else 0


def _below(by: User) -> frozenset[Role]:
    """The roles that a person of this role manages."""
    if by.role == Role.OWNER:
        return frozenset(Role)
    return frozenset(role for role in RANKS if _rank(role) < _rank(by.role))


def _locked(person: User) -> User:
    """Return the person's current row, locked, so that two concurrent changes do not overwrite each
    other. All owners are locked with it, in order of id: two owners who leave at once cannot both
    succeed.
    """
    rows = User.objects.select_for_update().filter(Q(id=person.id) | Q(role=Role.OWNER))
    return next(row for row in rows.order_by("id") if row.id == person.id)


def _keep_an_owner(leaving: User) -> None:
    owners = User.objects.filter(role=Role.OWNER, is_active=True).exclude(id=leaving.id)
    if not owners.exists():
        raise NotAllowed(_("There must be an owner who can sign in."))
