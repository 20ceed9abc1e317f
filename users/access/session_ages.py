"""How long a session of staff lasts: it ends after some hours without use, and after some days in any case. A
student's session lasts as long as its cookie (SESSION_COOKIE_AGE).
"""

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

from users.models import User

Handler = Callable[[HttpRequest], HttpResponse]

BEGAN, SEEN = "began", "seen"  # in the session: seconds since 1970
EVERY = 600  # seconds; the last use is stored at most this often


def begin(request: HttpRequest, person: User) -> None:
    """Store when a session of staff began: the person has just given the password."""
    if person.is_staff:
        request.session[BEGAN] = request.session[SEEN] = int(time.time())
        request.session.set_expiry(settings.STAFF_SESSION_DAYS * 86400)


class SessionAgeMiddleware:
    """Ends a session of staff that is too old or has been idle for too long."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        person = request.user
        if isinstance(person, User) and person.is_staff:
            if _is_over(request, person):
                logout(request)
            elif time.time() - request.session.get(SEEN, time.time()) > EVERY:
                request.session[SEEN] = int(time.time())
        return self.get_response(request)


def _is_over(request: HttpRequest, person: User) -> bool:
    """A session without these keys began before they existed, or while the person was a student.
    Then the last sign-in says how old it is, and last_seen_at says when it was last used.
    """
    signed_in = person.last_login.timestamp() if person.last_login else 0.0
    last_seen = person.last_seen_at.timestamp() if person.last_seen_at else 0.0
    began: float = request.session.get(BEGAN, signed_in)
    seen: float = request.session.get(SEEN, max(signed_in, last_seen))
    now = time.time()
    too_old = now - began > settings.STAFF_SESSION_DAYS * 86400
    return too_old or now - seen > settings.STAFF_IDLE_HOURS * 3600
