"""Signing in by a link of an SMS: whom a link lets in, and the log of it. What a link is, and how its
token is read, the room that sends it knows; the session it makes is link_sessions.py's.
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
# A link is unlimited for whoever reads an SMS; this is about machines that hold one. Networks are not
# counted: whoever comes here has a genuine link, and thousands of phones stand behind one address.
PER_LINK, LINK_SECONDS = 20, 3600


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link of an SMS says, its token already believed."""

    message: int
    person: int | None  # None: a message to nobody we know
    source: str  # "mailing 5"
    handed_at: datetime | None
    network: str
    user_agent: str
    number: str  # of this visit: good once
    until: datetime | None = None  # the link's own lifetime; None: for ever


class Used(Exception):
    """This visit has signed somebody in already, or was told why not."""


def person_of(ticket: Ticket) -> User | None:
    """None also for somebody who has been deleted since."""
    return User.objects.filter(pk=ticket.person).first() if ticket.person else None


def too_many(ticket: Ticket) -> bool:
    """Counted per link, over all processes: one more try is written down here."""
    return tries(named("link-sign-in", str(ticket.message)), LINK_SECONDS) > PER_LINK


def enter(request: HttpRequest, ticket: Ticket) -> Outcome:
    """Sign the person in if they are a student as of now and the link is not revoked; logged in any
    case, but for people who are no longer there. Raises Used.
    """
    with transaction.atomic():
        # Locked: a revocation at the same moment either comes first, or ends this session after.
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
            link_sessions.begin(request, person, ticket.source, ticket.handed_at)
    return outcome


def _judge(person: User, ticket: Ticket) -> Outcome:
    if not person.is_active:
        return Outcome.BLOCKED
    if link_sessions.revoked(person, ticket.source, ticket.handed_at):
        return Outcome.REVOKED
    if ticket.until is not None and ticket.until < timezone.now():
        return Outcome.EXPIRED
    return Outcome.STAFF if person.is_staff else Outcome.SIGNED_IN
