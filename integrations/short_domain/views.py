"""The account's own short domain for links in messages: a page that checks whether it leads here, and the URL
by which this installation recognises itself.

The check requests settings.SHORT_URL, which comes from the environment: no request can choose it.
"""

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from integrations.providers import transport
from smsmail import uptime
from users.access.authenticated import AuthenticatedRequest
from users.rights import Right, require_right

WAIT = 10  # seconds to connect, and as many for the response


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of the check: what happened, and what to do about it."""

    well: bool
    title: str | Promise
    advice: str | Promise


ALL_WELL = Finding(
    True, _("It answers, and it is us."), _("Links in messages can be made with it.")
)
NO_HOST = Finding(
    False,
    _("There is no such host."),
    _("Add a DNS record that points to this server. A new one may take hours to be known."),
)
REFUSED = Finding(
    False,
    _("The host refuses the connection."),
    _("Nothing listens there: see that the proxy serves this domain, and that the port is open."),
)
SILENT = Finding(
    False,
    _("The host does not answer in time."),
    _("See that the DNS record points to this server and that no firewall is in between."),
)
CERTIFICATE = Finding(
    False,
    _("No secure connection comes about."),
    _(
        "Its certificate is missing or not valid. Let the proxy get one for this domain too: phones "
        "would warn people off the links."
    ),
)
BROKEN = Finding(
    False,
    _("The connection broke off."),
    _("Something answers there that does not speak as expected: look at the proxy."),
)
REDIRECTS = Finding(
    False,
    _("It answers with a redirect."),
    _("Let the proxy pass requests on to smsmail instead of sending them elsewhere."),
)
NOT_LED_HERE = Finding(
    False,
    _("It answers, but it is not this installation of smsmail."),
    _("See where the DNS record and the proxy lead: it must be here."),
)
# Keyed by the class of the error (transport.Answer.error).
FAILURES = {
    "NameResolutionError": NO_HOST,
    "NewConnectionError": REFUSED,
    "ConnectTimeoutError": SILENT,
    "ReadTimeoutError": SILENT,
    "ReadTimeout": SILENT,
    "TooLate": SILENT,
    "TooLong": SILENT,
    "SSLError": CERTIFICATE,
    "SSLCertVerificationError": CERTIFICATE,
}


@require_right(Right.ACCOUNT)
def short_domain(request: AuthenticatedRequest) -> HttpResponse:
    """A POST runs the check. No transaction is open, because it may take a while."""
    context = {
        "address": settings.SHORT_URL,
        "host": urlsplit(settings.SHORT_URL).netloc,
        "public": settings.PUBLIC_URL,
        "own": settings.SHORT_URL != settings.PUBLIC_URL,
        "finding": check() if request.method == "POST" else None,
    }
    return render(request, "integrations/short_domain/short_domain.html", context)


@login_not_required
@never_cache
def echo(request: HttpRequest, challenge: str) -> HttpResponse:
    """Only an installation with our key can answer this. Open to everybody: the answer says nothing
    about us.
    """
    return HttpResponse(_answer_to(challenge), content_type="text/plain")


def check() -> Finding:
    """Ask our own short URL for something that only this installation can answer."""
    challenge = secrets.token_hex(16)
    url = settings.SHORT_URL + reverse("echo", args=[challenge])
    began = uptime.clock()
    answer = transport.get(url, deadline=began + WAIT, read_timeout=WAIT, cap=1000)
    if answer.failure:
        # After the time limit we cut the connection ourselves.
        in_vain = uptime.clock() >= began + WAIT
        return FAILURES.get(answer.error, SILENT if in_vain else BROKEN)
    if 300 <= answer.status < 400:
        return REDIRECTS
    known = constant_time_compare(answer.body.strip(), _answer_to(challenge))
    return ALL_WELL if answer.status == 200 and known else NOT_LED_HERE


def _answer_to(challenge: str) -> str:
    return salted_hmac("integrations.short_domain.views", challenge, algorithm="sha256").hexdigest()
