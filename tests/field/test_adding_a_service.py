"""The way of docs/adding-a-service.md leads to the end. Source: the field's report on the providers, finding T4: an
adapter made by it ran two contract tests of nineteen until a setting was found that nobody had named.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
from django import forms
from django.apps import apps
from django.conf import settings

from integrations import providers
from integrations.providers import REGISTRY
from integrations.providers.base import Provider
from integrations.providers.contract import DeliveryReport, SendResult, Sms, WebhookPayload
from tests.integrations.providers import test_contract


class Fifth(Provider):
    """A service that somebody has just added."""

    slug = "fifth"
    title = "Fifth"
    description = "Made up"
    fields: ClassVar[Mapping[str, forms.Field]] = {}
    batch = 1
    parallel = 1

    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        return []

    def check_note(self, note: WebhookPayload) -> bool:
        return True

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        return []


def test_every_service_of_the_registry_is_held_to_the_contract() -> None:
    assert [each.slug for each in test_contract.OVER_HTTP] == ["smsc", "twilio", "seventech"]
    assert len(test_contract.OVER_HTTP) == len(REGISTRY) - 1


def test_one_without_recorded_answers_fails() -> None:
    with pytest.raises(AssertionError):
        test_contract.test_it_has_recorded_answers_for_every_outcome(Fifth)
    with pytest.raises(FileNotFoundError):
        test_contract.account(Fifth)


@pytest.mark.parametrize(
    ("said", "address"), [("http://127.0.0.1:9", "http://127.0.0.1:9"), ("", "")]
)
def test_its_address_needs_no_setting(
    monkeypatch: pytest.MonkeyPatch, settings: Any, said: str, address: str
) -> None:
    settings.PROVIDER_URLS = {}
    monkeypatch.setattr(providers, "REGISTRY", (Fifth, *REGISTRY))
    monkeypatch.setenv("FIFTH_URL", said)
    apps.get_app_config("integrations").ready()
    assert settings.PROVIDER_URLS["fifth"] == address
    assert "simulator" not in settings.PROVIDER_URLS


def test_the_three_have_their_addresses() -> None:
    assert set(settings.PROVIDER_URLS) == {"smsc", "twilio", "seventech"}
