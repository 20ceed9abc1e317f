"""Sessions that began with a link from an SMS instead of a password: how they are marked, when they
end, and which views ask for the password first. link_sign_in.py decides who may sign in by a link.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from users.hooks import Hook
from users.models import User

from .authenticated import AuthenticatedRequest

V = TypeVar("V", bound=Callable[..., HttpResponse])
Handler = Callable[[HttpRequest], HttpResponse]
# Takes a source ("mailing 5") and when the message was submitted. True if the links of this source
# have been revoked for everybody who got one.
Revoked = Callable[[str, datetime | None], bool]

MARK = "by_link"  # in the session: {"source": ..., "submitted_at": ...}
BACKEND = "django.contrib.auth.backends.ModelBackend"

revoked_at_the_source: Hook[Revoked] = Hook(lambda _source, _submitted_at: False)


def revoked(person: User, source: str, submitted_at: datetime | None) -> bool:
    """True if the message was submitted at or before a revocation. If the time of submission is
    unknown (None), any revocation applies.
    """
    of_person = person.links_revoked_at
    if of_person and (submitted_at is None or submitted_at <= of_person):
        return True
    return revoked_at_the_source.given(source, submitted_at)


def begin(request: HttpRequest, person: User, source: str, submitted_at: datetime | None) -> None:
    """Sign the person in with a new session key, and store which link did it."""
    logout(request)  # also for the same person: nothing of an older session is kept
    login(request, person, backend=BACKEND)
    request.session[MARK] = {
        "source": source,
        "submitted_at": submitted_at.isoformat() if submitted_at else "",
    }


def is_by_link(request: HttpRequest) -> bool:
    return MARK in request.session


def prove(request: HttpRequest) -> None:
    """Turn the session into an ordinary one: the person has just given the password."""
    request.session.pop(MARK, None)
    request.session.cycle_key()


def asks_password(view: V) -> V:
    """Decorate a view so that a session by link must give the password first."""

    @wraps(view)
    def guarded(request: AuthenticatedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_by_link(request):
            return redirect(f"{reverse('prove')}?{urlencode({'next': request.path})}")
        return view(request, *args, **kwargs)

    return cast(V, guarded)


class LinkSessionMiddleware:
    """Ends a session by link if its link no longer signs in or if its user has become staff: a link
    never opens staff pages. Checked on every request.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        mark = request.session.get(MARK)
        if mark is not None and _is_over(request, mark):
            logout(request)
        return self.get_response(request)


def _is_over(request: HttpRequest, mark: dict[str, str]) -> bool:
    person = request.user
    if not person.is_authenticated or person.is_staff:
        return True
    submitted_at = datetime.fromisoformat(mark["submitted_at"]) if mark["submitted_at"] else None
    return revoked(person, mark["source"], submitted_at)
