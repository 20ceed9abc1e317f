"""Whose a number is. Anybody can write any number into a profile; whoever has confirmed a number holds it.

While somebody holds a number, a person who has only written it down claims it: they get no SMS there and
cannot change the holder's consent, until they confirm it too or staff say that both have it.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import (
    BooleanField,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import Coalesce

from users.models import User, audit

SHOWN = 20
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # stands for "not confirmed" where times are compared


def claim() -> Q:
    """A condition on people: their number is held by somebody else, and they only claim it."""
    return alone() & Q(Exists(_held()))


def no_claim() -> Q:
    """The opposite of claim(). All of it stands inside the subquery about the holder, so that the
    database can join it and does not list all holders for a page of fifty people.
    """
    theirs = Coalesce(OuterRef("phone_confirmed_at"), Value(NEVER), output_field=DateTimeField())
    shared = ExpressionWrapper(OuterRef("phone_shared"), output_field=BooleanField())
    held = _held().alias(theirs=theirs, shared=shared)
    return ~Q(Exists(held.filter(theirs=NEVER, shared=False)))


def alone() -> Q:
    """A condition on people: they would only claim their number if anybody else held it."""
    return Q(phone_confirmed_at__isnull=True, phone_shared=False) & ~Q(phone="")


def any_held() -> Q:
    """A condition: somebody has confirmed some number. The database evaluates it once, however many
    people are read.
    """
    return Q(Exists(User.objects.filter(phone_confirmed_at__isnull=False, is_active=True)))


def held_by_another() -> Q:
    """Somebody else has confirmed the number, whether this person claims it or holds it too."""
    return Q(Exists(_held().exclude(id=OuterRef("id"))))


def _held() -> "QuerySet[User]":
    return User.objects.filter(
        phone=OuterRef("phone"), phone_confirmed_at__isnull=False, is_active=True
    )


def only_claims(person: User) -> bool:
    """True if the person only claims their number, according to the database now."""
    return User.objects.filter(claim(), pk=person.pk).exists()


def first_with(phones: Collection[str]) -> dict[str, int]:
    """Map each phone to the id of the person it belongs to: whoever confirmed it last, else whoever
    has been here longest.
    """
    rows = User.objects.filter(phone__in=phones).order_by(
        F("phone_confirmed_at").asc(nulls_first=True), "-id"
    )
    return dict(rows.values_list("phone", "id"))  # the last row of each phone wins


class SamePhone(NamedTuple):
    """Other people with the same number, as shown to staff."""

    holders: list[User]
    claimants: list[User]
    sharing: list[User]  # neither side restricts the other


def others_of(person: User) -> SamePhone:
    if not person.phone:
        return SamePhone([], [], [])
    rows = list(
        User.objects.filter(phone=person.phone).exclude(pk=person.pk).order_by("id")[:SHOWN]
    )
    claims = set(User.objects.filter(claim(), phone=person.phone).values_list("pk", flat=True))
    holders = [each for each in rows if each.phone_confirmed_at and person.pk in claims]
    claimants = [each for each in rows if each.pk in claims and person.phone_confirmed_at]
    rest = [each for each in rows if each not in holders and each not in claimants]
    return SamePhone(holders, claimants, rest)


@transaction.atomic
def share(person: User, by: User) -> bool:
    """Record that the person and the holder both have the number. False if there was no such claim."""
    shared = User.objects.filter(claim(), pk=person.pk).update(phone_shared=True)
    if shared:
        audit(by, "phone_shared", f"user {person.pk}")
    return bool(shared)
