"""The webhook to which providers send delivery receipts and replies. It makes one insert and answers at once;
batches process the contents later (mailings.sending.receipts). Strangers get 404, whatever they send.
"""

import logging
import re
from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    UnreadablePostError,
)
from django.views.decorators.csrf import csrf_exempt

from integrations.providers.contract import WebhookPayload
from integrations.routing import routing
from smsmail.encryption import WrongKey
from smsmail.web import together
from smsmail.web.outages import TRY_AGAIN, log_outage, unlogged
from smsmail.web.together import Gathering

from . import known_accounts, storing
from .known_accounts import KnownAccount

logger = logging.getLogger(__name__)

LIMIT = 256 * 1024  # bytes of body and query together; the longest known receipt has 20 KB
METHODS = ("GET", "HEAD", "POST")
# Headers that a provider's class may read, and what WSGI calls them.
KEPT_HEADERS = {
    "content-type": "CONTENT_TYPE",
    "x-twilio-signature": "HTTP_X_TWILIO_SIGNATURE",
    "x-twilio-webhooks-signature-settings": "HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS",
}
LOOKS = 3  # so often may an account change while one receipt is stored

_PATH = re.compile(r"/hooks/([-a-zA-Z0-9_]+)/([^/]+)/")


class ReceiptDoorMiddleware:
    """Answers webhooks before the session, language and sign-in middleware: a receipt needs none of them,
    and they took 0.7 ms of CPU.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        called = _PATH.fullmatch(request.path_info)
        if called is None:
            return self.get_response(request)
        request.get_host()  # refuses other hosts, as CommonMiddleware does
        answer = receipt(request, called[1], called[2])
        answer.headers["Content-Length"] = str(len(answer.content))
        return answer


@csrf_exempt
@login_not_required
def receipt(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Store what a provider sends; 503 if that fails, so that the provider calls again. Each outcome
    writes at most one line to the log, and never the URL, which holds the key.
    """
    if request.method not in METHODS:
        return unlogged(HttpResponseNotAllowed(METHODS))
    try:
        return _receipt(request, slug, key)
    except (DatabaseError, InterfaceError, WrongKey) as error:
        log_outage("a receipt or reply", error, logger)
        answer = _answer(503, "try again")
        answer["Retry-After"] = str(TRY_AGAIN)
        return answer
    except Http404:
        return _answer(404, "not found")
    except Exception as error:  # noqa: BLE001 - Django would log the URL with the traceback
        logger.error("a receipt or reply cannot be stored: %s", type(error).__name__)
        return _answer(500, "not kept")


def _receipt(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    gathering: Gathering | None = request.META.get(together.NAME)
    if gathering is not None:
        return _gathered(request, slug, key, gathering)
    account = known_accounts.remembered(slug, key) or _look(slug, key)
    try:
        note = _note(request, slug, key)
    except UnreadablePostError:
        return _answer(400, "cut off")
    if note is None:
        return _answer(413, "too long")
    # An empty request or HEAD is welcome: providers test the URL when it is entered.
    if request.method == "HEAD" or not (note.query or note.body):
        _look(slug, key)
        return _answer(200, "OK")
    for _ in range(LOOKS):
        genuine = _genuine(account, slug, note)
        if genuine and storing.store(account, note):
            # No wake-up for the worker: a million receipts would mean a million wake-ups, and a periodic
            # job processes everything that has arrived once a second.
            return _answer(200, *routing.provider_class(slug).ack_response)
        now = _look(slug, key)
        if now == account and not genuine:
            return _answer(403, "wrong check value")
        account = now
    raise OperationalError("the account changes all the time")


def _gathered(request: HttpRequest, slug: str, key: str, gathering: Gathering) -> HttpResponse:
    """Answer that the receipt is stored, which is true before the answer leaves (smsmail.web.together). Whatever
    needs a query is left to _receipt().
    """
    if gathering.error is not None:
        raise gathering.error
    account = known_accounts.remembered(slug, key)
    note = _note(request, slug, key) if account and request.method != "HEAD" else None
    if account and note and (note.query or note.body) and _passes(account, note):
        storing.leave(gathering, account, note)
        return _answer(200, *routing.provider_class(slug).ack_response)
    gathering.alone = True
    return _answer(503, "try again")


def _look(slug: str, key: str) -> KnownAccount:
    account = known_accounts.look(slug, key)
    if account is None:
        raise Http404
    return account


def _passes(account: KnownAccount, note: WebhookPayload) -> bool:
    try:
        return account.provider.check_note(note)
    except Exception:  # noqa: BLE001 - _genuine() tells it
        return False


def _genuine(account: KnownAccount, slug: str, note: WebhookPayload) -> bool:
    try:
        return account.provider.check_note(note)
    except Exception as error:  # noqa: BLE001 - a check that fails on the input has failed
        logger.error("a receipt for %s cannot be checked: %s", slug, type(error).__name__)
        return False


def _answer(status: int, words: str, content_type: str = "text/plain") -> HttpResponse:
    return unlogged(HttpResponse(words, status=status, content_type=content_type))


def _note(request: HttpRequest, slug: str, key: str) -> WebhookPayload | None:
    """Return the request as text that any database can store; None if it is too long.

    Reads the stream: request.body would answer 400 above a limit of its own, and request.POST would
    parse (and fail on) whatever a stranger calls a form.
    """
    body = request.read(LIMIT + 1)
    query = request.META.get("QUERY_STRING", "")
    if len(body) + len(query) > LIMIT:
        return None
    headers = {
        name: _storable(request.META[wsgi_name])[:500]
        for name, wsgi_name in KEPT_HEADERS.items()
        if wsgi_name in request.META
    }
    return WebhookPayload(
        headers=headers,
        query=_storable(query),
        body=_storable(body.decode("utf-8", errors="replace")),
        url=routing.webhook_url(slug, key, query),
    )


def _storable(text: str) -> str:
    """PostgreSQL stores neither NUL characters nor half surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
