"""Links of single use at which a person sets a password: made when somebody rises, shown once to
whoever raised them, good for three days. Kept is only a digest of the token.
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
class Made:
    """A new link, to be shown in one answer and nowhere else."""

    address: str
    until: datetime


def make(person: User, by: User) -> Made:
    """In the transaction of the caller, who holds the person. Any password of before is void."""
    token = secrets.token_urlsafe(32)
    close_all(person)
    person.set_unusable_password()
    person.must_change_password = False
    person.sessions_ended += 1
    person.save(update_fields=["password", "must_change_password", "sessions_ended"])
    link = PasswordLink.objects.create(user=person, digest=_digest(token), made_by=by)
    audit(by, "password_link_made", f"user {person.pk}")
    path = reverse("set-password", args=[token])
    return Made(f"{settings.PUBLIC_URL}{path}", link.made_at + LIFETIME)


def close_all(person: User) -> None:
    PasswordLink.objects.filter(user=person, closed_at=None).update(closed_at=timezone.now())


def open_link(token: str) -> PasswordLink | None:
    """The link of this token, if it still works."""
    links = PasswordLink.objects.filter(digest=_digest(token)).select_related("user", "made_by")
    return next((each for each in links if _is_open(each)), None)


@transaction.atomic
def use(token: str, password: str) -> bool:
    """Set the password, once. False: meanwhile the link was used, or is void."""
    found = PasswordLink.objects.filter(digest=_digest(token)).values("user_id").first()
    if found is None:
        return False
    # In the order of staff.py: the person first.
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
