"""Sessions that began with a link of an SMS instead of a password: how they are marked, when they
end, and what asks for the password first. Who may sign in by a link is link_sign_in.py's to say.
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
# Is a link of this source ("mailing 5"), handed over then, revoked for everybody it went to?
Revoked = Callable[[str, datetime | None], bool]

MARK = "by_link"  # in the session: {"source": ..., "handed_at": ...}
BACKEND = "django.contrib.auth.backends.ModelBackend"

revoked_at_the_source: Hook[Revoked] = Hook(lambda _source, _handed_at: False)


def revoked(person: User, source: str, handed_at: datetime | None) -> bool:
    """Handed over at or before the moment of a revocation. What was never surely handed over may
    have been at any time.
    """
    of_person = person.links_revoked_at
    if of_person and (handed_at is None or handed_at <= of_person):
        return True
    return revoked_at_the_source.given(source, handed_at)


def begin(request: HttpRequest, person: User, source: str, handed_at: datetime | None) -> None:
    """Sign the person in with a key of its own, and remember by what."""
    logout(request)  # also when it is the same person: nothing of an older session is kept
    login(request, person, backend=BACKEND)
    request.session[MARK] = {
        "source": source,
        "handed_at": handed_at.isoformat() if handed_at else "",
    }


def is_by_link(request: HttpRequest) -> bool:
    return MARK in request.session


def prove(request: HttpRequest) -> None:
    """The person has just given the password: a session like any other from now on."""
    request.session.pop(MARK, None)
    request.session.cycle_key()


def asks_password(view: V) -> V:
    """A view that whoever merely holds a link may not use: the password first."""

    @wraps(view)
    def guarded(request: AuthenticatedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_by_link(request):
            return redirect(f"{reverse('prove')}?{urlencode({'next': request.path})}")
        return view(request, *args, **kwargs)

    return cast(V, guarded)


class LinkSessionMiddleware:
    """Ends a session by link when its link no longer signs in, or its person now works here: a link
    never opens what staff sees. Looked at anew with every request.
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
    handed_at = datetime.fromisoformat(mark["handed_at"]) if mark["handed_at"] else None
    return revoked(person, mark["source"], handed_at)
