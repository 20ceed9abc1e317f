"""Addresses of this room."""

from django.urls import path

from .settings_pages import simulator_views, views
from .short_domain import views as short_domain
from .webhooks import keys
from .webhooks import views as door

urlpatterns = [
    path("settings/integrations/", views.integrations, name="integrations"),
    path("settings/integrations/fallback/", views.integration_fallback, name="fallback"),
    path("settings/integrations/<slug:slug>/", views.integration, name="integration"),
    path(
        "settings/integrations/<slug:slug>/check/",
        views.integration_check,
        name="integration-check",
    ),
    path("settings/integrations/<slug:slug>/try/", views.integration_try, name="integration-try"),
    path(
        "settings/integrations/<slug:slug>/disconnect/",
        views.integration_disconnect,
        name="integration-disconnect",
    ),
    path(
        "settings/integrations/<slug:slug>/address/",
        keys.receipt_key_new,
        name="integration-address",
    ),
    path(
        "settings/integrations/<slug:slug>/address/end/",
        keys.receipt_key_end,
        name="integration-address-end",
    ),
    path("hooks/<slug:slug>/<str:key>/", door.receipt, name="receipt-door"),
    path("settings/short-domain/", short_domain.short_domain, name="short-domain"),
    path("echo/<slug:challenge>/", short_domain.echo, name="echo"),
    path("simulator/", simulator_views.simulator, name="simulator"),
]
