"""One person, one event, one message: notifications when their event is raised, and test sends. The
message travels the same way as any other, in a lane of its own before mailings.

What holds for mailings alone: the countdown, waves, quiet hours and the frequency cap.
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
KEY = 80  # characters that the column holds


class Became(TextChoices):
    """What became of a raised event, in words for a log or a person."""

    SENT = "sent", gettext_lazy("The message is written and leaves at once.")
    REPEATED = "repeated", gettext_lazy("This was raised before: nothing is sent a second time.")
    OFF = "off", gettext_lazy("The notification is switched off.")
    NO_EVENT = "no_event", gettext_lazy("There is no event of this name.")
    LEFT_OUT = "left_out", gettext_lazy("The person gets nothing.")


@dataclass(frozen=True, slots=True)
class Raised:
    became: Became
    message: Message | None = None  # of a repetition, the first one

    @property
    def reason(self) -> Reason | None:
        """Why the person was left out."""
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
    """It has happened to this person: write the message, if its notification is on. Raises nothing
    for what may be so; whoever gets none has a row that says why.

    Once for each key: raised again with the same one, it sends nothing. In the transaction of the
    caller, if there is one: what has happened and its message come together or not at all. Such a
    transaction had better be short, as the counters are locked from here to its end.
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
            return Raised(Became.REPEATED, earlier)  # somebody else's, of this same moment
    return Raised(Became.LEFT_OUT if why_not else Became.SENT, message)


# --- what the system raises itself --------------------------------------------------------------
def can_send_codes() -> bool:
    code = registry.named(registry.PHONE_CODE)
    return code is not None and registry.is_on(code) and routing.current() is not None


def codes_a_day() -> int:
    return Policy.current().codes_a_day


def send_code(person: User, nonce: str) -> str:
    """The code of this nonce to the person's phone; why not, in words, or ''."""
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
    """Why nothing goes to this person, in words."""


def send_test(
    mailing: Mailing, to: User, by: User, phone: str = "", whose: User | None = None
) -> Message:
    """The mailing's text as this person would get it, now; to another phone (E.164) if given; with
    the values of somebody else if given, whose own ban does not matter then.

    Raises NotSent. Counts in none of the mailing's figures; its short links lead where the mailing's
    do, by the mailing's number in the key.
    """
    return _test(mailing, to, by, phone or to.phone, whose or to)


def try_event(
    notification: Mailing, to: User, by: User, values: Mapping[str, str] = NOTHING
) -> Message:
    """The same for a notification, on or off, with made-up values of its event."""
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
        # Two at once are counted one after the other.
        User.objects.select_for_update(no_key=True).filter(pk=by.pk).first()
        return _counted_test(mailing, to, by, phone, whose, values)


def _counted_test(
    mailing: Mailing, to: User, by: User, phone: str, whose: User, values: Mapping[str, str]
) -> Message:
    try:
        if phone:
            test_limits.check(by, phone)
    except test_limits.TooMany as words:
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
    """Write the message and its batch of one. The key makes a repetition harmless: IntegrityError.

    Raises NotSent for an empty text, no service, no phone, a number that gets no SMS, or a person who
    must get nothing.
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
    """The one mailing that holds all test messages; it is always sending."""
    with transaction.atomic():  # both or none: without counters nothing can ever be sent with it
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
    """The message and its batch of one; or the row of somebody who gets none."""
    epoch.is_held()  # in a restored copy, the numbers of messages leap ahead before a new one is written
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
    """The first reason for which this person gets nothing, or ''. proves: it is the code by which a
    number becomes theirs.
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
    """A key of any length and any signs: what the column does not hold stands in it as its hash."""
    if len(key) <= KEY and key.isprintable():
        return key
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
