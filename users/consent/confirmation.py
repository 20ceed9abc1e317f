"""Confirms a phone by a code sent to it. The app that sends messages registers at start how to do so.

A code is derived from a random nonce and the installation's key. Neither the code nor a hash of it is stored,
so a copy of the database reveals no code, and sending a code again sends the same one.

A person in a session by link may confirm too: that takes the phone itself, which proves more than the link,
and a session by link cannot change the phone.
"""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from smsmail.jobs.moments import SKEW
from users.hooks import Hook
from users.models import ConsentEvent, OptOut, PhoneCode, User, audit

DIGITS = 6
LIFETIME = timedelta(minutes=10)
TRIES = 5  # for one code
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PER_HOUR = 5  # codes an hour to one person, and to one phone
PER_NETWORK = 60  # codes an hour for one /24: a whole class of a school shares one address
DAY = timedelta(days=1)
# Limits for 24 hours. One person alone cannot use up the limit of a phone, which others may share.
PER_DAY, PER_PHONE_A_DAY, PER_NETWORK_A_DAY = 8, 12, 240
RETENTION = DAY


class CodeSender(NamedTuple):
    """The functions that the sending app registers: this package may not import it."""

    can: Callable[[], bool]
    send: Callable[[User, str], str]  # person, nonce -> '', or the reason why it was not sent
    most: Callable[[], int] = lambda: 500  # codes in 24 hours, for all people together


sender: Hook[CodeSender] = Hook(
    CodeSender(can=lambda: False, send=lambda _person, _nonce: _("Codes cannot be sent here now."))
)


class NoCode(Exception):
    """No code was sent; the text tells the person why."""


class WrongCode(Exception):
    """The phone is not confirmed; the text tells the person why."""


def can_send() -> bool:
    return sender.given.can()


def code_of(nonce: str) -> str:
    digest = salted_hmac("users.consent.confirmation", nonce, algorithm="sha256").digest()
    return f"{int.from_bytes(digest[:8]) % 10**DIGITS:0{DIGITS}}"


def send(person: User, network: str = "") -> None:
    """Send a new code to the person's phone and void the earlier ones. Raises NoCode."""
    with transaction.atomic():
        fresh = _locked(person)
        phone = fresh.phone
        if not phone:
            raise NoCode(_("There is no phone here. Write it down first."))
        if fresh.phone_confirmed_at:
            raise NoCode(_("The number is confirmed already."))
        _check_limits(person, phone, network)
        # The request is stored even if sending is refused, so that it counts.
        forget(person)
        code = PhoneCode.objects.create(
            user=person, phone=phone, nonce=_new_nonce(), network=network
        )
        refusal = _send(fresh, code)
        PhoneCode.objects.filter(asked_at__lt=timezone.now() - RETENTION).delete()
    if refusal:
        raise NoCode(refusal)


def open_code(person: User) -> PhoneCode | None:
    """Return the code that the person may type in now, if any."""
    return _open(person).order_by("-id").first()


def confirm(person: User, typed: str) -> None:
    """Confirm the phone if the person typed the right code. Raises WrongCode."""
    with transaction.atomic():
        fresh = _locked(person)
        code = _open(fresh).select_for_update().order_by("-id").first()
        if code is None:
            raise WrongCode(_("This code holds no more. Ask for a new one."))
        code.tries += 1
        right = secrets.compare_digest(code_of(code.nonce), _digits(typed))
        code.closed = right or code.tries >= TRIES
        code.save(update_fields=["tries", "closed"])
        if right:
            _write_down(fresh)
    if right:
        person.phone_confirmed_at = fresh.phone_confirmed_at
    elif code.closed:
        raise WrongCode(_("Wrong too often: this code holds no more. Ask for a new one."))
    else:
        raise WrongCode(_("This is not the code. Look at the last SMS once more."))


def forget(person: User) -> None:
    """Void all codes sent so far: the phone has changed, or a new code follows."""
    PhoneCode.objects.filter(user=person, closed=False).update(closed=True)


def _send(person: User, code: PhoneCode) -> str:
    refusal = sender.given.send(person, code.nonce)
    if refusal:
        code.closed = True
        code.save(update_fields=["closed"])
    return refusal


def _check_limits(person: User, phone: str, network: str) -> None:
    now = timezone.now()
    # Requests with a future time come from a wrong clock; nobody has to wait because of them.
    past_hour = PhoneCode.objects.filter(asked_at__gt=now - HOUR, asked_at__lte=now + SKEW)
    asked = past_hour.filter(Q(user=person) | Q(phone=phone))
    last = asked.order_by("-asked_at").first()
    if last is not None and last.asked_at > now - MINUTE:
        raise NoCode(
            _("A code was asked for less than a minute ago. Wait a little, then ask again.")
        )
    if asked.count() >= PER_HOUR:
        raise NoCode(_("Too many codes were asked for. Try again in an hour."))
    lately = past_hour.filter(network=network)
    if network and lately.count() >= PER_NETWORK:
        raise NoCode(_("Too many codes were asked for from your network. Try again in an hour."))
    _check_day(person, phone, network)


def _check_day(person: User, phone: str, network: str) -> None:
    today = PhoneCode.objects.filter(asked_at__gt=timezone.now() - DAY)
    mine, of_phone = today.filter(user=person).count(), today.filter(phone=phone).count()
    if mine >= PER_DAY or of_phone >= PER_PHONE_A_DAY:
        raise NoCode(_("Too many codes were asked for today. Try again tomorrow."))
    if network and today.filter(network=network).count() >= PER_NETWORK_A_DAY:
        raise NoCode(
            _("Too many codes were asked for from your network today. Try again tomorrow.")
        )
    if today.count() >= sender.given.most():
        raise NoCode(_("No more codes are sent today. Try again tomorrow."))


def _write_down(person: User) -> None:
    person.phone_confirmed_at = timezone.now()
    person.save(update_fields=["phone_confirmed_at"])
    ConsentEvent.objects.create(
        user=person,
        phone=person.phone,
        kind=ConsentEvent.Kind.CONFIRMED,
        by=person,
        source=OptOut.Source.PERSON,
    )
    audit(person, "phone_confirmed", f"user {person.pk}")


def _open(person: User) -> QuerySet[PhoneCode]:
    """Filter by phone as well: after any change of the phone no code is open."""
    now = timezone.now()
    of_person = PhoneCode.objects.filter(user=person, phone=person.phone, closed=False)
    return of_person.filter(asked_at__gt=now - LIFETIME, asked_at__lte=now + LIFETIME)


def _locked(person: User) -> User:
    """Return the person's current row, locked together with everybody who has the same phone, in
    order of id: concurrent requests are counted one after the other.
    """
    phone = User.objects.filter(pk=person.pk).values("phone")[:1]
    same = Q(pk=person.pk) | (Q(phone=phone) & ~Q(phone=""))
    rows = User.objects.select_for_update(no_key=True).filter(same).order_by("id")
    return next(row for row in rows if row.pk == person.pk)


def _new_nonce() -> str:
    return secrets.token_hex(8)


def _digits(typed: str) -> str:
    """People type codes with spaces and dashes; only the digits 0 to 9 count."""
    return "".join(char for char in typed[:40] if char in "0123456789")
