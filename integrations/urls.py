"""URLs of integrations, package by package."""

from django.urls import include, path

urlpatterns = [
    path("", include("integrations.settings_pages.urls")),
    path("", include("integrations.webhooks.urls")),
    path("", include("integrations.short_domain.urls")),
]
