"""All URLs: one file for each app, files that machines ask for, and Django's own choice of a language."""

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from .web.health import health, ready
from .web.well_known import robots, security

handler500 = "smsmail.web.outages.server_error"

urlpatterns = [
    path("", include("mailings.urls")),
    path("", include("users.urls")),
    path("", include("integrations.urls")),
    path("language/", login_not_required(set_language), name="set_language"),
    path("health/", health, name="health"),
    path("robots.txt", robots, name="robots"),
    path(".well-known/security.txt", security, name="security"),
    path("health/ready/", ready, name="health-ready"),
]
