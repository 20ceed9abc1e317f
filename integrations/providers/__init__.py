"""A package for each SMS service, their contract, and the registry: one line for each, by priority."""

from .base import Provider
from .seventech.service import SevenTech
from .simulator import Simulator
from .smsc.service import Smsc
from .twilio.service import Twilio

REGISTRY: tuple[type[Provider], ...] = (Smsc, Twilio, SevenTech, Simulator)


def provider_class(slug: str) -> type[Provider]:
    """Return the class. Raises KeyError for a slug that is not in the registry."""
    return {provider.slug: provider for provider in REGISTRY}[slug]
