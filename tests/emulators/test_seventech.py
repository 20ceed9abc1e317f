"""The emulator of SevenTech is believed by other tests: here a foreign client and a real webhook judge it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from django.urls import reverse

from integrations.models import Account, Receipt
from integrations.providers.contract import DeliveryStatus, Sms, WebhookPayload
from integrations.routing import routing
from smsmail.uptime import clock
from tests.emulators.seventech import LOGIN, PASSWORD, SHAPES, SevenTechEmulator
from tests.emulators.web import Emulator, Reply

PHONES = [f"7998000011{number}" for number in range(5)]


class Webhook(Emulator):
    """Stands for our receipt webhook; answers 503 while `closed` is above zero."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[dict[str, str], dict[str, str]]] = []
        self.closed = 0

    def command(self, path: str) -> str:
        return path

    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        if self.closed > 0:
            self.closed -= 1
            return Reply(503, b"")
        self.came.append((dict(parse_qsl(query)), json.loads(body)))
        return Reply(200, b"")

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(query["phone"], told["state"]) for query, told in self.came]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as emulator:
        yield emulator


def told(phone: str, callback: str = "", text: str = "Hello", **more: object) -> dict[str, Any]:
    recipient = {"type": "MSISDN", "value": int(phone)}
    element = {"channel": "sms", "recipient": recipient, "sender": "School", "text": text}
    return {
        "scenario": [element],
        "callback": f"{callback}?phone={phone}" if callback else "",
        "clientRequestId": f"ref1-{phone}",
        **more,
    }


def post(url: str, body: object, who: tuple[str, str] = (LOGIN, PASSWORD)) -> requests.Response:
    return requests.post(f"{url}/messaging/v1/send", json=body, auth=who, timeout=5)


def send(url: str, phone: str, callback: str = "") -> Any:
    return post(url, told(phone, callback)).json()


# --- sending ---------------------------------------------------------------------------------


def test_it_takes_a_message_and_writes_it_down(seventech_emulator: SevenTechEmulator) -> None:
    assert send(seventech_emulator.url, PHONES[0]) == {"txId": "tx1", "state": "ACCEPTED"}
    assert seventech_emulator.accepted == [(f"ref1-{PHONES[0]}", PHONES[0], "Hello")]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"scenario": []},
        {"scenario": [{}]},
        {"scenario": 2 * told(PHONES[0])["scenario"]},
        {"scenario": [told(PHONES[0])["scenario"][0] | {"sender": ""}]},
        {"scenario": [told(PHONES[0])["scenario"][0] | {"channel": "viber"}]},
        {"scenario": [told(PHONES[0])["scenario"][0] | {"recipient": {"type": "MSISDN", "value": "7"}}]},
        {"scenario": told("79980000100")["scenario"]},
        {"clientRequestId": "x" * 101},
    ],
    ids=str,
)  # fmt: skip
def test_it_refuses_what_is_not_as_it_must_be(
    seventech_emulator: SevenTechEmulator, spoilt: dict[str, Any]
) -> None:
    assert post(seventech_emulator.url, told(PHONES[0]) | spoilt).status_code == 400
    assert not seventech_emulator.accepted


def test_it_asks_for_the_login(seventech_emulator: SevenTechEmulator) -> None:
    assert post(seventech_emulator.url, told(PHONES[0]), (LOGIN, "wrong")).status_code == 401
    assert (
        requests.post(f"{seventech_emulator.url}/messaging/v1/send", json={}, timeout=5).status_code
        == 401
    )
    assert not seventech_emulator.accepted


# --- callbacks -------------------------------------------------------------------------------


def test_it_tells_the_address_of_each_request_its_fate(
    seventech_emulator: SevenTechEmulator, webhook: Webhook
) -> None:
    phones = [f"7998000010{digit}" for digit in range(1, 9)]
    for phone in phones:
        send(seventech_emulator.url, phone, webhook.url)
    seventech_emulator.caller.wait()
    assert dict(webhook.states) == {
        "79980000101": "UNDELIVERED",
        "79980000102": "REJECTED",
        "79980000103": "FAILED",
        "79980000104": "ON_THE_MOON",
        "79980000105": "EXPIRED",
        "79980000107": "SEEN",
        "79980000108": "DELIVERED",
    }


def test_it_tells_steps_and_tells_them_twice(
    seventech_emulator: SevenTechEmulator, webhook: Webhook
) -> None:
    seventech_emulator.manner.steps = True
    seventech_emulator.manner.twice = 1
    send(seventech_emulator.url, PHONES[0], webhook.url)
    seventech_emulator.caller.wait()
    assert sorted(state for _, state in webhook.states) == 2 * ["ACCEPTED"] + 2 * ["DELIVERED"]


