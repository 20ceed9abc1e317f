"""URLs of mailings, one include per package."""

from django.urls import include, path

urlpatterns = [
    path("", include("mailings.reports.urls")),
    path("", include("mailings.composing.urls")),
    path("", include("mailings.audience.urls")),
    path("", include("mailings.lifecycle.urls")),
    path("", include("mailings.notifications.urls")),
    path("", include("mailings.tracking.urls")),
    path("", include("mailings.restoration.urls")),
]
