"""The room of everything that knows a provider's name."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