def test_it_tells_things_the_wrong_way_round(
    seventech_emulator: SevenTechEmulator, webhook: Webhook
) -> None:
    seventech_emulator.manner.backwards = True
    send(seventech_emulator.url, PHONES[0], webhook.url)
    seventech_emulator.caller.wait()
    assert webhook.states == [(PHONES[0], "DELIVERED"), (PHONES[0], "ACCEPTED")]


def test_it_tells_before_it_answers(
    seventech_emulator: SevenTechEmulator, webhook: Webhook
) -> None:
    seventech_emulator.manner.early = True
    seventech_emulator.misbehave("cut-after")
    with pytest.raises(requests.ConnectionError):
        send(seventech_emulator.url, PHONES[0], webhook.url)
    assert webhook.states == [(PHONES[0], "DELIVERED")]


def test_it_calls_again_when_the_webhook_is_shut(
    seventech_emulator: SevenTechEmulator, webhook: Webhook
) -> None:
    webhook.closed = 1
    send(seventech_emulator.url, PHONES[0], webhook.url)
    seventech_emulator.caller.wait()
    assert webhook.states == [(PHONES[0], "DELIVERED")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_let_in_at_our_webhook(
    seventech_emulator: SevenTechEmulator, live_server: Any, settings: Any, shape: str
) -> None:
    settings.PUBLIC_URL = live_server.url
    seventech_emulator.shape = shape
    account = Account.objects.create(
        provider="seventech", credentials={"login": LOGIN, "password": PASSWORD}, sender="School"
    )
    adapter = routing.provider_of(account)
    [result] = adapter.send("ref1", [Sms(1, f"+{PHONES[0]}", "Hello")], clock() + 60)
    seventech_emulator.caller.wait()
    [receipt] = Receipt.objects.all()
    [report] = adapter.read_receipts(WebhookPayload(receipt.headers, receipt.query, receipt.body))
    assert (report.reference, report.phone) == ("ref1", f"+{PHONES[0]}")
    assert (report.status, report.provider_id) == (DeliveryStatus.DELIVERED, result.provider_id)

    webhook = f"{live_server.url}{reverse('receipt-door', args=['seventech', account.receipt_key])}"
    seventech_emulator.reply_from(webhook, PHONES[0], "Спасибо")
    seventech_emulator.caller.wait()
    reply = Receipt.objects.latest("id")
    [written] = adapter.read_replies(WebhookPayload(reply.headers, reply.query, reply.body))
    assert (written.phone, written.text) == (f"+{PHONES[0]}", "Спасибо")


# --- misbehaving, and as a process -----------------------------------------------------------


def test_it_misbehaves_at_random_when_told_to(seventech_emulator: SevenTechEmulator) -> None:
    url = seventech_emulator.url
    order = {"share": 0.5, "among": ["500", "garbage-after"], "manner": {"silent": True}}
    requests.post(f"{url}/_control", json=order, timeout=5)
    answers = [post(url, told(PHONES[0])) for _ in range(40)]
    good = [answer for answer in answers if answer.content.startswith(b"{")]
    assert 10 <= len(good) <= 30
    counts = requests.get(f"{url}/_control", timeout=5).json()
    assert counts["accepted"] == len(seventech_emulator.accepted)
    assert len(good) < counts["accepted"] < 40


@pytest.fixture
def process() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], str]:
        running = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.seventech", *options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        started.append(running)
        assert running.stdout
        return running, running.stdout.readline().strip()

    yield start
    for running in started:
        running.kill()
        running.communicate()


def test_it_loses_nothing_it_has_answered_when_killed(process: Any, tmp_path: Path) -> None:
    journal = str(tmp_path / "journal")
    running, url = process("--journal", journal, "--plan", '{"next": ["", "cut-after", "cut"]}')
    send(url, PHONES[0])
    for phone in PHONES[1:3]:
        with pytest.raises(requests.ConnectionError):
            send(url, phone)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    _running, url = process("--journal", journal)
    assert requests.get(f"{url}/_control", timeout=5).json()["accepted"] == 2


def test_it_ends_when_asked_to(process: Any) -> None:
    running, url = process()
    assert requests.get(f"{url}/_control", timeout=5).json()["accepted"] == 0
    running.terminate()
    assert running.wait(5) == 0
