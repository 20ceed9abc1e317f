"""The emulator of SMSC is believed by other tests: here a foreign client and a real webhook judge it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import requests
from django.urls import reverse

from integrations.models import Receipt
from integrations.providers.contract import Credentials, WebhookPayload
from integrations.providers.smsc.service import Smsc
from integrations.routing import routing
from tests import factories
from tests.emulators.journal import Journal
from tests.emulators.smsc import SmscEmulator
from tests.emulators.web import Emulator, Reply

WHO = {"login": "school", "psw": "made-up", "fmt": "3", "charset": "utf-8"}
PHONES = [f"7998000011{number}" for number in range(5)]


def ask(url: str, command: str, **fields: str) -> Any:
    answer = requests.post(f"{url}/sys/{command}.php", data=WHO | fields, timeout=5)
    return answer.json()


def send(url: str, *phones: str, **fields: str) -> Any:
    lines = "\n".join(f"+{phone}:Hello" for phone in phones)
    return ask(url, "send", **{"list": lines, "id": "ref1", "cost": "3", "op": "1"} | fields)


class Webhook(Emulator):
    """Stands for our receipt webhook; answers 503 while `closed` is above zero."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[WebhookPayload] = []
        self.closed = 0

    def command(self, path: str) -> str:
        return path

    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        if self.closed > 0:
            self.closed -= 1
            return Reply(503, b"")
        self.came.append(WebhookPayload({}, query, body.decode()))
        return Reply(200, b"OK")

    @property
    def statuses(self) -> list[tuple[str, str]]:
        told = [dict(parse_qsl(note.body)) for note in self.came]
        return [(fields["phone"], fields["status"]) for fields in told]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as emulator:
        yield emulator


# --- the public client from PyPI -------------------------------------------------------------


def test_the_public_client_works_against_it(
    smsc_emulator: SmscEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smsc import SMSC, SMSMessage

    monkeypatch.setattr(SMSC, "_url", f"{smsc_emulator.url}/sys/")
    smsc_emulator.manner.delay = 0
    client = SMSC(login="school", password="made-up", sender="School")

    assert client.get_cost(PHONES[0], SMSMessage(text="Привет")).cost == 2.5
    assert client.get_balance().balance == 1_000_000
    sent = client.send([PHONES[0], "79980000101"], SMSMessage(text="Привет"))
    assert (sent.error, sent.count, sent.cost) == (None, 2, 5.0)
    assert smsc_emulator.accepted == [
        (sent.message_id, PHONES[0], "Привет"),
        (sent.message_id, "79980000101", "Привет"),
    ]
    delivered, failed = client.get_status([PHONES[0], "79980000101"], [sent.message_id] * 2)
    assert (delivered.status.status_id, delivered.status.name) == (1, "Доставлено")
    assert (failed.status.status_id, failed.data["err"]) == (20, 1)
    [never] = client.get_status("79980000199", sent.message_id)
    assert never.status.status_id == -3

    wrong = SMSC(login="school", password="wrong")
    assert wrong.send(PHONES[0], SMSMessage(text="Привет")).error.code == 2


# --- what it answers -------------------------------------------------------------------------


def test_it_reads_windows_1251_unless_told_otherwise(smsc_emulator: SmscEmulator) -> None:
    fields = {"login": "school", "psw": "made-up", "fmt": "3", "phones": PHONES[0], "mes": "Да"}
    query = urlencode(fields, encoding="cp1251")
    requests.get(f"{smsc_emulator.url}/sys/send.php?{query}", timeout=5)
    assert [text for _, _, text in smsc_emulator.accepted] == ["Да"]


def test_it_takes_json_at_its_other_address(smsc_emulator: SmscEmulator) -> None:
    body = WHO | {"phones": PHONES[0], "mes": "Да", "id": "ref1"}
    answer = requests.post(f"{smsc_emulator.url}/rest/send/", json=body, timeout=5)
    assert answer.json() == {"id": "ref1", "cnt": 1}


def test_it_writes_its_answers_as_the_documents_show(smsc_emulator: SmscEmulator) -> None:
    assert send(smsc_emulator.url, PHONES[0], "79980000100") == {
        "id": "ref1",
        "cnt": 1,
        "cost": "2.50",
        "balance": "999997.50",
        "phones": [
            {"phone": PHONES[0], "mccmnc": "25001", "cost": "2.50", "status": "", "error": ""},
            {"phone": "79980000100", "mccmnc": "", "cost": "0", "status": "22", "error": "249"},
        ],
    }
    assert send(smsc_emulator.url, PHONES[1], cost="1") == {"cost": "2.50", "cnt": 1}
    assert len(smsc_emulator.accepted) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"psw": "wrong"}, 2),
        ({"id": "a" * 41}, 1),
        ({"list": ""}, 7),
        ({"id": "no spaces please"}, 1),
        ({"list": "+79980000100:bad number"}, 7),
    ],
)
def test_it_refuses_by_error_code(
    smsc_emulator: SmscEmulator, fields: dict[str, str], code: int
) -> None:
    assert send(smsc_emulator.url, PHONES[0], **fields)["error_code"] == code
    assert not smsc_emulator.accepted


