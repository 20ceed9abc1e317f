"""The existing notifications: the built-in ones and those that a school has added. editing.py
changes them, and send.py sends their messages when an event is raised.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from mailings.models import Counters, Mailing
from users.consent import confirmation

Kind, State = Mailing.Kind, Mailing.State


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The initial values of a notification that every installation has, in the account's language."""

    name: str
    text: str
    on: bool
    values: tuple[str, ...] = ()  # from the event, besides the values of the person
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
    """Return all notifications with their counters, and create missing built-in ones."""
    for event in BUILT_IN:
        named(event)
    return Mailing.objects.notifications().select_related("counters")


def named(event: str) -> Mailing | None:
    """Return the notification of this event, or None. A built-in one is created at its first use."""
    if event in BUILT_IN:
        return _made(event, BUILT_IN[event])
    return Mailing.objects.notifications().filter(event=event).first()


def is_on(notification: Mailing) -> bool:
    return notification.state == State.SENDING


def required_in(notification: Mailing) -> Collection[str]:
    """Return the variables without which its text would be useless."""
    return BUILT_IN[PHONE_CODE].values if notification.event == PHONE_CODE else ()


def _made(event: str, built_in: BuiltIn) -> Mailing:
    found = Mailing.objects.filter(event=event).first()
    if found is not None:
        return found
    # both rows or none, as in send.tests(): a mailing needs its counters
    with transaction.atomic():
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
