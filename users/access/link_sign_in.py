"""Signing in by a link from an SMS: whom a link lets in, and the log of sign-ins. The app that sends links
knows what a link is and how to read its token; link_sessions.py makes the session.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from smsmail.web.rate_limit import named, tries
from users.models import LinkSignIn, User

from . import link_sessions

Outcome = LinkSignIn.Outcome
# Nobody who reads an SMS reaches this limit; it stops programs that hold a link. Networks are not counted:
# every visitor here has a genuine link, and thousands of phones share one address.
PER_LINK, LINK_SECONDS = 20, 3600


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link from an SMS says. Its token has been verified already."""

    message: int
    person: int | None  # None: the message went to somebody who is not in the database
    source: str  # "mailing 5"
    submitted_at: datetime | None
    network: str
    user_agent: str
    number: str  # identifies this visit; valid once
    until: datetime | None = None  # when the link expires; None: never


class Used(Exception):
    """This visit has already signed somebody in, or has been refused."""


def person_of(ticket: Ticket) -> User | None:
    """Return the person of the link, or None if there is none or they have been deleted since."""
    return User.objects.filter(pk=ticket.person).first() if ticket.person else None


def too_many(ticket: Ticket) -> bool:
    """Count one more try for this link, over all processes; True if there were too many."""
    return tries(named("link-sign-in", str(ticket.message)), LINK_SECONDS) > PER_LINK


def enter(request: HttpRequest, ticket: Ticket) -> Outcome:
    """Sign the person in if they are a student now and the link is neither revoked nor expired. The
    outcome is logged unless the person no longer exists.

    Raises Used if this ticket was used before.
    """
    with transaction.atomic():
        # The lock orders this against a concurrent revocation: either that comes first, or it ends
        # this session later.
        people = User.objects.select_for_update(no_key=True)
        person = people.filter(pk=ticket.person).first() if ticket.person else None
        if person is None:
            return Outcome.BLOCKED
        if LinkSignIn.objects.filter(ticket=ticket.number).exists():
            raise Used
        outcome = _judge(person, ticket)
        LinkSignIn.objects.create(
            user=person,
            source=ticket.source,
            outcome=outcome,
            ticket=ticket.number,
            network=ticket.network,
            user_agent=ticket.user_agent[:300],
        )
        if outcome == Outcome.SIGNED_IN:
            link_sessions.begin(request, person, ticket.source, ticket.submitted_at)
    return outcome


def _judge(person: User, ticket: Ticket) -> Outcome:
    if not person.is_active:
        return Outcome.BLOCKED
    if link_sessions.revoked(person, ticket.source, ticket.submitted_at):
        return Outcome.REVOKED
    if ticket.until is not None and ticket.until < timezone.now():
        return Outcome.EXPIRED
    return Outcome.STAFF if person.is_staff else Outcome.SIGNED_IN
