"""Security headers on every response; the signed-in user's language and time zone."""

import zoneinfo
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

Handler = Callable[[HttpRequest], HttpResponse]


class SecurityHeadersMiddleware:
    """Sends one static policy without nonces. Delete this when moving to Django 6.2, which sends
    SECURE_CSP itself.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.policy = "; ".join(
            " ".join([directive, *sources]) for directive, sources in settings.SECURE_CSP.items()
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        response.headers.setdefault("X-Robots-Tag", "noindex")  # no page here is for search engines
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"
        )
        return response


class PersonalMiddleware:
    """Shows pages in the signed-in user's language, and times in their time zone."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not user.is_authenticated:
            return self.get_response(request)
        if user.language:
            translation.activate(user.language)
            request.LANGUAGE_CODE = translation.get_language()
        zone = zoneinfo.ZoneInfo(user.time_zone) if user.time_zone else None
        with timezone.override(zone or timezone.get_default_timezone()):
            return self.get_response(request)
