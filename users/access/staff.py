"""Who may do what to whom: profiles, roles, rights, passwords, access. What a right allows is in
rights.py.

may() is the one place that says it. Nobody acts on people of more rights than their own. The owner may
do everything; administrators see to employees and students; everybody else may only do what a ticked
right says, to those below. Nobody changes their own role, rights or access.
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
    """403, with the reason in words for the person who tried."""


class Act(StrEnum):
    """What one person does to another."""

    EDIT = "edit"  # the profile: it holds the e-mail one signs in by, and the phone
    FORBID = "forbid"  # forbid and allow SMS, lift an opt-out
    ACCESS = "access"  # whether the person may sign in
    PASSWORD = "password"  # noqa: S105 - give one, or a link to set one
    REVOKE = "revoke"  # links of SMS that sign in
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
    """Whether the one may do this to the other, as both stand now."""
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
    """Has the person a higher role, or a right that the other lacks? Also one who may not sign in at
    the moment.
    """
    if _rank(person.role) > _rank(by.role):
        return True
    return not person.power <= by.power


def may_edit(by: User, person: User) -> bool:
    return may(by, Act.EDIT, person)


def may_see_to_access(by: User, person: User) -> bool:
    """Whether the person may sign in, and with which password. One's own: the page "Password"."""
    return may(by, Act.ACCESS, person)


def roles_for(by: User, person: User) -> list[Role]:
    """The roles this person may be given; [] when the role is not theirs to change."""
    return _roles_of(by) if may(by, Act.ROLE, person) else []


def rights_for(by: User, person: User) -> list[Right]:
    """The rights that `by` may tick or untick for this person as the role is now.

    An administrator has every right but the account anyway, and only the owner may give that one.
    Nobody gives a right that they lack, or two employees would raise each other.
    """
    return _rights_of(by, person) if may(by, Act.RIGHTS, person) else []


@transaction.atomic
def change_role(person: User, role: Role, by: User) -> password_links.Made | None:
    """A new role starts with no ticked rights. The link to be passed on, where the person now has to
    set a password.
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
def change_rights(person: User, ticked: Collection[str], by: User) -> password_links.Made | None:
    """Of the rights that `by` may give, exactly the ticked ones; the others stay as they are."""
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
    """Whether the person may sign in. Their SMS are another matter: consent.py. Sessions of before do
    not come back with the access.
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
    """A new random password, shown once to whoever passes it on; it opens only the page where it is
    changed.
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
def give_link(person: User, by: User) -> password_links.Made:
    """A link at which the person sets a password; what was given before no longer works."""
    person = _locked(person)
    if not may(by, Act.PASSWORD, person) or not person.is_active:
        raise NotAllowed(_("You may not give a password to this person."))
    return password_links.make(person, by)


def _risen(person: User, by: User) -> password_links.Made | None:
    """The person has more power than a moment ago. Whoever was signed in as them is so no longer, and
    a password stays only if the person has made it, and whoever gave them their first one might give
    them another as they are now: else that one might ride up with them.
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
    """Roles over which a person of this role has the say."""
    if by.role == Role.OWNER:
        return frozenset(Role)
    return frozenset(role for role in RANKS if _rank(role) < _rank(by.role))


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
