"""Single-use links at which a person sets a password. One is made when somebody gains power, or
when staff give it; it is shown once to whoever made it and works for three days. Only a digest of
the token is stored.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from users.models import PasswordLink, User, audit

LIFETIME = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class NewPasswordLink:
    """A new link. It is shown in one response and nowhere else."""

    address: str
    until: datetime


def make(person: User, by: User) -> NewPasswordLink:
    """Make a link and void any earlier password and link. The caller has opened a transaction and
    locked the person.
    """
    token = secrets.token_urlsafe(32)
    close_all(person)
    person.set_unusable_password()
    person.must_change_password = False
    person.sessions_ended += 1
    person.save(update_fields=["password", "must_change_password", "sessions_ended"])
    link = PasswordLink.objects.create(user=person, digest=_digest(token), made_by=by)
    audit(by, "password_link_made", f"user {person.pk}")
    path = reverse("set-password", args=[token])
    return NewPasswordLink(f"{settings.PUBLIC_URL}{path}", link.made_at + LIFETIME)


def close_all(person: User) -> None:
    PasswordLink.objects.filter(user=person, closed_at=None).update(closed_at=timezone.now())


def open_link(token: str) -> PasswordLink | None:
    """Return the link with this token if it still works, else None."""
    links = PasswordLink.objects.filter(digest=_digest(token)).select_related("user", "made_by")
    return next((each for each in links if _is_open(each)), None)


@transaction.atomic
def use(token: str, password: str) -> bool:
    """Set the password and use up the link. False if the link was used or voided meanwhile."""
    found = PasswordLink.objects.filter(digest=_digest(token)).values("user_id").first()
    if found is None:
        return False
    # staff.py locks the person first as well.
    person = User.objects.select_for_update().get(pk=found["user_id"])
    link = open_link(token)
    if link is None:
        return False
    person.set_password(password)
    person.must_change_password, person.password_from = False, link.made_by
    person.sessions_ended += 1
    person.save(
        update_fields=["password", "must_change_password", "password_from", "sessions_ended"]
    )
    close_all(person)
    audit(person, "password_set", f"user {person.pk}")
    return True


def _is_open(link: PasswordLink) -> bool:
    in_time = link.made_at > timezone.now() - LIFETIME
    return link.closed_at is None and in_time and link.user.is_active


def _digest(token: str) -> str:
    return sha256(token.encode(errors="replace")).hexdigest()
