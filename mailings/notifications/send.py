"""One person, one event, one message: notifications when their event is raised, and test sends.
Their messages are sent like any other, but through a priority queue (lane) of their own, before
mailings.

The countdown, waves, quiet hours and the frequency cap do not apply to them.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from django.db import IntegrityError, transaction
from django.db.models import TextChoices
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.reasons import Reason
from integrations.routing import routing
from mailings.audience import destinations
from mailings.audience.personalization import as_launched, parsed, values_of
from mailings.models import Batch, Counters, Mailing, Message, Policy
from mailings.sending import bulk, epoch, ledger
from mailings.sending.prepare import new_batches
from mailings.text import markers, sealed
from mailings.text import template as text
from smsmail.jobs.periodic import nudge
from users.consent import consent, phone_owners
from users.models import OptOut, User, audit

from . import registry, test_limits

NOTHING: Mapping[str, str] = MappingProxyType({})
KEY = 80  # characters that fit the column


class Became(TextChoices):
    """The outcome of a raised event, in words for a log or a person."""

    SENT = "sent", gettext_lazy("The message is written and leaves at once.")
    REPEATED = "repeated", gettext_lazy("This was raised before: nothing is sent a second time.")
    OFF = "off", gettext_lazy("The notification is switched off.")
    NO_EVENT = "no_event", gettext_lazy("There is no event of this name.")
    LEFT_OUT = "left_out", gettext_lazy("The person gets nothing.")


@dataclass(frozen=True, slots=True)
class Raised:
    became: Became
    message: Message | None = None  # for a repetition, the first message

    @property
    def reason(self) -> Reason | None:
        """Return why the person was excluded; None otherwise."""
        if self.became != Became.LEFT_OUT or self.message is None:
            return None
        return Reason(self.message.reason)

    @property
    def words(self) -> str:
        why = f" {self.reason.about.title}." if self.reason else ""
        return f"{self.became.label}{why}"


def raise_event(
    event: str, person: User, *, key: str, values: Mapping[str, str] = NOTHING
) -> Raised:
    """Write the message for an event that has happened to this person, if its notification is on.
    Expected outcomes raise no exception. A person who gets no message has a row that says why.

    Each key counts once: the same event raised again with the same key sends nothing. It runs in
    the caller's transaction, if there is one, so the event and its message are stored together or
    not at all. Such a transaction should be short, since the counters are locked until it ends.
    """
    with transaction.atomic():
        notification = registry.named(event)
        if notification is None:
            return Raised(Became.NO_EVENT)
        if not registry.is_on(notification):
            return Raised(Became.OFF)
        key = _storable(key)
        earlier = notification.messages.filter(key=key).first()
        if earlier is not None:
            return Raised(Became.REPEATED, earlier)
        template = as_launched(notification.text, notification.wrapping)
        brought = {name: str(values.get(name, "")) for name in notification.event_values}
        body = text.render(template, values_of(person) | brought).strip()
        why_not = _why_not(person, body, proves=event == registry.PHONE_CODE)
        try:
            with transaction.atomic():
                message = _write(notification, person, key, person.phone, body, why_not)
        except IntegrityError:
            earlier = notification.messages.filter(key=key).first()
            if earlier is None:
                raise
            return Raised(Became.REPEATED, earlier)  # a concurrent call wrote it
    return Raised(Became.LEFT_OUT if why_not else Became.SENT, message)


# --- what the system raises itself --------------------------------------------------------------
def can_send_codes() -> bool:
    code = registry.named(registry.PHONE_CODE)
    return code is not None and registry.is_on(code) and routing.current() is not None


def codes_a_day() -> int:
    return Policy.current().codes_a_day


def send_code(person: User, nonce: str) -> str:
    """Send the code of this nonce to the person's phone. Return why not, in words, or ''."""
    raised = raise_event(
        registry.PHONE_CODE, person, key=f"code:{nonce}", values={"code": sealed.sealed(nonce)}
    )
    if raised.became == Became.SENT:
        return ""
    if raised.reason in (Reason.FORBIDDEN, Reason.OPTED_OUT):
        return _("No code is sent to you: SMS to you are switched off or forbidden.")
    if raised.reason == Reason.NOT_SERVED:
        return _("No SMS goes to such numbers from here. Write down another one.")
    return _("Codes cannot be sent here now.")


def welcome(person: User) -> None:
    raise_event(registry.WELCOME, person, key=f"user:{person.pk}")


# --- tests --------------------------------------------------------------------------------------
class NotSent(Exception):
    """Nothing is sent to this person. str() says why."""


def send_test(
    mailing: Mailing, to: User, by: User, phone: str = "", whose: User | None = None
) -> Message:
    """Send the mailing's text as this person would get it, now. `phone` (E.164) sends it to another
    phone. `whose` fills in the values of another person, whose own ban does not matter then.

    Raises NotSent. The message counts in none of the mailing's figures. Its short links lead where
    the mailing's links do, because its key contains the mailing's number.
    """
    return _test(mailing, to, by, phone or to.phone, whose or to)


