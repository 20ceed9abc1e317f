"""The product's web server with one more URL: an empty view behind the same middleware."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

settings.ROOT_URLCONF = __name__
from smsmail.asgi import application as whole  # noqa: E402 - imported after the setting
from smsmail.wsgi import application  # noqa: E402


@login_not_required
def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("empty/", empty), path("", include("smsmail.urls"))]
# The application alone, and with the part that reads bodies before, as granian serves it.
__all__ = ["application", "urlpatterns", "whole"]
