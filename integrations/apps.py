"""The app of everything that knows a provider's name."""

from django.apps import AppConfig
from django.conf import settings

from smsmail.environment import text


class IntegrationsConfig(AppConfig):
    name = "integrations"

    def ready(self) -> None:
        """Read the URL of each provider from an environment variable named after it, so that a new
        provider needs no setting of its own.
        """
        from . import providers

        for provider in providers.REGISTRY:
            if not provider.is_simulator:
                address = text(f"{provider.slug.upper()}_URL")
                settings.PROVIDER_URLS.setdefault(provider.slug, address)
