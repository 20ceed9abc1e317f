"""What the reader of a mailing's page may do next: by its state, and by the rights of the reader."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mailings.models import Mailing
from users.models import User
from users.rights import Right

State = Mailing.State


class Way(StrEnum):
    """What a click on the button does."""

    OPENS = "opens"  # another page
    ASKS = "asks"  # a page that asks first; shown in the dialog where there is JavaScript
    ACTS = "acts"  # at once, by a POST


class Tone(StrEnum):
    """A class of the button."""

    PLAIN = ""
    PRIMARY = "primary"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class Action:
    """One button. Drawn by components/action.html."""

    label: str | Promise
    url: str
    icon: str
    way: Way
    tone: Tone = Tone.PLAIN


def of_launched(row: Mailing, reader: User) -> list[Action]:
    found: list[Action] = []
    if reader.may(Right.SEND_MAILINGS):
        found += _course(row)
    if reader.may(Right.EDIT_MAILINGS):
        found.append(_copy(row))
    if reader.may(Right.SEND_MAILINGS):
        found += _ends(row)
    return found


def of_draft(row: Mailing, reader: User, *, connected: bool, may_confirm: bool) -> list[Action]:
    """Of a mailing before its launch. connected: there is a service to send through."""
    found: list[Action] = []
    if reader.may(Right.EDIT_MAILINGS):
        if row.state == State.DRAFT:
            found.append(Action(_("Change"), _url("mailing-edit", row), "edit", Way.OPENS))
        found.append(_copy(row))
    if reader.may(Right.SEND_MAILINGS) and connected:
        found.append(Action(_("Send a test"), _url("mailing-test", row), "phone", Way.ASKS))
        launch = _url("mailing-launch", row)
        if row.state == State.DRAFT:
            found.append(Action(_("Launch…"), launch, "send", Way.ASKS, Tone.PRIMARY))
        elif may_confirm:
            words = _("Confirm and launch…")
            found.append(Action(words, launch, "check", Way.ASKS, Tone.PRIMARY))
    return found


def delete_draft(row: Mailing, reader: User) -> Action | None:
    """At the end of the page of a draft, apart from the others."""
    if not reader.may(Right.EDIT_MAILINGS) or row.state != State.DRAFT:
        return None
    url = _url("mailing-delete", row)
    return Action(_("Delete the draft…"), url, "trash", Way.ASKS, Tone.DANGER)


def revoke_links(row: Mailing) -> Action:
    url = _url("mailing-revoke-links", row)
    return Action(_("Revoke sign-in links…"), url, "lock", Way.ASKS)


def _course(row: Mailing) -> Iterator[Action]:
    """Back, on hold, onwards. The first is what one most likely came for."""
    if row.state == State.SCHEDULED:
        take_back = _url("mailing-take-back", row)
        yield Action(_("Take back"), take_back, "back", Way.ACTS, Tone.PRIMARY)
        yield _pause(row, Tone.PLAIN)
    elif row.state in Mailing.RUNNING:
        yield _pause(row, Tone.PRIMARY)
    elif row.state == State.PAUSED:
        yield Action(_("Go on"), _url("mailing-resume", row), "play", Way.ACTS, Tone.PRIMARY)


def _ends(row: Mailing) -> Iterator[Action]:
    """What cannot be undone."""
    if row.links_sign_in:
        yield revoke_links(row)
    if row.state in Mailing.STOPPABLE:
        yield Action(_("Cancel…"), _url("mailing-cancel", row), "stop", Way.ASKS, Tone.DANGER)
    if row.watches:
        yield Action(_("Stop watching…"), _url("mailing-stop-watching", row), "check", Way.ASKS)


def _pause(row: Mailing, tone: Tone) -> Action:
    return Action(_("Pause"), _url("mailing-pause", row), "pause", Way.ACTS, tone)


def _copy(row: Mailing) -> Action:
    return Action(_("Copy"), _url("mailing-copy", row), "draft", Way.ACTS)


def _url(name: str, row: Mailing) -> str:
    return reverse(name, args=[row.pk])
