"""The room of everything that knows a provider's name."""

from django.apps import AppConfig
from django.conf import settings

from smsmail.environment import text


class IntegrationsConfig(AppConfig):
    name = "integrations"

    def ready(self) -> None:
        """A new service needs no setting of its own: its address is asked for by its name."""
        from . import providers

        for provider in providers.REGISTRY:
            if not provider.is_simulator:
                address = text(f"{provider.slug.upper()}_URL")
                settings.PROVIDER_URLS.setdefault(provider.slug, address)
