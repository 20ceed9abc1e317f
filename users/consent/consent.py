"""Forbidding, allowing and opting out of SMS, each with its event in the consent book, and the
query conditions for them.

Code that forbids or opts out goes on only when nothing new leaves for that person or phone any more.
The app that sends messages registers at start how to wait for that.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from users.hooks import Hook
from users.models import ConsentEvent, OptOut, User

from . import phone_owners

NOBODY: Mapping[str, int] = MappingProxyType({})


class Sending(NamedTuple):
    """The functions that the sending app registers: this package may not import it."""

    hold: Callable[[Collection[str], Collection[int]], None]  # phones (E.164), ids of people
    in_the_air: Callable[[User], int]  # how many messages a refusal can no longer stop


sending: Hook[Sending] = Hook(
    Sending(hold=lambda _phones, _people: None, in_the_air=lambda _person: 0)
)


def in_the_air(person: User) -> int:
    """How many messages to this person had left, or were leaving, when they were refused."""
    return sending.given.in_the_air(person)


def _hold(phones: Collection[str] = (), people: Collection[int] = ()) -> None:
    sending.given.hold(phones, people)


def forbidden(user: str) -> Exists:
    """A condition for queries over rows that name a person in the column `user`."""
    return Exists(User.objects.filter(id=OuterRef(user), sms_forbidden=True))


def opted_out(phone: str) -> Exists:
    """A condition for queries over rows that have an E.164 phone in the column `phone`."""
    return Exists(OptOut.objects.filter(phone=OuterRef(phone)))


def refuses(user: User, phone: str) -> bool:
    """True if nothing may be sent to this person and phone now."""
    return User.objects.filter(id=user.id, sms_forbidden=True).exists() or phone_refuses(phone)


def phone_refuses(phone: str) -> bool:
    """True if this phone has opted out, or belongs to somebody whose SMS are forbidden. People who
    only claim a number that somebody else has confirmed do not count.
    """
    theirs = User.objects.filter(phone_owners.no_claim(), phone=phone)
    return OptOut.objects.filter(phone=phone).exists() or theirs.filter(sms_forbidden=True).exists()


@transaction.atomic
def forbid(user: User, by: User | None) -> None:
    """Forbid all SMS to this person, mailings and notifications, from now on."""
    _set_forbidden(user, by, forbidden=True)


@transaction.atomic
def allow(user: User, by: User | None) -> None:
    _set_forbidden(user, by, forbidden=False)


def _set_forbidden(user: User, by: User | None, *, forbidden: bool) -> None:
    changed = User.objects.filter(id=user.id, sms_forbidden=not forbidden).update(
        sms_forbidden=forbidden,
        sms_forbidden_by=by if forbidden else None,
        sms_forbidden_at=timezone.now() if forbidden else None,
    )
    user.refresh_from_db(fields=["sms_forbidden", "sms_forbidden_by", "sms_forbidden_at"])
    if changed:
        ConsentEvent.objects.create(
            user=user,
            phone=user.phone,
            kind=ConsentEvent.Kind.FORBIDDEN if forbidden else ConsentEvent.Kind.ALLOWED,
            by=by,
            source=OptOut.Source.STAFF if by != user else OptOut.Source.PERSON,
        )
    if forbidden:
        _hold(people=[user.id])


@transaction.atomic
def opt_out(
    phone: str, source: OptOut.Source, *, user: User | None = None, by: User | None = None
) -> None:
    """Opt this phone out of SMS, whoever it belongs to. Calling this twice changes nothing more."""
    _, created = OptOut.objects.get_or_create(phone=phone, defaults={"source": source})
    if created:
        ConsentEvent.objects.create(
            user=user, phone=phone, kind=ConsentEvent.Kind.OPTED_OUT, by=by, source=source
        )
    _hold(phones=[phone])


@transaction.atomic
def opt_out_all(
    phones: Collection[str], source: OptOut.Source, people: Mapping[str, int] = NOBODY
) -> None:
    """Opt many phones out at once, in sorted order, because two workers may learn of the same ones.

    people: phone -> id of the person it belongs to, for the consent book.
    """
    known = OptOut.objects.filter(phone__in=phones).values_list("phone", flat=True)
    fresh = sorted(set(phones) - set(known)) if phones else []
    OptOut.objects.bulk_create(
        [OptOut(phone=phone, source=source) for phone in fresh], ignore_conflicts=True
    )
    ConsentEvent.objects.bulk_create(
        [
            ConsentEvent(
                user_id=people.get(phone),
                phone=phone,
                kind=ConsentEvent.Kind.OPTED_OUT,
                source=source,
            )
            for phone in fresh
        ]
    )
    if fresh:
        _hold(phones=fresh)


@transaction.atomic
def opt_in_all(
    phones: Collection[str], source: OptOut.Source, people: Mapping[str, int] = NOBODY
) -> None:
    """Opt phones in again because their owners wrote so. Only phones that had opted out by SMS are
    affected.
    """
    if not phones:
        return
    by_sms = OptOut.objects.filter(
        phone__in=phones, source__in=[OptOut.Source.REPLY, OptOut.Source.PROVIDER]
    )
    back = sorted(by_sms.select_for_update().values_list("phone", flat=True))
    OptOut.objects.filter(phone__in=back).delete()
    ConsentEvent.objects.bulk_create(
        [
            ConsentEvent(
                user_id=people.get(phone),
                phone=phone,
                kind=ConsentEvent.Kind.OPTED_IN,
                source=source,
            )
            for phone in back
        ]
    )


@transaction.atomic
def take_back(phones: Collection[str]) -> int:
    """Remove opt-outs that came from misreading a provider's code, and return how many. The book is
    append-only, so a new line corrects each wrong one and names the same person.
    """
    wrong = _by_provider(phones)
    OptOut.objects.filter(phone__in=wrong, source=OptOut.Source.PROVIDER).delete()
    _write_for(wrong, ConsentEvent.Kind.CORRECTED, OptOut.Source.PROVIDER)
    return len(wrong)


@transaction.atomic
def opted_out_by_reply(phones: Collection[str]) -> int:
    """Correct the same lines for phones that also replied "stop": these stay opted out, because of
    their reply. Returns how many.
    """
    wrong = _by_provider(phones)
    OptOut.objects.filter(phone__in=wrong).update(source=OptOut.Source.REPLY)
    _write_for(wrong, ConsentEvent.Kind.CORRECTED, OptOut.Source.PROVIDER)
    _write_for(wrong, ConsentEvent.Kind.OPTED_OUT, OptOut.Source.REPLY)
    return len(wrong)


def _by_provider(phones: Collection[str]) -> list[str]:
    held = OptOut.objects.filter(phone__in=phones, source=OptOut.Source.PROVIDER)
    return sorted(held.select_for_update().values_list("phone", flat=True))


def _write_for(phones: Sequence[str], kind: ConsentEvent.Kind, source: OptOut.Source) -> None:
    """Write lines with the person of the line that is corrected."""
    lines = ConsentEvent.objects.filter(
        phone__in=phones, kind=ConsentEvent.Kind.OPTED_OUT, source=OptOut.Source.PROVIDER
    )
    people = dict(lines.order_by("id").values_list("phone", "user_id"))
    ConsentEvent.objects.bulk_create(
        [
            ConsentEvent(user_id=people.get(phone), phone=phone, kind=kind, source=source)
            for phone in phones
        ]
    )


@transaction.atomic
def opt_in(
    phone: str, source: OptOut.Source, *, user: User | None = None, by: User | None = None
) -> None:
    """Opt the phone in again because the person said so."""
    deleted, _ = OptOut.objects.filter(phone=phone).delete()
    if deleted:
        ConsentEvent.objects.create(
            user=user, phone=phone, kind=ConsentEvent.Kind.OPTED_IN, by=by, source=source
        )
