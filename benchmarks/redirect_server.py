"""The product's web server with two more URLs behind the same middleware: an empty view, and a receipt view as many
projects have one.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")

import django
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

settings.ROOT_URLCONF = __name__
django.setup()  # with that setting; now models may be imported
from benchmarks.rows import PLAIN  # noqa: E402 - models need Django to be set up
from mailings.models import Message  # noqa: E402
from smsmail.asgi import application as whole  # noqa: E402
from smsmail.wsgi import application  # noqa: E402


@login_not_required
def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@csrf_exempt
@login_not_required
def plain(request: HttpRequest) -> HttpResponse:
    """Get the message and save it with its new status."""
    message = Message.objects.get(mailing__name=PLAIN, key=request.POST["phone"])
    message.status = Message.Status.DELIVERED
    message.final_at = timezone.now()
    message.save()
    return HttpResponse("OK")


urlpatterns = [
    path("empty/", empty),
    path("plain/", plain),
    path("", include("smsmail.urls")),
]
# The application alone, and with the part that reads bodies before, as granian serves it.
__all__ = ["application", "urlpatterns", "whole"]
