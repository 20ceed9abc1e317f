"""The webhook to which providers send delivery receipts and replies. It makes one insert and answers at once;
batches process the contents later (mailings.sending.receipts). Strangers get 404, whatever they send.
"""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    UnreadablePostError,
)
from django.views.decorators.csrf import csrf_exempt

from integrations.models import Account, Receipt
from integrations.providers.contract import WebhookPayload
from integrations.routing import routing
from smsmail.encryption import WrongKey
from smsmail.web.outages import TRY_AGAIN, log_outage, unlogged

from . import keys

logger = logging.getLogger(__name__)

LIMIT = 256 * 1024  # bytes of body and query together; the longest known receipt has 20 KB
METHODS = ("GET", "HEAD", "POST")
# Headers that a provider's class may read.
KEPT_HEADERS = (
    "content-type",
    "x-twilio-signature",
    "x-twilio-webhooks-signature-settings",
)


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
    account = _account(slug, key)
    try:
        note = _note(request, account, key)
    except UnreadablePostError:
        return _answer(400, "cut off")
    if note is None:
        return _answer(413, "too long")
    # An empty request or HEAD is welcome: providers test the URL when it is entered.
    if request.method == "HEAD" or not (note.query or note.body):
        return _answer(200, "OK")
    if not _genuine(account, note):
        return _answer(403, "wrong check value")
    Receipt.objects.create(
        account=account, headers=dict(note.headers), query=note.query, body=note.body
    )
    # No wake-up for the worker: a million receipts would mean a million wake-ups, and a periodic job
    # processes everything that has arrived once a second.
    return _answer(200, *routing.provider_class(slug).ack_response)


def _account(slug: str, key: str) -> Account:
    account = Account.objects.filter(provider=slug).first()
    right = keys.is_right(account, key)
    # A disconnected account still receives reports on messages that it had sent.
    if not account or not right or not _registered(slug):
        raise Http404
    return account


def _genuine(account: Account, note: WebhookPayload) -> bool:
    try:
        return routing.provider_of(account).check_note(note)
    except Exception as error:  # noqa: BLE001 - a check that fails on the input has failed
        logger.error("a receipt for %s cannot be checked: %s", account, type(error).__name__)
        return False


def _answer(status: int, words: str, content_type: str = "text/plain") -> HttpResponse:
    return unlogged(HttpResponse(words, status=status, content_type=content_type))


def _registered(slug: str) -> bool:
    try:
        routing.provider_class(slug)
    except KeyError:
        return False
    return True


def _note(request: HttpRequest, account: Account, key: str) -> WebhookPayload | None:
    """Return the request as text that any database can store; None if it is too long.

    Reads the stream: request.body would answer 400 above a limit of its own, and request.POST would
    parse (and fail on) whatever a stranger calls a form.
    """
    body = request.read(LIMIT + 1)
    query = request.META.get("QUERY_STRING", "")
    if len(body) + len(query) > LIMIT:
        return None
    headers = {
        name: _storable(request.headers[name])[:500]
        for name in KEPT_HEADERS
        if name in request.headers
    }
    return WebhookPayload(
        headers=headers,
        query=_storable(query),
        body=_storable(body.decode("utf-8", errors="replace")),
        url=routing.called_url(account, query, key=key),
    )


def _storable(text: str) -> str:
    """PostgreSQL stores neither NUL characters nor half surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
