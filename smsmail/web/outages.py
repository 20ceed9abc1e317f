"""When the database is away, locked, full or without its keys: a page that says so instead of "something
broke", and one line in the log a minute, without addresses.
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
TRY_AGAIN = 30  # seconds that we ask for
EVERY = 60  # seconds between two lines about the same outage
# What PostgreSQL says when it cannot serve now: read-only, no room, shutting down, broken.
PASSING = ("25006", "53", "57", "58", "08")

_lock = threading.Lock()
_said: dict[tuple[str, str], tuple[float, int]] = {}


class OutageMiddleware:
    """Views that met it. What other middleware meets comes to server_error()."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return page(request, error) if _has_words(error) else None


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500 of all addresses."""
    error = sys.exception()
    if isinstance(error, Exception) and _has_words(error):
        return page(request, error)
    return defaults.server_error(request)


def _has_words(error: Exception) -> bool:
    return is_outage(error) or isinstance(error, WrongKey)


def is_outage(error: Exception) -> bool:
    """Does the database not serve now? Not: a mistake of ours, such as a table that is not there."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return isinstance(error, OperationalError) and code & 0xFF != sqlite3.SQLITE_ERROR
    if isinstance(error, OperationalError | InterfaceError):
        return True
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(error, DatabaseError) and state.startswith(PASSING)


def page(request: HttpRequest, error: Exception) -> HttpResponse:
    """In the language that was chosen already; nothing of it asks the database."""
    log_outage("a page", error)
    session = getattr(request, "session", None)
    if session is not None:
        session.modified = False  # saving it would wait for the same database once more
    sent, keys = request.method == "POST", isinstance(error, WrongKey)
    words = render_to_string("503.html", {"sent": sent, "wrong_keys": keys})
    return unlogged(HttpResponse(words, status=503, headers={"Retry-After": str(TRY_AGAIN)}))


def unlogged(response: HttpResponse) -> HttpResponse:
    """Django writes the address of every 4xx and 5xx into the log, and some addresses are keys."""
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own mark
    return response


def log_outage(what: str, error: Exception, log: logging.Logger = logger) -> None:
    """One line at once, then one a minute with how many there were: an outage meets every request, and
    the disk that the log is on may be what is full.
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
    """For tests: as if nothing had been said."""
    _said.clear()
