"""A link of an SMS that signs in: from the click to the person's own account.

The redirect of short links (no session, maybe on another domain) sends a person on to the page here,
with a ticket of ours that lives for minutes. A GET never signs in: the page posts itself, so that
whatever merely looks at links gets nothing. Whom it lets in: users/link_sign_in.py.
"""

from typing import Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from smsmail.network import network_of
from users import link_sign_in
from users.link_sign_in import Outcome, Ticket

from .links import Wrapping, host_of
from .models import Click, Message
from .revocation import source_of

SALT = "mailings.sign_in"
TICKET_SECONDS = 600  # between the click and the page posting itself; the link is good for ever


class Hit(Protocol):
    """What is asked of a click that has been believed and written down."""

    @property
    def message_id(self) -> int: ...

    @property
    def kind(self) -> str: ...


def enter(request: HttpRequest, hit: Hit, target: str) -> HttpResponse:
    """The answer to a click on a link that signs in. target: its address, of our own host."""
    if hit.kind != Click.Kind.PERSON:
        return _neutral(request)
    ticket = signing.dumps([hit.message_id, path_of(target)], salt=SALT)
    page = settings.PUBLIC_URL + reverse("sign-in-by-link")
    answer = redirect(f"{page}?{urlencode({'ticket': ticket})}")
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    return answer


def path_of(target: str) -> str:
    """Where to go within this site, whichever of our hosts the address names; one's own page when it
    leads elsewhere.
    """
    ours = Wrapping.chosen(clicks=False, sign_in=True).ours
    wanted = urlsplit(target)
    path = urlunsplit(("", "", wanted.path or "/", wanted.query, wanted.fragment))
    if host_of(target) in ours and url_has_allowed_host_and_scheme(path, None):
        return path
    return reverse("me")


@login_not_required
@never_cache
@sensitive_post_parameters("ticket")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_by_link(request: HttpRequest) -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    read = _read(given.get("ticket", ""))
    if read is None:
        return _said(request, "old", 410)
    message, target = read
    if request.user.is_authenticated and request.user.pk == message.user_id:
        return redirect(target)
    ticket = _ticket(request, message)
    switches = request.user.is_authenticated and given.get("switch") != "yes"
    if request.method != "POST" or switches:
        context = {"ticket": given["ticket"], "person": link_sign_in.person_of(ticket)}
        return render(request, "users/link_sign_in.html", context)
    if link_sign_in.too_many(ticket):
        return _said(request, "too_many", 429)
    return _answer(request, link_sign_in.enter(request, ticket), target)


def _answer(request: HttpRequest, outcome: Outcome, target: str) -> HttpResponse:
    by_password = f"{reverse('sign-in')}?{urlencode({'next': target})}"
    match outcome:
        case Outcome.SIGNED_IN:
            return redirect(target)
        case Outcome.STAFF:
            logout(request)  # of somebody else: the page would take them for the one who is asked
            return redirect(by_password)
        case Outcome.REVOKED:
            return _said(request, "revoked", 403, by_password=by_password)
        case _:
            return _said(request, "blocked", 403)


def _read(ticket: str) -> tuple[Message, str] | None:
    """None for one that is not ours, too old, or of a message that is gone."""
    try:
        pk, target = signing.loads(ticket, salt=SALT, max_age=TICKET_SECONDS)
    except signing.BadSignature:
        return None
    message = Message.objects.select_related("dispatch").filter(pk=pk).first()
    return (message, target) if message else None


def _ticket(request: HttpRequest, message: Message) -> Ticket:
    lot = message.dispatch
    return Ticket(
        message=message.pk,
        person=message.user_id,
        source=source_of(message.mailing_id),
        handed_at=message.handed_at or (lot.claimed_at if lot else None),
        network=network_of(request),
        user_agent=request.headers.get("User-Agent", "").replace("\0", ""),
    )


def _said(request: HttpRequest, what: str, status: int, **context: str) -> HttpResponse:
    """A page of few words."""
    return render(request, "users/link_sign_in_said.html", {"what": what, **context}, status=status)


def _neutral(request: HttpRequest) -> HttpResponse:
    """For previews and robots. Rendered without the request, so that no cookie is set."""
    with translation.override(translation.get_language_from_request(request)):
        answer = HttpResponse(render_to_string("mailings/sign_in_neutral.html"))
    answer["Referrer-Policy"] = "no-referrer"
    answer["Cache-Control"] = "no-store"
    answer["X-Robots-Tag"] = "noindex"
    return answer
