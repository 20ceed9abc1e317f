"""URLs of users, package by package."""

from django.urls import include, path

urlpatterns = [
    path("", include("users.people.urls")),
    path("", include("users.access.urls")),
    path("", include("users.consent.urls")),
    path("", include("users.segments.urls")),
]
