"""The contract of a provider, over the whole registry: a new file is tested as soon as it is listed.

answers/<slug>/*.json: messages, the answer as recorded or documented, and what it means;
account.json there holds made-up credentials. The simulator has no network and so no answers.
"""

import json
import logging
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django import forms
from django.conf import settings

from integrations.providers import REGISTRY, provider_class
from integrations.providers.base import Provider
from integrations.providers.contract import Credentials, Outcome, SendResult, Sms
from integrations.reasons import Reason
from smsmail.uptime import clock
from tests.emulators.web import Emulator, Reply

ANSWERS = Path(__file__).parent / "answers"
# All but the simulator. One without recorded answers fails below.
OVER_HTTP = [provider for provider in REGISTRY if not provider.is_simulator]
RECORDED = [
    pytest.param(provider, path, id=f"{provider.slug}-{path.stem}")
    for provider in OVER_HTTP
    for path in sorted((ANSWERS / provider.slug).glob("*.json"))
    if path.stem != "account"
]


class Recorded(Emulator):
    """Answers everything with the same words, and remembers what was asked."""

    reply = Reply(200, b"")
    path = ""
    body = b""

    def command(self, path: str) -> str:
        self.path = path
        return path

    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        self.body = body
        return self.reply


@pytest.fixture
def recorded(settings: Any) -> Iterator[Recorded]:
    with Recorded() as emulator:
        settings.PROVIDER_URLS = dict.fromkeys(settings.PROVIDER_URLS, emulator.url)
        yield emulator


def account(provider: type[Provider]) -> Provider:
    held = json.loads((ANSWERS / provider.slug / "account.json").read_text())
    return provider(Credentials(held["credentials"], held["sender"]))


def test_it_has_the_simulator_last_and_every_slug_once() -> None:
    slugs = [provider.slug for provider in REGISTRY]
    assert slugs[-1] == "simulator"
    assert len(set(slugs)) == len(slugs)
    assert [provider_class(slug) for slug in slugs] == list(REGISTRY)
    with pytest.raises(KeyError):
        provider_class("nobody")


@pytest.mark.parametrize("provider", REGISTRY)
def test_it_says_who_it_is_and_how_much_it_takes(provider: type[Provider]) -> None:
    assert re.fullmatch("[a-z]{3,16}", provider.slug)
    assert provider.title
    assert str(provider.description)
    assert provider.batch > 0
    assert provider.parallel > 0
    assert provider.settle_seconds >= 0
    assert provider.settle_seconds < settings.LEASE


@pytest.mark.parametrize("provider", REGISTRY)
def test_it_hides_its_secrets_in_the_form(provider: type[Provider]) -> None:
    for name, field in provider.fields.items():
        assert str(field.label)
        if re.search("password|key|secret|token", name):
            assert isinstance(field.widget, forms.PasswordInput)
            assert not field.widget.render_value


@pytest.mark.parametrize("provider", OVER_HTTP)
def test_it_has_recorded_answers_for_every_outcome(provider: type[Provider]) -> None:
    seen = {
        result["outcome"]
        for path in (ANSWERS / provider.slug).glob("*.json")
        for result in json.loads(path.read_text()).get("verdicts", ())
    }
    assert seen == set(Outcome)


@pytest.mark.parametrize(("provider", "path"), RECORDED)
def test_it_reads_each_recorded_answer(
    recorded: Recorded, provider: type[Provider], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = json.loads(path.read_text())
    body = case["answer"]["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    recorded.reply = Reply(case["answer"]["status"], text.encode())
    messages = [Sms(key, *message) for key, message in enumerate(case["messages"], start=7)]
    sender = account(provider)

    with caplog.at_level(logging.DEBUG):
        results = sender.send("ref1", messages, clock() + 60)

    assert results == [_result(key, told) for key, told in enumerate(case["verdicts"], start=7)]
    if expected := case.get("request"):
        assert recorded.path == expected["path"]
        asked = recorded.body.decode()
        if "json" in expected:
            assert json.loads(asked) == expected["json"]
        else:
            assert dict(parse_qsl(asked)) == expected["form"]
    logged = caplog.text
    for secret in sender.credentials.values.values():
        assert secret not in logged
    for sms in messages:
        assert sms.phone.lstrip("+") not in logged
        assert sms.text not in logged
    assert "ref1" in logged


@pytest.mark.parametrize("provider", OVER_HTTP)
@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "5",
        '"text"',
        "[]",
        "[[]]",
        "{}",
        '{"error": {}}',
        "[" * 100_000,
        "\0",
        "\ufeff{}",
    ],
    ids=repr,
)
def test_it_takes_no_nonsense_for_a_yes(
    recorded: Recorded, provider: type[Provider], body: str
) -> None:
    recorded.reply = Reply(200, body.encode())
    messages = [Sms(1, "+79980000001", "Hello"), Sms(2, "+79980000002", "Hello")]
    results = account(provider).send("ref1", messages, clock() + 60)
    assert [(result.key, result.outcome) for result in results] == [
        (1, Outcome.UNKNOWN),
        (2, Outcome.UNKNOWN),
    ]


@pytest.mark.parametrize("provider", OVER_HTTP)
def test_it_never_shows_its_credentials(provider: type[Provider]) -> None:
    sender = account(provider)
    for secret in sender.credentials.values.values():
        assert secret not in repr(sender.credentials)


def _result(key: int, told: dict[str, Any]) -> SendResult:
    return SendResult(
        key,
        Outcome(told["outcome"]),
        provider_id=told["provider_id"],
        price=Decimal(told["price"]) if told["price"] else None,
        reason=Reason(told["reason"]) if told["reason"] else None,
        raw=told["raw"],
    )
