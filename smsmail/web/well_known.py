"""Files that machines request from every site: robots.txt, and the contact for security reports
(RFC 9116).
"""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

VALID = timedelta(days=180)


@login_not_required
def robots(request: HttpRequest) -> HttpResponse:
    """Only personal links and pages behind the sign-in: there is nothing to index."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")


@login_not_required
def security(request: HttpRequest) -> HttpResponse:
    contact = settings.SECURITY_CONTACT or f"{settings.PUBLIC_URL}/"
    if "@" in contact and ":" not in contact:
        contact = f"mailto:{contact}"
    expires = (timezone.now() + VALID).strftime("%Y-%m-%dT00:00:00Z")
    languages = ", ".join(code for code, _name in settings.LANGUAGES)
    words = f"Contact: {contact}\nExpires: {expires}\nPreferred-Languages: {languages}\n"
    return HttpResponse(words, content_type="text/plain; charset=utf-8")
