"""The SevenTech adapter against the emulator: real HTTP, every outcome, whatever comes to our webhook."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st

from integrations.models import Account
from integrations.providers.contract import (
    Credentials,
    DeliveryReport,
    DeliveryStatus,
    InboundSms,
    Outcome,
    SendResult,
    Sms,
    WebhookPayload,
)
from integrations.providers.seventech import codes
from integrations.providers.seventech.answers import result_of
from integrations.providers.seventech.service import AT_ONCE, SevenTech
from integrations.providers.transport import Answer
from integrations.reasons import Reason
from integrations.routing import routing
from smsmail.uptime import clock
from tests.emulators.seventech import SevenTechEmulator
from users.models import User

PHONES = tuple(f"+7998000{number:04}" for number in range(1110, 1160))
WEBHOOK = "http://127.0.0.1:1/hooks/seventech/made-up-key/"
OURS = "ref=ref1&phone=79980000111"  # as our address ends


@pytest.fixture(autouse=True)
def short_waits(settings: Any) -> None:
    settings.READ_TIMEOUT = 1


def seventech(**values: str) -> SevenTech:
    held = {"login": "school", "password": "made-up"} | values
    return SevenTech(Credentials(held, "School"), WEBHOOK)


def send(*phones: str, text: str = "Hello", reference: str = "ref1") -> list[SendResult]:
    messages = [Sms(key, phone, text) for key, phone in enumerate(phones)]
    return seventech().send(reference, messages, clock() + 60)


def read(body: object, query: str = OURS) -> list[DeliveryReport]:
    text = body if isinstance(body, str) else json.dumps(body)
    return seventech().read_receipts(WebhookPayload({}, query, text))


def replies(body: object, query: str = "") -> list[InboundSms]:
    text = body if isinstance(body, str) else json.dumps(body)
    return seventech().read_replies(WebhookPayload({}, query, text))


# --- sending ---------------------------------------------------------------------------------


def test_it_sends_what_clients_of_the_same_platform_send(
    seventech_emulator: SevenTechEmulator,
) -> None:
    seventech_emulator.manner.silent = True
    [result] = send("+79980000111", text="Привет, Мария!\nУрок в 10:00 🙂")
    assert result == SendResult(0, Outcome.TAKEN, provider_id="tx1")
    assert seventech_emulator.requests == [
        {
            "scenario": [
                {
                    "channel": "sms",
                    "recipient": {"type": "MSISDN", "value": 79980000111},
                    "sender": "School",
                    "text": "Привет, Мария!\nУрок в 10:00 🙂",
                }
            ],
            "callback": f"{WEBHOOK}?ref=ref1&phone=79980000111",
            "clientRequestId": "ref1-79980000111",
        }
    ]


def test_it_sends_a_batch_in_a_burst_of_requests(seventech_emulator: SevenTechEmulator) -> None:
    seventech_emulator.manner.silent = True
    seventech_emulator.plan.slow = 0.3
    seventech_emulator.misbehave(*["slow-after"] * len(PHONES))
    began = clock()
    results = send(*PHONES)
    assert [result.key for result in results] == list(range(50))
    assert {result.outcome for result in results} == {Outcome.TAKEN}
    assert len({result.provider_id for result in results}) == 50
    assert len(seventech_emulator.accepted) == 50
    assert clock() - began < 50 * 0.3 / AT_ONCE + 5


def test_its_request_id_fits_whatever_the_reference(seventech_emulator: SevenTechEmulator) -> None:
    seventech_emulator.manner.silent = True
    send("+123456789012345", reference="r" * 40)  # the longest phone, the longest column
    [(client_id, _, _)] = seventech_emulator.accepted
    assert len(client_id) <= codes.CLIENT_ID_LENGTH


def test_it_starts_no_request_after_the_deadline(seventech_emulator: SevenTechEmulator) -> None:
    results = seventech().send("ref1", [Sms(1, PHONES[0], "Hello")] * 30, clock())
    assert {(each.outcome, each.reason) for each in results} == {
        (Outcome.UNSENT, Reason.UNAVAILABLE)
    }
    assert not seventech_emulator.requests


def test_it_looks_at_the_deadline_before_each_request(
    seventech_emulator: SevenTechEmulator,
) -> None:
    seventech_emulator.manner.silent = True
    seventech_emulator.plan.slow = 0.8
    seventech_emulator.misbehave(*["slow-after"] * len(PHONES))
    messages = [Sms(key, phone, "Hello") for key, phone in enumerate(PHONES)]
    results = seventech().send("ref1", messages, clock() + 0.5)
    taken = [each for each in results if each.outcome == Outcome.TAKEN]
    assert 0 < len(taken) <= AT_ONCE
    assert {each.outcome for each in results} == {Outcome.TAKEN, Outcome.UNSENT}
    assert len(seventech_emulator.accepted) == len(taken)


def test_it_knows_the_fate_of_each_number(seventech_emulator: SevenTechEmulator) -> None:
    seventech_emulator.manner.silent = True
    good, bad = send("+79980000111", "+79980000100")
    assert good.outcome == Outcome.TAKEN
    assert (bad.outcome, bad.reason) == (Outcome.REFUSED, Reason.BAD_REQUEST)
    assert bad.raw == 'seventech:http 400 {"error": "bad recipient …"}'


@pytest.mark.parametrize(
    ("misbehaviour", "outcome", "reason", "accepted"),
    [
        ("unread", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("cut", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("cut-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("reset-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("hang", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("hang-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("slow-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("half-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("drip-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("garbage-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("empty-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("500", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("503-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("error-409-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("error-400", Outcome.REFUSED, Reason.BAD_REQUEST, 0),
        ("404", Outcome.REFUSED, Reason.BAD_REQUEST, 0),
        ("error-422", Outcome.REFUSED, Reason.BAD_REQUEST, 0),
        ("error-402", Outcome.UNSENT, Reason.NO_MONEY, 0),
        ("403", Outcome.UNSENT, Reason.BAD_LOGIN, 0),
        ("429", Outcome.UNSENT, Reason.BUSY, 0),
    ],
)
def test_it_calls_every_misbehaviour_by_its_name(
    seventech_emulator: SevenTechEmulator,
    misbehaviour: str,
    outcome: Outcome,
    reason: Reason,
    accepted: int,
) -> None:
    seventech_emulator.manner.silent = True
    seventech_emulator.misbehave(misbehaviour)
    [result] = send(PHONES[0])
    assert (result.outcome, result.reason) == (outcome, reason)
    assert result.raw.startswith("seventech:")
    assert len(seventech_emulator.accepted) == accepted


def test_one_request_that_goes_wrong_spoils_no_other(seventech_emulator: SevenTechEmulator) -> None:
    seventech_emulator.manner.silent = True
    seventech_emulator.misbehave("cut", "error-400", "garbage-after")
    outcomes = [result.outcome for result in send(*PHONES)]
    assert outcomes.count(Outcome.UNKNOWN) == 2
    assert outcomes.count(Outcome.REFUSED) == 1
    assert outcomes.count(Outcome.TAKEN) == 47


def test_it_takes_a_service_that_is_away_for_unsent(settings: Any) -> None:
    with SevenTechEmulator() as gone:
        settings.PROVIDER_URLS = {"seventech": gone.url}
    assert {(each.outcome, each.reason) for each in send(*PHONES)} == {
        (Outcome.UNSENT, Reason.UNAVAILABLE)
    }


def test_a_wrong_login_is_not_tried_with_every_message(
    seventech_emulator: SevenTechEmulator,
) -> None:
    seventech_emulator.manner.silent = True
    seventech_emulator.plan.share, seventech_emulator.plan.among = 1, ("error-401-after",)
    messages = [Sms(key, phone, "Hello") for key, phone in enumerate(PHONES * 4)]
    results = seventech().send("ref1", messages, clock() + 60)
    assert {(each.outcome, each.reason, each.raw) for each in results} == {
        (Outcome.UNSENT, Reason.BAD_LOGIN, "seventech:http 401")
    }
    assert [each.key for each in results] == list(range(200))
    assert len(seventech_emulator.accepted) < 3 * AT_ONCE


def test_the_emulator_believes_no_wrong_password(seventech_emulator: SevenTechEmulator) -> None:
    [result] = seventech(password="wrong").send("ref1", [Sms(1, PHONES[0], "Hello")], clock() + 60)
    assert (result.outcome, result.reason) == (Outcome.UNSENT, Reason.BAD_LOGIN)
    assert not seventech_emulator.accepted


def test_it_writes_one_line_for_a_batch_into_the_log(
    seventech_emulator: SevenTechEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    seventech_emulator.manner.silent = True
    seventech_emulator.misbehave("500")
    with caplog.at_level(logging.INFO, "integrations"):
        send(*PHONES)
    [line] = caplog.messages
    assert re.fullmatch(
        r"seventech send ref1: 50 messages, taken: 49, unknown no_answer: 1, \d+ ms", line
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "txId", "state", "status", "error", "clientRequestId"]),
            inner | st.sampled_from(["ACCEPTED", "delivered", "Rejected", "ref1-79980000111"]),
            max_size=5,
        )
    ),
    max_leaves=15,
)


@trials(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from([200, 202, 400, 404, 500]), JSON)
def test_it_has_a_result_whatever_comes_back(status: int, body: object) -> None:
    result = result_of(Sms(7, PHONES[0], "Hello"), Answer(status, json.dumps(body)))
    assert result.key == 7
    assert len(result.raw) <= 64
    assert len(result.provider_id) <= 64
    assert (result.reason is None) == (result.outcome == Outcome.TAKEN)
    if result.outcome == Outcome.TAKEN:
        assert status < 300
        assert re.search("accepted|delivered", json.dumps(body), re.IGNORECASE)


@trials(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(JSON | st.text())
def test_it_reads_a_receipt_or_says_that_it_cannot(body: object) -> None:
    try:
        reports = read(body)
    except ValueError:
        return
    assert reports
    for report in reports:
        assert re.fullmatch(r"\+[0-9]{5,15}", report.phone)
        assert report.reference


# --- receipts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"txId": "tx1", "state": "DELIVERED"},
        {"id": "tx1", "status": "delivered"},
        [{"txId": "tx1", "state": "SEEN"}],
        {"txId": "tx1", "status": {"state": "DELIVERED"}},
        {"event": "status", "message": {"txId": "tx1", "state": "DELIVERED"}},
        {"events": [{"txId": "tx1", "state": "DELIVERED"}]},
        "txId=tx1&state=DELIVERED",
        "\n {\"txId\": \"tx1\", \"state\": \"DELIVERED\"}",
    ],
    ids=str,
)  # fmt: skip
def test_it_reads_a_receipt_in_any_shape(body: object) -> None:
    expected = DeliveryReport("ref1", "+79980000111", DeliveryStatus.DELIVERED, provider_id="tx1")
    assert read(body) == [expected]
    named = {"clientRequestId": "ref1-79980000111"}
    if isinstance(body, dict):
        assert read(body | named, query="") == [expected]


def test_it_reads_a_receipt_from_the_address_alone() -> None:
    [report] = read("", query=f"{OURS}&txId=tx1&state=EXPIRED")
    assert report == DeliveryReport(
        "ref1",
        "+79980000111",
        DeliveryStatus.EXPIRED,
        Reason.EXPIRED,
        "seventech:EXPIRED",
        provider_id="tx1",
    )


def test_our_own_address_counts_more_than_what_the_body_says() -> None:
    [report] = read({"state": "DELIVERED", "clientRequestId": "other-79980000222"})
    assert (report.reference, report.phone) == ("ref1", "+79980000111")


def test_of_several_in_one_call_each_names_itself() -> None:
    rows = [
        {"clientRequestId": "ref1-79980000111", "state": "DELIVERED"},
        {"clientRequestId": "ref2-79980000112", "state": "UNDELIVERED", "errorCode": "17"},
        {"state": "DELIVERED"},  # whose?
    ]
    assert read(rows) == [
        DeliveryReport("ref1", "+79980000111", DeliveryStatus.DELIVERED),
        DeliveryReport(
            "ref2",
            "+79980000112",
            DeliveryStatus.UNDELIVERED,
            Reason.OTHER,
            "seventech:UNDELIVERED 17",
        ),
    ]


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        ("ACCEPTED", DeliveryStatus.ACCEPTED, None),
        ("DELIVERED", DeliveryStatus.DELIVERED, None),
        ("SEEN", DeliveryStatus.DELIVERED, None),
        ("EXPIRED", DeliveryStatus.EXPIRED, Reason.EXPIRED),
        ("UNDELIV", DeliveryStatus.UNDELIVERED, Reason.OTHER),
        ("undelivered", DeliveryStatus.UNDELIVERED, Reason.OTHER),
        ("REJECTED", DeliveryStatus.UNDELIVERED, Reason.OTHER),
        ("Failed to deliver", DeliveryStatus.UNDELIVERED, Reason.OTHER),
        ("ERROR_17", DeliveryStatus.UNDELIVERED, Reason.OTHER),
    ],
)
def test_it_knows_these_states(state: str, status: DeliveryStatus, reason: Reason | None) -> None:
    [report] = read({"state": state})
    assert (report.status, report.reason) == (status, reason)
    assert report.raw == (f"seventech:{state}" if reason else "")


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"state": "ON_THE_MOON"}, OURS),
        ({"state": "DELIVERED"}, ""),  # of what?
        ({"state": "DELIVERED", "clientRequestId": "79980000111"}, ""),
        ({"state": "DELIVERED", "clientRequestId": "ref1-what"}, ""),
        ({"state": "DELIVERED"}, "ref=ref1"),
        ({"txId": "tx1"}, OURS),
        ([], OURS),
        ("", OURS),
        ("", ""),
        ("what?", ""),
        ('{"state": "DELIV', OURS),
        ("[" * 100_000, OURS),
        ({"message": "Delivered", "phone": "79980000111"}, OURS),  # no reply: it is our address
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_it_cannot_read_it_calls_unreadable(body: object, query: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own, or ours: both are kept as unreadable
        read(body, query)
    assert replies(body, query) == []


# --- replies ---------------------------------------------------------------------------------

SAID = {"clientId": "79980000111", "message": "Стоп, спасибо", "shortNumber": "7771", "id": "5"}


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ("", urlencode(SAID)),
        (SAID, ""),
        ([SAID], ""),
        ({"incoming": SAID}, ""),
        (urlencode(SAID), ""),
        ({"from": "+7 998 000-01-11", "text": "Стоп, спасибо"}, ""),
    ],
    ids=["GET", "JSON", "array", "nested", "form", "plainer words"],
)
def test_it_reads_what_a_person_writes_back(body: object, query: str) -> None:
    assert replies(body, query) == [InboundSms("+79980000111", "Стоп, спасибо")]
    assert read(body, query) == []


def test_a_reply_is_answered_with_nothing(client: Client, db: None) -> None:
    """Whatever we said would go to the person as an SMS."""
    account = Account.objects.create(provider="seventech", credentials={"login": "a"})
    webhook = reverse("receipt-door", args=["seventech", account.receipt_key])
    answer = client.get(webhook, SAID)
    assert (answer.status_code, answer.content) == (200, b"")
    assert account.receipts.count() == 1


# --- the settings page -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "fine"),
    [
        ("School", True),
        ("My school 5", True),
        ("", False),
        ("TwelveLetter", False),
        ("Школа", False),
        ("School\n", False),
    ],
)
def test_it_asks_for_a_sender_name(sender: str, fine: bool) -> None:
    assert (SevenTech.check_sender(sender) == "") is fine


def test_the_page_says_how_to_connect_and_what_is_not_certain(
    as_: Callable[[User], Client], owner: User
) -> None:
    owner.language = "en"
    owner.save()
    page = as_(owner).get(reverse("integration", args=["seventech"])).content.decode()
    assert 'href="https://seven.tech/contact"' in page
    for words in ("100,000 messages a month", "1)", "2)", "3)", "test message", "best guess"):
        assert words in page
    assert 'type="password" name="password"' in page


def test_the_page_offers_no_check_that_would_ask_nobody(
    as_: Callable[[User], Client], owner: User
) -> None:
    Account.objects.create(provider="seventech", credentials={"login": "a"}, sender="School")
    page = as_(owner).get(reverse("integration", args=["seventech"])).content.decode()
    assert reverse("integration-disconnect", args=["seventech"]) in page
    assert reverse("integration-check", args=["seventech"]) not in page


def test_it_says_nothing_of_a_balance_or_of_old_messages() -> None:
    assert (SevenTech.can_look_up, SevenTech.has_balance) == (False, False)
    assert SevenTech.one_request_per_batch is False


def test_its_receipts_come_to_the_address_of_the_account(db: None) -> None:
    account = Account.objects.create(provider="seventech", credentials={"login": "a"})
    assert routing.provider_of(account).receipt_url.endswith(
        f"/hooks/seventech/{account.receipt_key}/"
    )
