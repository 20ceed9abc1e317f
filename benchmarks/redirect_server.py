"""The product's web server with one more URL: an empty view behind the same middleware."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

settings.ROOT_URLCONF = __name__
from smsmail.wsgi import application  # noqa: E402 - imported after the setting


@login_not_required
def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("empty/", empty), path("", include("smsmail.urls"))]
__all__ = ["application", "urlpatterns"]
