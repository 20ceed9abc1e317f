"""URLs of integrations.settings_pages."""

from django.urls import path

from . import simulator_views, views

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
    path("simulator/", simulator_views.simulator, name="simulator"),
]
