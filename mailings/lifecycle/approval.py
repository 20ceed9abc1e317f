"""Requires a second person for large launches: one person asks for the launch, and another one confirms
it or sends it back. Whether a mailing is too large is decided once, at the launch, by the number of
people who would get it then. After that only another person can launch it, even if the limit changes.
transitions.py contains the launch itself.
"""

import secrets
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from mailings.audience import audience
from mailings.audience.personalization import parsed
from mailings.audience.text_extremes import Rendering, rendering
from mailings.models import Mailing, Policy
from mailings.text import template as text
from users.models import User, audit
from users.rights import STAFF, Right
from users.segments import rules
from users.segments.rules import BadRule

SHOWN = 3  # messages shown to the person who confirms
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # a time at which nobody asked for a launch

State = Mailing.State


class NotAwaiting(Exception):
    """The mailing no longer waits for a second person; the message says so to the user."""


# --- the launch ---------------------------------------------------------------------------------
def open_to(by: User, confirms: datetime | None) -> Q:
    """Return the condition for mailings that this person may launch. Without `confirms` these are drafts.

    confirms: the asked_at of the launch that the person confirms. It must match, and somebody else must
    have asked: a mailing that was taken back and asked for again has a new asked_at, because it may no
    longer be what the person has read.
    """
    if confirms is None:
        return Q(state=State.DRAFT)
    return Q(state=State.AWAITING, asked_at=confirms) & ~Q(asked_by=by)


def why_closed(mailing: Mailing, by: User) -> str:
    """Explain to the user why open_to() does not match this mailing."""
    stored = Mailing.objects.select_related("asked_by").get(id=mailing.id)
    if stored.state == State.DRAFT:
        return _("It has been taken back to the drafts meanwhile.")
    if stored.state != State.AWAITING:
        return _("This mailing has been launched already.")
    if stored.asked_by == by:
        return _("You have asked for this launch: now somebody else must confirm it.")
    return _("It waits for a second person. Look at it once more, then confirm.")


def must_confirm(people: int, confirms: datetime | None) -> bool:
    """Must somebody else confirm a launch to this many people? A launch that is being confirmed now
    needs no further person.
    """
    above = Policy.current().two_people_above
    return confirms is None and above is not None and people > above


def ask(mailing: Mailing, by: User) -> None:
    """Make the mailing wait for a second person; nothing is prepared. Call it in the transaction of the
    launch, which holds the lock of the mailing.
    """
    stored = Mailing.objects.select_related("segment").get(id=mailing.id)
    rule = None
    if stored.segment is not None:
        # The rule is stored as it is now, so that the second person confirms what was asked for.
        rule = rules.written_out(rules.read(stored.segment.rule))
    Mailing.objects.filter(id=mailing.id).update(
        state=State.AWAITING,
        rule=rule,
        asked_at=timezone.now(),
        asked_by=by,
        launched_at=None,
        launched_by=None,
        leaves_at=None,
        cursor=0,
        ceiling=0,
    )
    audit(by, "asked", f"mailing {mailing.id}")
    mailing.refresh_from_db()


def send_back(mailing: Mailing, by: User) -> None:
    """Turn the mailing into a draft again, for the person who asked or for one who does not confirm.
    Raises NotAwaiting.
    """
    with transaction.atomic():
        waiting = Mailing.objects.select_for_update(of=("self",), no_key=True)
        row = waiting.filter(id=mailing.id, state=State.AWAITING).first()
        if row is None:
            raise NotAwaiting(_("It no longer waits for a second person. Look at the page again."))
        by_asker = row.asked_by_id == by.pk
        Mailing.objects.filter(id=row.id).update(
            state=State.DRAFT, asked_at=None, asked_by=None, rule=None
        )
        audit(by, "withdrawn" if by_asker else "sent_back", f"mailing {row.id}")
    mailing.refresh_from_db()


# --- for pages ----------------------------------------------------------------------------------
def may_confirm(mailing: Mailing, by: User) -> bool:
    """May this person confirm the launch? They must not be the one who asked for it."""
    others = mailing.asked_by_id != by.pk
    return mailing.state == State.AWAITING and others and by.may(Right.SEND_MAILINGS)


def launchers() -> list[User]:
    """Return the people who may launch and confirm. Only staff has rights, and there are few of them."""
    staff = User.objects.filter(role__in=STAFF, is_active=True).order_by("first_name", "id")
    return [person for person in staff if person.may(Right.SEND_MAILINGS)]


def which(mailing: Mailing, said: str) -> datetime | None:
    """Return the asked_at of the launch that a form confirms. said: the value from the page. None means
    a first launch; NEVER, which matches nothing, means that the page is out of date.
    """
    if not said:
        return None
    asked = mailing.asked_at
    return asked if asked is not None and asked.isoformat() == said else NEVER


def samples(mailing: Mailing) -> list[Rendering]:
    """Render up to SHOWN messages, as people picked at random will get them.

    Each person is the first one after a random id: sorting a million at random would take seconds.
    """
    found: list[User] = []
    try:
        template = parsed(mailing.text, mailing.wrapping)
        everybody = audience.receivers(mailing).order_by("id")
        first, last = everybody.first(), everybody.last()
        while first and last and len(found) < SHOWN:
            people = everybody.exclude(id__in=[person.id for person in found])
            # Between the first and the last id: ids may begin far from 1.
            start = first.id + secrets.randbelow(last.id - first.id + 1)
            person = people.filter(id__gte=start).first() or people.first()
            if person is None:
                break
            found.append(person)
    except (BadRule, text.BadText):
        return []
    return [rendering(template, person) for person in found]
