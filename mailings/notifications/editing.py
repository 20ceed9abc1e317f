"""Writing notifications, switching them on and off, and deleting them."""

import hashlib

from django.db import transaction
from django.utils.translation import gettext as _

from mailings.errors import WrongState
from mailings.models import Counters, Mailing, Message
from mailings.sending import last_look
from mailings.tracking import link_rows
from smsmail.jobs.periodic import nudge
from users.models import User, audit

from .forms import NotificationForm
from .registry import BUILT_IN, is_on

FIELDS = (
    "name",
    "text",
    "event_values",
    "wrap_links",
    "links_sign_in",
    "sign_in_days",
)  # the fields that a form changes
Kind, State = Mailing.Kind, Mailing.State


def add(notification: Mailing, by: User) -> None:
    """Store a new notification, filled in by its form. It is off."""
    with transaction.atomic():
        notification.kind, notification.state = Kind.NOTIFICATION, State.CANCELLED
        notification.created_by = by
        notification.save()
        Counters.objects.create(mailing=notification)
        audit(by, "event_added", f"mailing {notification.pk}", event=notification.event)


class NotificationChanged(Exception):
    """Somebody else saved it after the form was opened. str() says so in words."""


def version_of(notification: Mailing) -> str:
    """Return a hash of what is stored; '' for a new one. The form sends it back."""
    if notification.pk is None:
        return ""
    values = [str(getattr(notification, name)) for name in FIELDS]
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:16]


def save(form: NotificationForm, by: User, version: str) -> Mailing:
    """Save a valid form. Messages that are written already keep their text. Raises
    NotificationChanged.
    """
    row: Mailing = form.instance
    with transaction.atomic():
        if row.pk is None:
            row.event_values = form.names
            add(row, by)
        else:
            stored = Mailing.objects.select_for_update(no_key=True).get(pk=row.pk)
            if version != version_of(stored):
                raise NotificationChanged(
                    _(
                        "Somebody has changed it meanwhile. What you wrote stands here: saving once"
                        " more replaces what is stored."
                    )
                )
            form.save()
            audit(by, "text_changed", f"mailing {row.pk}")
        link_rows.write_down(row)
    return row


def switch(notification: Mailing, by: User, *, on: bool) -> None:
    """Switch it on or off. Switching off also stops, within moments, messages that are written but
    not submitted yet.
    """
    with transaction.atomic():
        state = State.SENDING if on else State.CANCELLED
        rows = Mailing.objects.notifications().filter(pk=notification.pk)
        if rows.exclude(state=state).update(state=state):
            audit(by, "switched_on" if on else "switched_off", f"mailing {notification.pk}")
            if not on:
                last_look.hold_mailing(notification.pk)
            nudge("settle")
    notification.refresh_from_db()


def delete(notification: Mailing, by: User) -> None:
    """Delete a notification. Raises WrongState for a built-in notification, for one that is on, and for one
    that has messages.
    """
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