def test_it_runs_out_of_money(smsc_emulator: SmscEmulator) -> None:
    smsc_emulator.balance -= smsc_emulator.balance
    assert send(smsc_emulator.url, PHONES[0])["error_code"] == 3


def test_it_refuses_an_equal_request_when_told_to(smsc_emulator: SmscEmulator) -> None:
    smsc_emulator.repeats = 60
    assert "cnt" in send(smsc_emulator.url, PHONES[0])
    assert send(smsc_emulator.url, PHONES[0])["error_code"] == 9
    assert "cnt" in send(smsc_emulator.url, PHONES[1])


def test_it_bears_only_so_many_requests_at_once(smsc_emulator: SmscEmulator) -> None:
    smsc_emulator.parallel = 1
    smsc_emulator._under_way = 1
    assert send(smsc_emulator.url, PHONES[0])["error_code"] == 9


def test_it_takes_back_what_is_not_final(smsc_emulator: SmscEmulator) -> None:
    smsc_emulator.manner.delay = 3600
    send(smsc_emulator.url, *PHONES[:2])
    assert ask(smsc_emulator.url, "status", phone=PHONES[0], id="ref1", **{"del": "1"}) == {
        "id": "ref1",
        "phone": PHONES[0],
        "result": "OK",
    }
    again = ask(smsc_emulator.url, "status", phone=PHONES[0], id="ref1", **{"del": "1"})
    assert again["error_code"] == 5
    history = ask(smsc_emulator.url, "get", get_messages="1")
    assert [row["phone"] for row in history] == [PHONES[1]]


# --- its journal -----------------------------------------------------------------------------


def test_it_remembers_over_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with SmscEmulator(journal=journal) as smsc:
        smsc.manner.delay = 3600
        send(smsc.url, *PHONES[:3])
        ask(smsc.url, "status", phone=PHONES[2], id="ref1", **{"del": "1"})
    with journal.open("ab") as file:
        file.write(b'{"id": "torn by a ki')
    with SmscEmulator(journal=journal) as smsc:
        assert [phone for _, phone, _ in smsc.accepted] == PHONES[:3]
        history = ask(smsc.url, "get", get_messages="1")
        assert [row["phone"] for row in history] == [PHONES[1], PHONES[0]]
        send(smsc.url, PHONES[3])
    again = Journal(journal)
    assert [len(entry.get("messages", ())) for entry in again.entries] == [3, 0, 1]
    again.close()


# --- its callbacks ---------------------------------------------------------------------------


def test_it_calls_the_webhook_with_a_check_value(
    smsc_emulator: SmscEmulator, webhook: Webhook
) -> None:
    adapter = Smsc(Credentials({"login": "school", "callback_secret": "word"}))
    smsc_emulator.secret = "word"
    json_too = f"{Smsc.callback_query}&fmt=3"
    for options in (Smsc.callback_query, json_too, "?sha1=1", "?md5=1&charset=windows-1251"):
        smsc_emulator.callback = f"{webhook.url}/hooks/smsc/key/{options}"
        webhook.came.clear()
        send(smsc_emulator.url, PHONES[0])
        smsc_emulator.reply_from(PHONES[0], "Стоп")
        smsc_emulator.caller.wait()
        reply, report = sorted(webhook.came, key=lambda note: not adapter.read_replies(note))
        assert adapter.check_note(report)
        assert adapter.check_note(reply)
        assert [told.reference for told in adapter.read_receipts(report)] == ["ref1"]
        assert [told.text for told in adapter.read_replies(reply)] == ["Стоп"]


def test_it_tells_each_step_and_some_things_twice(
    smsc_emulator: SmscEmulator, webhook: Webhook
) -> None:
    smsc_emulator.callback = webhook.url
    smsc_emulator.manner.steps = True
    smsc_emulator.manner.twice = 1
    send(smsc_emulator.url, PHONES[0], "79980000106", "79980000101")
    smsc_emulator.caller.wait()
    assert sorted(webhook.statuses) == sorted(
        2 * [(PHONES[0], "0"), (PHONES[0], "1"), ("79980000101", "0"), ("79980000101", "20")]
        + 2 * [("79980000106", "0")]
    )