def try_event(
    notification: Mailing, to: User, by: User, values: Mapping[str, str] = NOTHING
) -> Message:
    """Do the same for a notification, on or off, with made-up values of its event."""
    return _test(notification, to, by, to.phone, to, values)


def _test(
    mailing: Mailing,
    to: User,
    by: User,
    phone: str,
    whose: User,
    values: Mapping[str, str] = NOTHING,
) -> Message:
    try:
        parsed(mailing.text, mailing.wrapping, mailing.event_values)
    except text.BadText as error:
        raise NotSent(str(error)) from error
    with transaction.atomic():
        # Concurrent tests of one person are counted one after the other.
        User.objects.select_for_update(no_key=True).filter(pk=by.pk).first()
        return _counted_test(mailing, to, by, phone, whose, values)


def _counted_test(
    mailing: Mailing, to: User, by: User, phone: str, whose: User, values: Mapping[str, str]
) -> Message:
    try:
        if phone:
            test_limits.check(by, phone)
    except test_limits.TooManyTests as words:
        raise NotSent(str(words)) from words
    if phone == to.phone and to != by and phone_owners.only_claims(to):
        raise NotSent(_("Somebody else has confirmed the number of %(name)s.") % {"name": to.name})
    message = send_one(
        tests(),
        to,
        key=f"test:{mailing.id}:{secrets.token_hex(8)}:{by.pk}",  # test_limits.py counts by it
        phone=phone,
        body=text.render(
            as_launched(mailing.text, mailing.wrapping), values_of(whose) | dict(values)
        ),
    )
    audit(by, "test_sent", f"mailing {mailing.id}", person=whose.id)
    return message


def send_one(mailing: Mailing, to: User, *, key: str, phone: str, body: str) -> Message:
    """Write the message and its batch of one. A repeated key raises IntegrityError, so a repetition
    does no harm.

    Raises NotSent if the text is empty, no service is connected, there is no phone, the number gets
    no SMS, or the person must get nothing.
    """
    if routing.current() is None:
        raise NotSent(_("No SMS service is connected. Ask the owner to connect one."))
    if not body.strip():
        raise NotSent(_("The text is empty."))
    if not phone:
        raise NotSent(_("%(name)s has no phone.") % {"name": to.name})
    if not destinations.serves(phone):
        raise NotSent(_("No SMS goes to such numbers: see the settings of sending."))
    if consent.refuses(to, phone):
        if phone == to.phone:
            raise NotSent(_("%(name)s gets no SMS: they are forbidden.") % {"name": to.name})
        raise NotSent(_("This number gets no SMS: its owner does not want any."))
    with transaction.atomic():
        return _write(mailing, to, key, phone, body)


def tests() -> Mailing:
    """Return the one mailing that holds all test messages; it is always sending."""
    with transaction.atomic():  # both rows or none: a mailing without counters can never send
        mailing, created = Mailing.objects.get_or_create(
            kind=Mailing.Kind.TEST,
            defaults={"name": "Test messages", "state": Mailing.State.SENDING},
        )
        if created:
            Counters.objects.create(mailing=mailing)
    return mailing


def _write(
    mailing: Mailing, to: User, key: str, phone: str, body: str, why_not: str = ""
) -> Message:
    """Write the message and its batch of one, or the row of a person who gets none."""
    epoch.is_held()  # in a restored copy, this moves message ids ahead before a new one is written
    status = Message.Status.SKIPPED if why_not else Message.Status.WAITING
    entry = bulk.Entry(
        mailing_id=mailing.id,
        key=key,
        user_id=to.id,
        phone=phone,
        text="" if why_not else body,
        parts=0 if why_not else text.parts_of(markers.masked(sealed.opened(body))),
        status=status.value,
        reason=why_not,
        batch_id=None if why_not else _batch(mailing).id,
        final_at=timezone.now() if why_not else None,
    )
    ledger.enter(mailing.id, [entry])
    nudge("notify")
    return Message.objects.get(mailing=mailing, key=key)


def _batch(mailing: Mailing) -> Batch:
    (batch,) = new_batches(mailing.id, [1])
    if mailing.valid_minutes:
        batch.expires_at = batch.not_before + timedelta(minutes=mailing.valid_minutes)
        batch.save(update_fields=["expires_at"])
    return batch


def _why_not(person: User, body: str, *, proves: bool = False) -> str:
    """Return the first reason for which this person gets nothing, or ''. `proves`: the message is
    the code by which a number becomes theirs.
    """
    if not person.phone:
        return Reason.NO_PHONE.value
    if not destinations.serves(person.phone):
        return Reason.NOT_SERVED.value
    if User.objects.filter(pk=person.pk, sms_forbidden=True).exists():
        return Reason.FORBIDDEN.value
    if OptOut.objects.filter(phone=person.phone).exists():
        return Reason.OPTED_OUT.value
    if not body:
        return Reason.EMPTY_TEXT.value
    if not proves and phone_owners.only_claims(person):
        return Reason.SAME_PHONE.value
    return "" if routing.current() else Reason.NO_SERVICE.value


def _storable(key: str) -> str:
    """Return a key that fits the column; a key that is too long or unprintable is replaced by its
    hash.
    """
    if len(key) <= KEY and key.isprintable():
        return key
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
