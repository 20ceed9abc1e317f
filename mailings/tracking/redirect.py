"""Redirects a click on a short link, SHORT_URL/r/<token>, to its target, even when the click cannot be
recorded. It uses no session, and only a link that signs in sets a cookie. aggregate.py counts the clicks.
"""

import logging
import re
from collections.abc import Callable
from functools import lru_cache

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.utils import timezone, translation

from integrations.short_domain.short_links import PATH
from mailings.audience.personalization import values_of
from mailings.models import Message
from mailings.sending import bulk
from mailings.text import tokens, wrapping
from mailings.text.tokens import Purpose, Token
from smsmail.uptime import clock
from smsmail.web.group_commit import NotCommitted
from smsmail.web.network import network_of
from smsmail.web.outages import log_outage
from smsmail.web.query import without_nul
from smsmail.web.rate_limit import named, tries
from users.models import User

from . import classify, click_rows, link_cache, sign_in

logger = logging.getLogger(__name__)

AWAY = 5.0  # seconds for which an unreachable database is not tried again
# Invalid tokens from one network (a /24, a /48) in WRONG_SECONDS, before further invalid ones get a 429.
# A valid token always redirects: thousands of phones share one address of an operator, and one of them
# may send nonsense. This makes a correct guess no cheaper. The signature keeps guessers out, not this
# limit: a guess is for one message (its id is a part of the token), and for 29.8 bits of a click or 47.6
# bits of a sign-in. At the full rate of one machine (2,000 answers a second), half of the space takes 64
# hours for one forged click of one message, and 1,700 years for one sign-in, with or without limits.
WRONG, WRONG_SECONDS = 60, 60

_BEHIND = re.compile(r"(?<=[0-9A-Za-z])[^\x00-\x7f].*", re.DOTALL)

# The headers that a click is judged by, and what WSGI calls them.
_HEADERS = {
    name: f"HTTP_{name.upper().replace('-', '_')}"
    for name in ("User-Agent", *classify.LANGUAGE, *classify.AHEAD)
}

_away_until = 0.0


class ShortLinkMiddleware:
    """Answers short links before the session, language and sign-in middleware, because these query the
    database, and a link must work without it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(PATH):
            token = request.path_info.removeprefix(PATH)
            # Some phones take an emoji or an invisible character after a link for a part of it.
            return follow(request, _BEHIND.sub("", token))
        return self.get_response(request)


@login_not_required
def short_link(request: HttpRequest, token: str) -> HttpResponse:
    """Give the URL a name. The middleware answers before this view is reached."""
    return follow(request, token)


def follow(request: HttpRequest, token: str) -> HttpResponse:
    """Redirect to the target of the link; show a neutral page for anything that is no link of ours."""
    if request.method not in {"GET", "HEAD"}:
        return _not_logged(HttpResponseNotAllowed(["GET", "HEAD"]))
    network = network_of(request)
    read = tokens.read(token)
    if read is None:
        return _wrong(request, network)
    try:
        found = link_cache.find(read, ask=not _is_away())
    except (DatabaseError, InterfaceError, link_cache.NotRemembered):
        _note_if_away()
        return _page(request, "away", 503)
    if found is None:  # the token is valid, but its message or its mailing is gone
        return _page(request, "unknown", 404)
    if read.purpose == Purpose.SIGN_IN and (there := sign_in.elsewhere(request, token)):
        return _private(HttpResponse(status=302, headers={"Location": there}))  # counted there
    hit = _hit(request, read, found.mailing, network)
    write_down(hit)
    target = _target(read, found.url)
    if read.purpose == Purpose.SIGN_IN:
        return sign_in.enter(request, hit, target)
    return _private(HttpResponse(status=302, headers={"Location": target}))


def _wrong(request: HttpRequest, network: str) -> HttpResponse:
    key = named("wrong-link", network)
    if not _is_away() and tries(key, WRONG_SECONDS) > WRONG:
        return _page(request, "too_many", 429)
    return _page(request, "unknown", 404)


def write_down(hit: bulk.PersonClick) -> bool:
    """Record a click. Returns False when that was not possible in the time that a click has
    (click_rows.PATIENCE); it is then lost.
    """
    if _is_away():
        return False
    try:
        click_rows.grouped.put(hit)
    except NotCommitted:
        return False  # the thread that wrote has said why
    except (DatabaseError, InterfaceError) as error:
        _note_if_away()
        log_outage("a click", error, logger)
        return False
    return True


def _is_away() -> bool:
    return clock() < _away_until


def _note_if_away() -> None:
    """If the database could not even be reached, do not try it again for AWAY seconds."""
    global _away_until
    if connection.connection is None and not _is_away():
        _away_until = clock() + AWAY


def _hit(request: HttpRequest, token: Token, mailing: int, network: str) -> bulk.PersonClick:
    # request.headers would first rename all of them: 20 microseconds.
    given = {name: request.META[key] for name, key in _HEADERS.items() if key in request.META}
    agent = without_nul(given.get("User-Agent", ""))[:300]
    signs = classify.signs(given)
    method = request.method or ""
    return bulk.PersonClick(
        message_id=token.message,
        mailing_id=mailing,
        position=token.position,
        at=timezone.now(),
        kind=classify.kind_of(method, agent, signs).value,
        method=method,
        user_agent=agent,
        signs=signs,
        network=network,
    )


def _target(token: Token, url: str) -> str:
    return wrapping.target(url, _values(token)) if "{" in url else _target_of_all(url)


@lru_cache(maxsize=1000)
def _target_of_all(url: str) -> str:
    """The same for every person; 30 microseconds to find out."""
    return wrapping.target(url, {})


def _values(token: Token) -> dict[str, str]:
    """Return the person's current values for the placeholders in a URL; {} when the database is not
    available, so that the default words are used.
    """
    if _is_away():
        return {}
    try:
        reader = Message.objects.filter(id=token.message).values("user_id")
        person = User.objects.filter(id__in=reader).first()
    except (DatabaseError, InterfaceError):
        _note_if_away()
        return {}
    return values_of(person) if person else {}


def _page(request: HttpRequest, what: str, status: int) -> HttpResponse:
    language = translation.get_language_from_request(request)
    answer = _private(HttpResponse(_words(what, language), status=status))
    if status in {429, 503}:
        answer["Retry-After"] = "60"
    return _not_logged(answer)


@lru_cache(maxsize=16)
def _words(what: str, language: str) -> str:
    """Render the page without a request, so that there is no query and no cookie."""
    with translation.override(language):
        return render_to_string("mailings/tracking/link_said.html", {"what": what})


def _not_logged(answer: HttpResponse) -> HttpResponse:
    """Keep Django from logging the response: the log line would contain the URL with its token."""
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def _private(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex"
    return answer
