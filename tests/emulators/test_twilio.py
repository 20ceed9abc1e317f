"""The emulator of Twilio is believed by other tests: here the official client and a real webhook judge
it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from django.urls import reverse
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from integrations.models import Account, Receipt
from tests import factories
from tests.emulators.journal import Journal
from tests.emulators.twilio import TOKEN, TwilioEmulator
from tests.emulators.twilio_rows import ACCOUNT, SERVICE
from tests.emulators.web import Emulator, Reply

PHONES = [f"+7998000011{number}" for number in range(5)]


def client(url: str, token: str = TOKEN) -> Client:
    official = Client(ACCOUNT, token)
    official.api.base_url = url
    return official


def send(url: str, phone: str = PHONES[0], **fields: Any) -> Any:
    fields = {"from_": "School", "body": "Hello"} | fields
    return client(url).messages.create(to=phone, **fields)


class Webhook(Emulator):
    """Stands for our receipt webhook; the official client's own check judges each signature."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[dict[str, str]] = []
        self.genuine: list[bool] = []

    def command(self, path: str) -> str:
        return path

    def refusal(self, headers: Any) -> None:
        self.asked.signature = headers["X-Twilio-Signature"]

    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        url = f"{self.url}{command}" + (f"?{query}" if query else "")
        self.came.append(fields)
        check = RequestValidator(TOKEN).validate
        self.genuine.append(check(url, fields, self.asked.signature))
        return Reply(200, b"<Response></Response>", "text/xml")

    @property
    def statuses(self) -> list[str]:
        return [fields["MessageStatus"] for fields in self.came]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as emulator:
        yield emulator


# --- the official client ---------------------------------------------------------------------


def test_the_official_client_works_against_it(twilio_emulator: TwilioEmulator) -> None:
    official = client(twilio_emulator.url)
    twilio_emulator.manner.delay = 0

    sent = official.messages.create(to=PHONES[0], from_="School", body="Привет")
    assert (sent.status, sent.price, sent.error_code) == ("queued", None, None)
    assert twilio_emulator.accepted == [("", PHONES[0][1:], "Привет")]
    failed = official.messages.create(to="+79980000101", messaging_service_sid=SERVICE, body="Ё")
    assert (failed.status, failed.from_, failed.num_segments) == ("accepted", None, "0")

    fetched = official.messages(sent.sid).fetch()
    assert (fetched.status, fetched.price, fetched.price_unit) == ("delivered", "-0.0075", "USD")
    assert abs(datetime.now(UTC) - fetched.date_created) < timedelta(seconds=10)
    assert official.messages(failed.sid).fetch().error_code == 30005

    assert [row.sid for row in official.messages.list()] == [failed.sid, sent.sid]
    assert [row.sid for row in official.messages.list(to=PHONES[0])] == [sent.sid]
    assert official.api.v2010.account.balance.fetch().balance == "999999.9850"


def test_the_official_client_pages_through_its_list(twilio_emulator: TwilioEmulator) -> None:
    sent = [send(twilio_emulator.url).sid for _ in range(5)]
    listed = client(twilio_emulator.url).messages.list(to=PHONES[0], page_size=2)
    assert [row.sid for row in listed] == sent[::-1]
    assert [command for command, _ in twilio_emulator.requests].count("list") == 3


def test_the_official_client_is_told_what_is_wrong(twilio_emulator: TwilioEmulator) -> None:
    for phone, code in (("+79980000100", 21211), ("+79980000107", 21614), ("+79980000108", 21610)):
        with pytest.raises(TwilioRestException) as refused:
            send(twilio_emulator.url, phone)
        assert (refused.value.status, refused.value.code) == (400, code)
    with pytest.raises(TwilioRestException) as refused:
        client(twilio_emulator.url, "wrong").messages("SM" + "0" * 32).fetch()
    assert (refused.value.status, refused.value.code) == (401, 20003)
    with pytest.raises(TwilioRestException) as refused:
        client(twilio_emulator.url).messages("SM" + "0" * 32).fetch()
    assert (refused.value.status, refused.value.code) == (404, 20404)


