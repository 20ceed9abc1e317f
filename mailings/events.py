"""The notifications there are: the built-in ones and those a school has added; written, switched on
and off, deleted. What happens when an event is raised is in notifications.py.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from smsmail.clock import nudge
from users import confirmation
from users.models import User, audit

from . import addresses, gates
from .lifecycle import WrongState
from .models import Counters, Mailing, Message

if TYPE_CHECKING:
    from .notification_forms import NotificationForm

FIELDS = (
    "name",
    "text",
    "event_values",
    "wrap_links",
    "links_sign_in",
    "sign_in_days",
)  # that a form changes
Kind, State = Mailing.Kind, Mailing.State


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """What a notification that every installation has begins with; in the account's language."""

    name: str
    text: str
    on: bool
    values: tuple[str, ...] = ()  # that the event brings, beside those of the person
    valid_minutes: int | None = None


PHONE_CODE, WELCOME = "phone_code", "welcome"
BUILT_IN = {
    PHONE_CODE: BuiltIn(
        gettext_noop("Code for confirming a phone"),
        gettext_noop("Your code: {code}. Do not tell it to anybody."),
        on=True,
        values=("code",),
        valid_minutes=int(confirmation.LIFETIME.total_seconds()) // 60,
    ),
    WELCOME: BuiltIn(
        gettext_noop("Welcome"),
        gettext_noop(
            "Welcome, {first_name|friend}! News of your lessons will come to this number."
        ),
        on=False,
    ),
}


def every() -> QuerySet[Mailing]:
    """With their counters, the built-in ones among them."""
    for event in BUILT_IN:
        named(event)
    return Mailing.objects.filter(kind=Kind.NOTIFICATION).select_related("counters")


def named(event: str) -> Mailing | None:
    """By the name it is raised by; a built-in one is made when it is first asked for."""
    if event in BUILT_IN:
        return _made(event, BUILT_IN[event])
    return Mailing.objects.filter(kind=Kind.NOTIFICATION, event=event).first()


def is_on(notification: Mailing) -> bool:
    return notification.state == State.SENDING


def required_in(notification: Mailing) -> Collection[str]:
    """Variables without which its text would be of no use to anybody."""
    return BUILT_IN[PHONE_CODE].values if notification.event == PHONE_CODE else ()


def add(notification: Mailing, by: User) -> None:
    """A new one, filled in by its form; off."""
    with transaction.atomic():
        notification.kind, notification.state = Kind.NOTIFICATION, State.CANCELLED
        notification.created_by = by
        notification.save()
        Counters.objects.create(mailing=notification)
        audit(by, "event_added", f"mailing {notification.pk}", event=notification.event)


class ChangedMeanwhile(Exception):
    """Somebody else has saved it since the form was opened, in words."""


def version_of(notification: Mailing) -> str:
    """Of what is stored; '' for a new one. The form carries it along."""
    if notification.pk is None:
        return ""
    values = [str(getattr(notification, name)) for name in FIELDS]
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:16]


def save(form: "NotificationForm", by: User, version: str) -> Mailing:
    """A valid form. What is written already keeps its text. Raises ChangedMeanwhile."""
    row: Mailing = form.instance
    with transaction.atomic():
        if row.pk is None:
            row.event_values = form.names
            add(row, by)
        else:
            stored = Mailing.objects.select_for_update(no_key=True).get(pk=row.pk)
            if version != version_of(stored):
                raise ChangedMeanwhile(
                    _(
                        "Somebody has changed it meanwhile. What you wrote stands here: saving once"
                        " more replaces what is stored."
                    )
                )
            form.save()
            audit(by, "text_changed", f"mailing {row.pk}")
        addresses.write_down(row)
    return row


def switch(notification: Mailing, by: User, *, on: bool) -> None:
    """Off: also what has been written and not handed over yet is stopped, within moments."""
    with transaction.atomic():
        state = State.SENDING if on else State.CANCELLED
        rows = Mailing.objects.filter(pk=notification.pk, kind=Kind.NOTIFICATION)
        if rows.exclude(state=state).update(state=state):
            audit(by, "switched_on" if on else "switched_off", f"mailing {notification.pk}")
            if not on:
                gates.hold_mailing(notification.pk)
            nudge("settle")
    notification.refresh_from_db()


def delete(notification: Mailing, by: User) -> None:
    """Raises WrongState: a built-in one, one that is on, or one with messages to show stays."""
    with transaction.atomic():
        row = Mailing.objects.select_for_update().get(pk=notification.pk)
        if row.event in BUILT_IN:
            raise WrongState(_("This notification belongs to the system. Switch it off instead."))
        if is_on(row):
            raise WrongState(_("Switch it off first."))
        if Message.objects.filter(mailing=row).exists():
            raise WrongState(_("It has sent messages, which stay in the statistics. Keep it off."))
        row.delete()
        audit(by, "deleted", f"mailing {notification.pk}", name=row.name)


def _made(event: str, built_in: BuiltIn) -> Mailing:
    found = Mailing.objects.filter(event=event).first()
    if found is not None:
        return found
    with transaction.atomic():  # both or none, as with tests(): it cannot do without counters
        with translation.override(settings.LANGUAGE_CODE):
            name, text = _(built_in.name), _(built_in.text)
        mailing, created = Mailing.objects.get_or_create(
            event=event,
            defaults={
                "kind": Kind.NOTIFICATION,
                "state": State.SENDING if built_in.on else State.CANCELLED,
                "name": name,
                "text": text,
                "event_values": list(built_in.values),
                "valid_minutes": built_in.valid_minutes,
            },
        )
        if created:
            Counters.objects.create(mailing=mailing)
    return mailing
