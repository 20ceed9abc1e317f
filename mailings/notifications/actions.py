"""What the reader of a notification's page may do next, besides switching it on and off."""

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mailings.models import Mailing
from mailings.reports.actions import Action, Tone, Way, revoke_links
from users.models import User
from users.rights import Right

from . import registry


def of_notification(row: Mailing, reader: User, *, connected: bool) -> list[Action]:
    """Return the actions of the page. connected: there is a service to send through."""
    sends = reader.may(Right.SEND_MAILINGS)
    found: list[Action] = []
    if sends and row.links_sign_in:
        found.append(revoke_links(row))
    # What is changed while it is on goes out at once.
    if reader.may(Right.EDIT_MAILINGS) and (sends or not registry.is_on(row)):
        edit = reverse("notification-edit", args=[row.pk])
        found.append(Action(_("Change"), edit, "edit", Way.OPENS))
    if sends and connected:
        attempt = reverse("notification-try", args=[row.pk])
        found.append(Action(_("Try it…"), attempt, "phone", Way.ASKS))
    return found


def delete_notification(row: Mailing, reader: User) -> Action | None:
    """Return the action at the end of the page that deletes it. editing.delete() has the same conditions."""
    if not reader.may(Right.EDIT_MAILINGS) or row.event in registry.BUILT_IN:
        return None
    if registry.is_on(row) or row.counters.total:
        return None
    url = reverse("notification-delete", args=[row.pk])
    return Action(_("Delete…"), url, "trash", Way.ASKS, Tone.DANGER)