def test_the_official_client_schedules_and_takes_back(twilio_emulator: TwilioEmulator) -> None:
    send_at = datetime.now(UTC) + timedelta(hours=1)
    later: dict[str, Any] = {
        "schedule_type": "fixed",
        "send_at": send_at,
        "messaging_service_sid": SERVICE,
    }
    scheduled = send(twilio_emulator.url, **later)
    assert scheduled.status == "scheduled"
    assert scheduled.update(status="canceled").status == "canceled"
    for sid in (scheduled.sid, send(twilio_emulator.url).sid):
        with pytest.raises(TwilioRestException) as refused:
            client(twilio_emulator.url).messages(sid).update(status="canceled")
        assert refused.value.code == 30409


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"from_": ""}, 21603),
        ({"messaging_service_sid": "MG" + "0" * 32}, 21701),
        ({"body": ""}, 21619),
        ({"body": "x" * 1601}, 21617),
        ({"status_callback": "not an address"}, 21609),
        ({"validity_period": 0}, 21624),
        ({"schedule_type": "fixed", "send_at": datetime.now(UTC)}, 35118),
        (
            {
                "schedule_type": "fixed",
                "send_at": datetime.now(UTC),
                "messaging_service_sid": SERVICE,
            },
            35114,
        ),
    ],
)
def test_it_refuses_by_code(
    twilio_emulator: TwilioEmulator, fields: dict[str, Any], code: int
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        send(twilio_emulator.url, **fields)
    assert refused.value.code == code
    assert not twilio_emulator.accepted


def test_it_runs_out_of_money(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.balance -= twilio_emulator.balance
    with pytest.raises(TwilioRestException) as refused:
        send(twilio_emulator.url)
    assert (refused.value.status, refused.value.code) == (403, 20005)


def test_it_bears_only_so_many_requests_at_once(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.parallel = 1
    twilio_emulator._under_way = 1
    with pytest.raises(TwilioRestException) as refused:
        send(twilio_emulator.url)
    assert (refused.value.status, refused.value.code) == (429, 20429)


# --- its journal -----------------------------------------------------------------------------


def test_it_remembers_over_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    send_at = datetime.now(UTC) + timedelta(hours=1)
    later: dict[str, Any] = {
        "schedule_type": "fixed",
        "send_at": send_at,
        "messaging_service_sid": SERVICE,
    }
    with TwilioEmulator(journal=journal) as twilio:
        first = send(twilio.url, status_callback="http://example.com:9/?ref=ref1")
        send(twilio.url, PHONES[1], **later).update(status="canceled")
    with journal.open("ab") as file:
        file.write(b'{"sid": "torn by a ki')
    with TwilioEmulator(journal=journal) as twilio:
        assert twilio.accepted == [("ref1", PHONES[0][1:], "Hello"), ("", PHONES[1][1:], "Hello")]
        taken_back, known = client(twilio.url).messages.list()
        assert (known.sid, taken_back.status) == (first.sid, "canceled")
    again = Journal(journal)
    assert len(again.entries) == 3
    again.close()


# --- its callbacks ---------------------------------------------------------------------------


def test_it_signs_what_it_tells(twilio_emulator: TwilioEmulator, webhook: Webhook) -> None:
    callback = f"{webhook.url}/hooks/twilio/key/?ref=a%20b#rc=3&rp=all"
    sent = send(twilio_emulator.url, "+79980000101", status_callback=callback)
    twilio_emulator.reply_from(callback, PHONES[0], "Стоп & ё", OptOutType="STOP")
    twilio_emulator.caller.wait()
    assert webhook.genuine == [True, True]
    [told] = [fields for fields in webhook.came if "MessageStatus" in fields]
    assert (told["MessageSid"], told["To"]) == (sent.sid, "+79980000101")
    assert (told["MessageStatus"], told["ErrorCode"]) == ("undelivered", "30005")


def test_it_tells_each_step_and_some_things_twice(
    twilio_emulator: TwilioEmulator, webhook: Webhook
) -> None:
    twilio_emulator.manner.steps = True
    twilio_emulator.manner.twice = 1
    send(twilio_emulator.url, status_callback=webhook.url)
    send(twilio_emulator.url, "+79980000106", status_callback=webhook.url)
    twilio_emulator.caller.wait()
    assert sorted(webhook.statuses) == sorted(2 * ["delivered"] + 4 * ["sending", "sent"])


def test_it_tells_things_the_wrong_way_round(
    twilio_emulator: TwilioEmulator, webhook: Webhook
) -> None:
    twilio_emulator.manner.backwards = True
    send(twilio_emulator.url, status_callback=webhook.url)
    twilio_emulator.caller.wait()
    assert webhook.statuses == ["delivered", "sent"]


def test_it_tells_before_it_answers(twilio_emulator: TwilioEmulator, webhook: Webhook) -> None:
    twilio_emulator.manner.early = True
    twilio_emulator.misbehave("cut-after")
    with pytest.raises(requests.ConnectionError):
        send(twilio_emulator.url, status_callback=webhook.url)
    assert webhook.statuses == ["delivered"]


def test_it_keeps_silent_when_told_to(twilio_emulator: TwilioEmulator, webhook: Webhook) -> None:
    twilio_emulator.manner.silent = True
    send(twilio_emulator.url, status_callback=webhook.url)
    send(twilio_emulator.url)
    twilio_emulator.caller.wait()
    assert not webhook.came


@pytest.mark.django_db(transaction=True)
def test_it_is_let_in_at_our_webhook(
    twilio_emulator: TwilioEmulator, live_server: Any, settings: Any
) -> None:
    settings.PUBLIC_URL = live_server.url
    account = factories.twilio()
    webhook = reverse("receipt-door", args=["twilio", account.receipt_key])
    callback = f"{live_server.url}{webhook}?ref=ref1#rc=3"
    send(twilio_emulator.url, status_callback=callback)
    twilio_emulator.caller.wait()
    assert Receipt.objects.get().query == "ref=ref1"

    twilio_emulator.manner.tries = 1
    settings.PUBLIC_URL = "https://sms.example.com"  # it signs another address than we think ours
    send(twilio_emulator.url, status_callback=callback)
    settings.PUBLIC_URL = live_server.url
    Account.objects.update(credentials={**account.credentials, "auth_token": "another"})
    send(twilio_emulator.url, status_callback=callback)
    twilio_emulator.caller.wait()
    assert twilio_emulator.caller.failed == 2
    assert Receipt.objects.count() == 1


# --- as a process ----------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], str]:
        running = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.twilio", *options],
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
    listed = client(url).messages.list()
    assert [(row.to, row.status) for row in listed] == [
        (PHONES[1], "queued"),
        (PHONES[0], "queued"),
    ]


def test_it_ends_when_asked_to(process: Any) -> None:
    running, url = process()
    assert json.loads(requests.get(f"{url}/_control", timeout=5).text)["accepted"] == 0
    running.terminate()
    assert running.wait(5) == 0
