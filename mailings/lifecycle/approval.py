"""A launch too big for one person: it is asked for, and somebody else confirms it or sends it back.
Whether it is too big is decided once, at the launch, by how many would get it then; from then on
only another person can let it go, whatever becomes of the limit. The launch itself is transitions.py's.
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

SHOWN = 3  # messages that whoever confirms reads
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # nobody asked for a launch then

State = Mailing.State


class NotAwaiting(Exception):
    """It no longer waits for a second person, in words."""


# --- the launch ---------------------------------------------------------------------------------
def open_to(by: User, confirms: datetime | None) -> Q:
    """Mailings that this person may launch: drafts; or, where they confirm a launch that was asked
    for at that moment, that very one and only another's. What was taken back and asked for again is
    not what they have read.
    """
    if confirms is None:
        return Q(state=State.DRAFT)
    return Q(state=State.AWAITING, asked_at=confirms) & ~Q(asked_by=by)


def why_closed(mailing: Mailing, by: User) -> str:
    """Why open_to() has let it through to nobody, in words."""
    stored = Mailing.objects.select_related("asked_by").get(id=mailing.id)
    if stored.state == State.DRAFT:
        return _("It has been taken back to the drafts meanwhile.")
    if stored.state != State.AWAITING:
        return _("This mailing has been launched already.")
    if stored.asked_by == by:
        return _("You have asked for this launch: now somebody else must confirm it.")
    return _("It waits for a second person. Look at it once more, then confirm.")


def must_confirm(people: int, confirms: datetime | None) -> bool:
    """Does a launch to so many wait for somebody else? One that is being confirmed does not."""
    above = Policy.current().two_people_above
    return confirms is None and above is not None and people > above


def ask(mailing: Mailing, by: User) -> None:
    """In the transaction of a launch that holds the mailing: it waits, and nothing is prepared."""
    stored = Mailing.objects.select_related("segment").get(id=mailing.id)
    rule = None
    if stored.segment is not None:
        # As it is now: what is confirmed later is what was asked for.
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
    """A draft again: by whoever asked, or by whoever would not confirm. Raises NotAwaiting."""
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
    others = mailing.asked_by_id != by.pk
    return mailing.state == State.AWAITING and others and by.may(Right.SEND_MAILINGS)


def launchers() -> list[User]:
    """Who may launch and confirm. Staff alone has rights, and is not many."""
    staff = User.objects.filter(role__in=STAFF, is_active=True).order_by("first_name", "id")
    return [person for person in staff if person.may(Right.SEND_MAILINGS)]


def which(mailing: Mailing, said: str) -> datetime | None:
    """The asked launch that a form confirms, as its page wrote it down; None: it is a first launch."""
    if not said:
        return None
    asked = mailing.asked_at
    return asked if asked is not None and asked.isoformat() == said else NEVER


def samples(mailing: Mailing) -> list[Rendering]:
    """Messages as people picked at random will get them; fewer where there are fewer people.

    Each is the first after a random id: sorting a million at random would take seconds.
    """
    found: list[User] = []
    try:
        template = parsed(mailing.text, mailing.wrapping)
        everybody = audience.receivers(mailing).order_by("id")
        first, last = everybody.first(), everybody.last()
        while first and last and len(found) < SHOWN:
            people = everybody.exclude(id__in=[person.id for person in found])
            # Between theirs: ids may begin far from 1.
            start = first.id + secrets.randbelow(last.id - first.id + 1)
            person = people.filter(id__gte=start).first() or people.first()
            if person is None:
                break
            found.append(person)
    except (BadRule, text.BadText):
        return []
    return [rendering(template, person) for person in found]