def test_it_tells_things_the_wrong_way_round(smsc_emulator: SmscEmulator, webhook: Webhook) -> None:
    smsc_emulator.callback = webhook.url
    smsc_emulator.manner.backwards = True
    send(smsc_emulator.url, PHONES[0])
    smsc_emulator.caller.wait()
    assert webhook.statuses == [(PHONES[0], "1"), (PHONES[0], "0")]


def test_it_tells_before_it_answers(smsc_emulator: SmscEmulator, webhook: Webhook) -> None:
    smsc_emulator.callback = webhook.url
    smsc_emulator.manner.early = True
    smsc_emulator.misbehave("cut-after")
    with pytest.raises(requests.ConnectionError):
        send(smsc_emulator.url, PHONES[0])
    assert webhook.statuses == [(PHONES[0], "1")]


def test_it_calls_again_when_the_webhook_is_shut(
    smsc_emulator: SmscEmulator, webhook: Webhook
) -> None:
    webhook.closed = 1
    smsc_emulator.callback = webhook.url
    send(smsc_emulator.url, PHONES[0])
    smsc_emulator.caller.wait()
    assert webhook.statuses == [(PHONES[0], "1")]
    assert (smsc_emulator.caller.made, smsc_emulator.caller.failed) == (1, 0)


def test_it_keeps_silent_when_told_to(smsc_emulator: SmscEmulator, webhook: Webhook) -> None:
    smsc_emulator.callback = webhook.url
    smsc_emulator.manner.silent = True
    send(smsc_emulator.url, PHONES[0])
    smsc_emulator.caller.wait()
    assert not webhook.came


@pytest.mark.django_db(transaction=True)
def test_it_is_let_in_at_our_webhook(smsc_emulator: SmscEmulator, live_server: Any) -> None:
    account = factories.smsc(credentials={"apikey": "made-up-key", "callback_secret": "word"})
    webhook = reverse("receipt-door", args=["smsc", account.receipt_key])
    smsc_emulator.callback = f"{live_server.url}{webhook}{Smsc.callback_query}"
    smsc_emulator.secret = "word"
    send(smsc_emulator.url, PHONES[0])
    smsc_emulator.caller.wait()
    [receipt] = Receipt.objects.all()
    adapter = routing.provider_of(account)
    [report] = adapter.read_receipts(WebhookPayload(receipt.headers, receipt.query, receipt.body))
    assert (report.reference, report.phone) == ("ref1", f"+{PHONES[0]}")

    smsc_emulator.secret = "another word"
    smsc_emulator.manner.tries = 1
    send(smsc_emulator.url, PHONES[1])
    smsc_emulator.caller.wait()
    assert smsc_emulator.caller.failed == 1
    assert Receipt.objects.count() == 1


# --- misbehaving -----------------------------------------------------------------------------


def test_it_misbehaves_at_random_when_told_to(smsc_emulator: SmscEmulator) -> None:
    requests.post(
        f"{smsc_emulator.url}/_control",
        json={"share": 0.5, "among": ["500", "garbage-after"]},
        timeout=5,
    )
    bad = 0
    for number in range(40):
        try:
            send(smsc_emulator.url, PHONES[0], id=f"ref{number}")
        except requests.JSONDecodeError:
            bad += 1
    assert 10 <= bad <= 30
    told = requests.get(f"{smsc_emulator.url}/_control", timeout=5).json()
    assert told["accepted"] == len(smsc_emulator.accepted)
    assert 20 <= told["accepted"] < 40


# --- as a process ----------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], str]:
        running = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.smsc", *options],
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
    _running, url = process("--journal", journal, "--manner", '{"delay": 3600}')
    history = ask(url, "get", get_messages="1")
    assert [(row["phone"], row["status"]) for row in history] == [
        (PHONES[1], 0),
        (PHONES[0], 0),
    ]


def test_it_ends_when_asked_to(process: Any) -> None:
    running, url = process()
    assert json.loads(requests.get(f"{url}/_control", timeout=5).text)["accepted"] == 0
    running.terminate()
    assert running.wait(5) == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/_control", timeout=5)


def test_it_takes_thousands_of_messages_a_second(smsc_emulator: SmscEmulator) -> None:
    """The benchmark measures us, not the emulator: alone it takes 40,000 a second on two cores."""
    lines = "\n".join(f"+7998{number:05}77:Привет, Мария! Урок завтра" for number in range(500))
    body = urlencode(WHO | {"list": lines, "cost": "3", "op": "1", "nl": "1"})
    began = time.monotonic()
    for _ in range(20):
        line = http.client.HTTPConnection(smsc_emulator.url.removeprefix("http://"), timeout=5)
        line.request(
            "POST", "/sys/send.php", body, {"Content-Type": "application/x-www-form-urlencoded"}
        )
        line.getresponse().read()
        line.close()
    assert 20 * 500 / (time.monotonic() - began) > 5000
