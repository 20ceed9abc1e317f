"""Signs a person in by a link in an SMS, from the click to their own account.

The redirect of short links has no session. It gives the browser a ticket that is valid for minutes, in a
cookie, so that no URL, history or log shows it, and redirects to the page in this module. A GET never
signs in. The page posts itself only on a handheld phone (posts-itself.js) and takes one tap everywhere
else, so that a program that merely opens links, with or without JavaScript, gets nothing. This module
does not judge what kind of visitor it is: a phone that was taken for a robot has the button too.
users/access/link_sign_in.py decides whom it lets in.
"""

import secrets
from datetime import timedelta
from typing import NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from integrations.short_domain.short_links import PATH
from mailings.models import Message, Policy
from mailings.text.wrapping import Wrapping, host_of
from smsmail.web.network import network_of
from smsmail.web.query import without_nul
from users.access import link_sign_in
from users.access.link_sign_in import Outcome, Ticket

from .revocation import source_of

SALT = "mailings.tracking.sign_in"
TICKET_SECONDS = (
    600  # between the click and the tap; Mailing.sign_in_days limits the life of the link
)
COOKIE = "__Host-link-ticket" if settings.SECURE else "link-ticket"


class LinkHit(Protocol):
    """The part of a click that enter() needs."""

    @property
    def message_id(self) -> int: ...


class Visit(NamedTuple):
    """The contents of a valid ticket."""

    message: Message
    target: str  # a path within this site
    number: str  # can be used once


def elsewhere(request: HttpRequest, token: str) -> str:
    """Return the URL of the same link on the host of our pages, because the ticket must be in a cookie
    of that host. '' when the request is on that host already.
    """
    short, public = urlsplit(settings.SHORT_URL).netloc, urlsplit(settings.PUBLIC_URL).netloc
    if short == public or request.META.get("HTTP_HOST", "").lower() != short.lower():
        return ""
    return f"{settings.PUBLIC_URL}{PATH}{token}"


def enter(request: HttpRequest, hit: LinkHit, target: str) -> HttpResponse:
    """Return the response to a click on a link that signs in. target: the URL of the link, on one of our
    own hosts.
    """
    answer = redirect("sign-in-by-link")
    answer.set_cookie(
        COOKIE,
        signing.dumps([hit.message_id, path_of(target), secrets.token_urlsafe(12)], salt=SALT),
        max_age=TICKET_SECONDS,
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    return answer


def path_of(target: str) -> str:
    """Return the path of the target within this site, whichever of our hosts it names; the path of the
    person's own page if the target is on another site.
    """
    ours = Wrapping.chosen(clicks=False, sign_in=True).ours
    wanted = urlsplit(target)
    path = urlunsplit(("", "", wanted.path or "/", wanted.query, wanted.fragment))
    if host_of(target) in ours and url_has_allowed_host_and_scheme(path, None):
        return path
    return reverse("me")


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_by_link(request: HttpRequest) -> HttpResponse:
    """Show the page with the button; on POST, sign the owner of the ticket in and go to the target."""
    given = request.COOKIES.get(COOKIE, "")
    if not given:
        return _without_ticket(request)
    visit = _read(given)
    if visit is None:
        return _done(_said(request, "old", 410))
    if request.user.is_authenticated and request.user.pk == visit.message.user_id:
        return _done(redirect(visit.target))
    ticket = _ticket(request, visit)
    if request.method != "POST" or not _is_meant(request, visit):
        return _page(request, visit, ticket)
    if link_sign_in.too_many(ticket):
        return _said(request, "too_many", 429)
    try:
        outcome = link_sign_in.enter(request, ticket)
    except link_sign_in.Used:
        # This is most likely the second of two quick taps, and the first has signed this browser in.
        return _said(request, "used", 410, onward=visit.target)
    return _done(_answer(request, outcome, visit.target))


def _is_meant(request: HttpRequest, visit: Visit) -> bool:
    """Was the POST made on the page of this visit, and not of another link opened at the same time? If
    somebody else is signed in, the person must also have confirmed the switch of accounts.
    """
    same = request.POST.get("visit") == visit.number
    return same and (not request.user.is_authenticated or request.POST.get("switch") == "yes")


def _page(request: HttpRequest, visit: Visit, ticket: Ticket) -> HttpResponse:
    context = {
        "visit": visit.number,
        "person": link_sign_in.person_of(ticket),
        "by_itself": not request.user.is_authenticated and not Policy.current().one_tap,
    }
    return render(request, "users/access/link_sign_in.html", context)


def _without_ticket(request: HttpRequest) -> HttpResponse:
    """Answer a request without a ticket: the back button or a reload after the sign-in, a bookmark, or a
    program that keeps no cookies.
    """
    if request.user.is_authenticated:
        return redirect("me")
    if request.method == "POST":
        return _said(request, "old", 410)
    return render(request, "mailings/tracking/sign_in_neutral.html")


def _answer(request: HttpRequest, outcome: Outcome, target: str) -> HttpResponse:
    by_password = f"{reverse('sign-in')}?{urlencode({'next': target})}"
    match outcome:
        case Outcome.SIGNED_IN:
            return redirect(target)
        case Outcome.STAFF:
            logout(
                request
            )  # somebody else may be signed in; the sign-in page would show that person
            return redirect(by_password)
        case Outcome.REVOKED:
            return _said(request, "revoked", 403, onward=by_password)
        case Outcome.EXPIRED:
            return _said(request, "expired", 403, onward=by_password)
        case _:
            return _said(request, "blocked", 403)


def _done(answer: HttpResponse) -> HttpResponse:
    """Delete the ticket's cookie: the ticket is used up."""
    answer.set_cookie(
        COOKIE, max_age=0, secure=settings.SECURE, httponly=True, samesite="Lax"
    )  # delete_cookie() leaves out attributes that a __Host- cookie needs in older browsers
    return answer


def _read(ticket: str) -> Visit | None:
    """Read a ticket; None for one that is not ours, is too old, or belongs to a deleted message."""
    try:
        pk, target, number = signing.loads(ticket, salt=SALT, max_age=TICKET_SECONDS)
    except signing.BadSignature:
        return None
    messages = Message.objects.select_related("batch", "mailing")
    message = messages.filter(pk=pk).first()
    return Visit(message, target, number) if message else None


def _ticket(request: HttpRequest, visit: Visit) -> Ticket:
    message, batch = visit.message, visit.message.batch
    submitted_at = message.submitted_at or (batch.claimed_at if batch else None)
    days = message.mailing.sign_in_days
    return Ticket(
        message=message.pk,
        person=message.user_id,
        source=source_of(message.mailing_id),
        submitted_at=submitted_at,
        network=network_of(request),
        user_agent=without_nul(request.headers.get("User-Agent", "")),
        number=visit.number,
        until=submitted_at + timedelta(days=days) if days and submitted_at else None,
    )


def _said(request: HttpRequest, what: str, status: int, **context: str) -> HttpResponse:
    """Render a page with a short message."""
    return render(
        request, "users/access/link_sign_in_said.html", {"what": what, **context}, status=status
    )
