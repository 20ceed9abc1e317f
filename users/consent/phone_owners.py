"""Whose a number is. Anybody can write any number into a profile; whoever has confirmed it holds it.

While somebody holds a number, one who has only written it down claims it: nothing is sent to them
there, and they change nobody's will, until they confirm it too or staff says that both have it.
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
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # stands for "not confirmed" where moments are compared


def claim() -> Q:
    """A condition over people: theirs is a number that somebody else holds."""
    return alone() & Q(Exists(_held()))


def no_claim() -> Q:
    """The opposite, all of it inside the question about the holder: a database can join it, and does
    not build a list of all holders for a page of fifty.
    """
    theirs = Coalesce(OuterRef("phone_confirmed_at"), Value(NEVER), output_field=DateTimeField())
    shared = ExpressionWrapper(OuterRef("phone_shared"), output_field=BooleanField())
    held = _held().alias(theirs=theirs, shared=shared)
    return ~Q(Exists(held.filter(theirs=NEVER, shared=False)))


def alone() -> Q:
    """Those who claim their number if anybody else holds it."""
    return Q(phone_confirmed_at__isnull=True, phone_shared=False) & ~Q(phone="")


def any_held() -> Q:
    """Has anybody confirmed any number at all? Asked once, whatever the number of people."""
    return Q(Exists(User.objects.filter(phone_confirmed_at__isnull=False, is_active=True)))


def held_by_another() -> Q:
    """Somebody else has confirmed it, whether they claim it or hold it too."""
    return Q(Exists(_held().exclude(id=OuterRef("id"))))


def _held() -> "QuerySet[User]":
    return User.objects.filter(
        phone=OuterRef("phone"), phone_confirmed_at__isnull=False, is_active=True
    )


def only_claims(person: User) -> bool:
    """As the person stands in the database now."""
    return User.objects.filter(claim(), pk=person.pk).exists()


def first_with(phones: Collection[str]) -> dict[str, int]:
    """By phone, the person whose it is: who has confirmed it last, else who has been here longest."""
    rows = User.objects.filter(phone__in=phones).order_by(
        F("phone_confirmed_at").asc(nulls_first=True), "-id"
    )
    return dict(rows.values_list("phone", "id"))  # the last of each phone stays


class Others(NamedTuple):
    """Who else has a person's number, for staff."""

    holders: list[User]
    claimants: list[User]
    sharing: list[User]  # neither takes anything from the other


def others_of(person: User) -> Others:
    if not person.phone:
        return Others([], [], [])
    rows = list(
        User.objects.filter(phone=person.phone).exclude(pk=person.pk).order_by("id")[:SHOWN]
    )
    claims = set(User.objects.filter(claim(), phone=person.phone).values_list("pk", flat=True))
    holders = [each for each in rows if each.phone_confirmed_at and person.pk in claims]
    claimants = [each for each in rows if each.pk in claims and person.phone_confirmed_at]
    rest = [each for each in rows if each not in holders and each not in claimants]
    return Others(holders, claimants, rest)


@transaction.atomic
def share(person: User, by: User) -> bool:
    """Staff says that the person and whoever holds the number both have it. False: no such claim."""
    shared = User.objects.filter(claim(), pk=person.pk).update(phone_shared=True)
    if shared:
        audit(by, "phone_shared", f"user {person.pk}")
    return bool(shared)
