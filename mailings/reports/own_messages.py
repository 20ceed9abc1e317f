"""A person's own page of the messages sent to them. views.py has the pages that staff sees."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise

from mailings.models import Mailing, Message
from smsmail.web import paging
from users.access.authenticated import AuthenticatedRequest
from users.models import User


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as its recipient may see it."""

    shown: str
    submitted_at: datetime | None
    status_label: str | Promise


def my_messages(request: AuthenticatedRequest) -> HttpResponse:
    """Show the messages sent to the signed-in person."""
    found = _of(request.user, request.GET.get("before", ""))
    rows = [Sent(each.shown, each.submitted_at, each.status_label) for each in found.rows]
    context = {
        "page": paging.Page(rows, found.older),
        "at_start": "before" not in request.GET,
        "kept_days": settings.KEEP_MESSAGES_DAYS,
    }
    return render(request, "mailings/reports/my_messages.html", context)


def _of(person: User, before: str) -> paging.Page:
    """Return a page of a person's messages. They are selected by phone, which has an index, and by
    person, since families share a phone. Codes are hidden here as everywhere: a person who enters
    somebody else's number in their profile must not read a code on a page.
    """
    if not person.phone:
        return paging.Page([], None)
    rows = Message.objects.taken().filter(
        phone=person.phone,
        user=person,
        mailing__kind__in=[Mailing.Kind.MAILING, Mailing.Kind.NOTIFICATION],
    )
    return paging.page_of(rows.select_related("batch"), before)
