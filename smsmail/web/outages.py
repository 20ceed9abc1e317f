"""Handles a database that is away, locked, full or without its keys: shows a page that says so instead of a
general error, and logs one line a minute, without URLs.
"""

import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from smsmail.encryption import WrongKey

logger = logging.getLogger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]
TRY_AGAIN = 30  # seconds in Retry-After
EVERY = 60  # seconds between two log lines about the same outage
# SQLSTATE prefixes of PostgreSQL when it cannot serve now: read-only, no space, shutting down,
# broken.
PASSING = ("25006", "53", "57", "58", "08")

_lock = threading.Lock()
_said: dict[tuple[str, str], tuple[float, int]] = {}


class OutageMiddleware:
    """Handles outages in views. Those in other middleware reach server_error()."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return page(request, error) if _has_words(error) else None


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500 for all URLs."""
    error = sys.exception()
    if isinstance(error, Exception) and _has_words(error):
        return page(request, error)
    return defaults.server_error(request)


def _has_words(error: Exception) -> bool:
    return is_outage(error) or isinstance(error, WrongKey)


def is_outage(error: Exception) -> bool:
    """True if the database cannot serve now. A mistake of ours, such as a missing table, is not an
    outage.
    """
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return isinstance(error, OperationalError) and code & 0xFF != sqlite3.SQLITE_ERROR
    if isinstance(error, OperationalError | InterfaceError):
        return True
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(error, DatabaseError) and state.startswith(PASSING)


def page(request: HttpRequest, error: Exception) -> HttpResponse:
    """Render the 503 page in the language already chosen; nothing in it queries the database."""
    log_outage("a page", error)
    session = getattr(request, "session", None)
    if session is not None:
        session.modified = False  # saving it would wait for the same database again
    sent, keys = request.method == "POST", isinstance(error, WrongKey)
    words = render_to_string("503.html", {"sent": sent, "wrong_keys": keys})
    return unlogged(HttpResponse(words, status=503, headers={"Retry-After": str(TRY_AGAIN)}))


def unlogged(response: HttpResponse) -> HttpResponse:
    """Keep Django from logging the URL, as it does for every 4xx and 5xx, because some URLs hold
    keys.
    """
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own flag
    return response


def log_outage(what: str, error: Exception, log: logging.Logger = logger) -> None:
    """Log one line at once, then one a minute with the number of cases: an outage affects every
    request, and the full disk may be the log's.
    """
    kind = type(error).__name__
    with _lock:
        last, unsaid = _said.get((what, kind), (float("-inf"), 0))
        if time.monotonic() - last < EVERY:
            _said[what, kind] = (last, unsaid + 1)
            return
        _said[what, kind] = (time.monotonic(), 0)
    since = f", and {unsaid} more in the minutes before" if unsaid else ""
    log.error("the database does not serve: %s could not be dealt with: %s%s", what, kind, since)


def forget() -> None:
    """For tests: forget what has been logged."""
    _said.clear()
