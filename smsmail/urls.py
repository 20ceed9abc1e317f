"""All addresses: one file per room, and Django's own for signing in and the language."""

from django.urls import include, path

urlpatterns = [
    path("", include("mailings.urls")),
    path("", include("users.urls")),
    path("", include("integrations.urls")),
    path("language/", include("django.conf.urls.i18n")),
]
