"""The SMSC adapter against the emulator: real HTTP, every outcome, its books, its callbacks."""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st

from integrations.providers.contract import (
    Credentials,
    DeliveryReport,
    DeliveryStatus,
    InboundSms,
    LookupItem,
    LookupRequest,
    Outcome,
    ProviderError,
    SendResult,
    Sms,
    WebhookPayload,
)
from integrations.providers.smsc import codes
from integrations.providers.smsc.answers import line, results_of
from integrations.providers.smsc.service import Smsc
from integrations.providers.transport import Answer
from integrations.reasons import Reason
from smsmail.uptime import clock
from tests.emulators.smsc import SmscEmulator
from tests.emulators.smsc_format import recipients_of

LOGIN = {"login": "school", "password": "made-up"}
PHONES = tuple(f"+7998000011{number}" for number in range(5))


@pytest.fixture(autouse=True)
def short_waits(settings: Any) -> None:
    settings.READ_TIMEOUT = 1


def smsc(sender: str = "School", **values: str) -> Smsc:
    return Smsc(Credentials(values or LOGIN, sender))


def send(*phones: str, text: str = "Hello", reference: str = "ref1") -> list[SendResult]:
    messages = [Sms(key, phone, text) for key, phone in enumerate(phones)]
    return smsc().send(reference, messages, clock() + 60)


def lookup(reference: str, *phones: str, since: datetime) -> LookupRequest:
    return LookupRequest(reference, tuple(LookupItem(phone) for phone in phones), since)


def ask(*phones: str, reference: str = "ref1", ago: float = 60) -> dict[str, DeliveryStatus]:
    since = datetime.now(UTC) - timedelta(seconds=ago)
    reports = smsc().look_up([lookup(reference, *phones, since=since)])
    return {report.phone: report.status for report in reports}


# --- sending ---------------------------------------------------------------------------------


def test_it_hands_a_batch_over_in_one_request(smsc_emulator: SmscEmulator) -> None:
    results = send(*PHONES)
    assert results == [
        SendResult(key, Outcome.TAKEN, provider_id="ref1", price=Decimal("2.50"))
        for key in range(5)
    ]
    [(command, fields)] = smsc_emulator.requests
    assert command == "send"
    assert fields == {
        "login": "school",
        "psw": "made-up",
        "fmt": "3",
        "charset": "utf-8",
        "id": "ref1",
        "list": "\n".join(f"{phone}:Hello" for phone in PHONES),
        "nl": "1",
        "cost": "3",
        "op": "1",
        "sender": "School",
    }


def test_it_sends_with_an_api_key_alone(smsc_emulator: SmscEmulator) -> None:
    [result] = smsc(apikey="made-up-key", sender="").send(
        "ref1", [Sms(1, PHONES[0], "Hello")], clock() + 60
    )
    assert result.outcome == Outcome.TAKEN
    assert not {"login", "psw", "sender"} & smsc_emulator.requests[0][1].keys()


@pytest.mark.parametrize(
    "text",
    [
        "Привет, Мария! Урок в 10:00",
        "two\nlines",
        "Windows\r\nlines\rtoo",
        "promo|not a sender",
        "School,3|+79980000999:still not",
        "colons: and; semicolons & % + = ё 🙂",
        "\u2028 separators \x0b that are no line breaks \x85",
    ],
)
def test_it_carries_any_text_unharmed(smsc_emulator: SmscEmulator, text: str) -> None:
    results = smsc().send("ref1", [Sms(1, PHONES[0], text), Sms(2, PHONES[1], "x")], clock() + 60)
    assert {result.outcome for result in results} == {Outcome.TAKEN}
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert smsc_emulator.accepted == [
        ("ref1", PHONES[0][1:], expected),
        ("ref1", PHONES[1][1:], "x"),
    ]


def test_it_splits_more_than_a_batch_into_requests(smsc_emulator: SmscEmulator) -> None:
    results = send(*(f"+7998{number:05}77" for number in range(1001)))
    assert [result.key for result in results] == list(range(1001))
    assert {result.outcome for result in results} == {Outcome.TAKEN}
    assert len(smsc_emulator.requests) == 2


def test_it_starts_no_request_after_the_deadline(smsc_emulator: SmscEmulator) -> None:
    [result] = smsc().send("ref1", [Sms(1, PHONES[0], "Hello")], clock())
    assert (result.outcome, result.reason) == (Outcome.UNSENT, Reason.UNAVAILABLE)
    assert not smsc_emulator.requests


def test_it_knows_the_fate_of_each_number(smsc_emulator: SmscEmulator) -> None:
    good, bad = send("+79980000111", "+79980000100")
    assert good.outcome == Outcome.TAKEN
    assert (bad.outcome, bad.reason, bad.raw) == (
        Outcome.REFUSED,
        Reason.BAD_PHONE,
        "smsc:err 249",
    )


@pytest.mark.parametrize(
    ("misbehaviour", "outcome", "reason", "accepted"),
    [
        ("unread", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("cut", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("cut-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("reset-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("hang", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("hang-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("slow-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("half-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("drip-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("garbage-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("empty-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("500", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("503-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 2),
        ("404", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("429", Outcome.UNSENT, Reason.BUSY, 0),
        ("error-2", Outcome.UNSENT, Reason.BAD_LOGIN, 0),
        ("error-3", Outcome.UNSENT, Reason.NO_MONEY, 0),
        ("error-4", Outcome.UNSENT, Reason.ADDRESS_BLOCKED, 0),
        ("error-6", Outcome.REFUSED, Reason.TEXT_FORBIDDEN, 0),
        ("error-9-after", Outcome.UNKNOWN, Reason.BUSY, 2),
        ("error-77", Outcome.UNKNOWN, Reason.OTHER, 0),
    ],
)
def test_it_calls_every_misbehaviour_by_its_name(
    smsc_emulator: SmscEmulator, misbehaviour: str, outcome: Outcome, reason: Reason, accepted: int
) -> None:
    smsc_emulator.misbehave(misbehaviour)
    results = send(*PHONES[:2])
    assert [(result.key, result.outcome, result.reason) for result in results] == [
        (0, outcome, reason),
        (1, outcome, reason),
    ]
    assert all(result.raw.startswith("smsc:") for result in results)
    assert len(smsc_emulator.accepted) == accepted


def test_it_takes_a_service_that_is_away_for_unsent(settings: Any) -> None:
    with SmscEmulator() as gone:
        settings.PROVIDER_URLS = {"smsc": gone.url}
    [result] = send(PHONES[0])
    assert (result.outcome, result.reason) == (Outcome.UNSENT, Reason.UNAVAILABLE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "cnt", "phones", "phone", "status", "error", "error_code", "cost"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@trials(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(JSON)
def test_it_has_one_result_for_each_message_whatever_comes_back(body: object) -> None:
    messages = [Sms(key, phone, "Hello") for key, phone in enumerate(PHONES)]
    results = results_of(messages, Answer(200, json.dumps(body)))
    assert [result.key for result in results] == list(range(5))
    for result in results:
        assert len(result.raw) <= 64
        assert len(result.provider_id) <= 64
        assert (result.reason is None) == (result.outcome == Outcome.TAKEN)


@trials(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"))))
def test_it_keeps_the_lines_of_a_list_apart_whatever_the_texts(texts: list[str]) -> None:
    lines = "\n".join(line(Sms(1, f"+799800{n:05}", text)) for n, text in enumerate(texts))
    came = list(recipients_of({"list": lines, "nl": "1"})) if texts else []
    assert came == [(f"799800{n:05}", re.sub("\r\n?", "\n", text)) for n, text in enumerate(texts)]


# --- its books -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5], ids=["by phone", "by sweep"])
def test_it_finds_what_arrived_and_what_never_did(smsc_emulator: SmscEmulator, count: int) -> None:
    smsc_emulator.manner.delay = 3600
    send(*PHONES[: count - 1])
    found = ask(*PHONES[:count])
    assert found.pop(PHONES[count - 1]) == DeliveryStatus.NOT_FOUND
    assert set(found.values()) == {DeliveryStatus.ACCEPTED}


def test_it_reads_fates_from_the_books(smsc_emulator: SmscEmulator) -> None:
    smsc_emulator.manner.delay = 0
    phones = [f"+7998000010{digit}" for digit in range(1, 8)]
    send(*phones)
    since = datetime.now(UTC)
    reports = smsc().look_up([lookup("ref1", *phones, since=since)])
    assert {report.phone[-2:]: (report.status, report.reason) for report in reports} == {
        "01": (DeliveryStatus.UNDELIVERED, Reason.NO_SUCH_NUMBER),
        "02": (DeliveryStatus.UNDELIVERED, Reason.UNREACHABLE),
        "03": (DeliveryStatus.UNDELIVERED, Reason.HANDSET),
        "04": (DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED),
        "05": (DeliveryStatus.EXPIRED, Reason.EXPIRED),
        "06": (DeliveryStatus.ACCEPTED, None),
        "07": (DeliveryStatus.UNDELIVERED, Reason.NO_SMS),
    }
    assert {report.price for report in reports} == {Decimal("2.50")}


def test_it_pages_back_through_a_long_history(smsc_emulator: SmscEmulator) -> None:
    send(*PHONES, reference="first")
    send(*(f"+7998{number:05}77" for number in range(2500)), reference="noise")
    found = ask(*PHONES, "+79980000199", reference="first")
    assert found.pop("+79980000199") == DeliveryStatus.NOT_FOUND
    assert len(found) == 5
    assert len([1 for command, _ in smsc_emulator.requests if command == "get"]) == 4


def test_it_stops_at_rows_older_than_the_question(smsc_emulator: SmscEmulator) -> None:
    send(*(f"+7998{number:05}77" for number in range(1500)), reference="noise")
    for row in smsc_emulator._rows:
        row.sent_at -= 20 * 60
    assert set(ask(*PHONES).values()) == {DeliveryStatus.NOT_FOUND}
    assert len([1 for command, _ in smsc_emulator.requests if command == "get"]) == 1


def test_it_finds_what_a_clock_that_is_slow_wrote_down(smsc_emulator: SmscEmulator) -> None:
    """Their clock may be behind ours: to stop too early would be to send twice."""
    send(*PHONES)
    send(*(f"+7998{number:05}77" for number in range(1000)), reference="noise")
    for row in smsc_emulator._rows:
        row.sent_at -= 5 * 60
    assert set(ask(*PHONES, ago=0).values()) <= {DeliveryStatus.DELIVERED, DeliveryStatus.ACCEPTED}


def test_it_asks_by_the_pair_of_reference_and_phone(smsc_emulator: SmscEmulator) -> None:
    send(PHONES[0], reference="other")
    assert ask(PHONES[0], reference="ref1") == {PHONES[0]: DeliveryStatus.NOT_FOUND}


def test_it_takes_empty_books_for_no_answer(smsc_emulator: SmscEmulator) -> None:
    """They may be of other days or of another login: what shows nothing proves nothing."""
    assert ask(*PHONES) == {}
    assert smsc().look_up([]) == []


def test_it_says_nothing_of_the_rest_when_the_books_were_cut_short(
    smsc_emulator: SmscEmulator,
) -> None:
    send(*(f"+7998{number:05}77" for number in range(1001)), reference="noise")
    send(*PHONES[:2])
    smsc_emulator.plan.commands = frozenset({"get"})
    smsc_emulator.misbehave("", "garbage")
    assert ask(*PHONES) == dict.fromkeys(PHONES[:2], DeliveryStatus.ACCEPTED)


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ("error-2", Reason.BAD_LOGIN),
        ("error-9", Reason.BUSY),
        ("500", Reason.NO_ANSWER),
        ("429", Reason.BUSY),
        ("garbage", Reason.NO_ANSWER),
        ("cut", Reason.NO_ANSWER),
    ],
)
@pytest.mark.parametrize("count", [1, 5], ids=["by phone", "by sweep"])
def test_it_raises_trouble_when_the_books_cannot_be_read(
    smsc_emulator: SmscEmulator, misbehaviour: str, reason: Reason, count: int
) -> None:
    smsc_emulator.plan.commands = frozenset({"get"})
    smsc_emulator.misbehave(misbehaviour)
    with pytest.raises(ProviderError) as trouble:
        ask(*PHONES[:count])
    assert trouble.value.reason == reason


def row(int_id: int, age: int = 0, **more: object) -> dict[str, object]:
    sent_at = int((datetime.now(UTC) - timedelta(seconds=age)).timestamp())
    return {"id": "x", "int_id": str(int_id), "phone": "7", "send_timestamp": sent_at, **more}


@pytest.mark.parametrize(
    ("pages", "complete"),
    [
        ([[row(2), row(1)], []], True),
        ([[row(2), row(1, age=7200)]], True),
        ([[row(1), row(2, age=7200)]], False),  # the other way round
        ([[row(2), row(1)], [row(2), row(1)], []], False),  # the same page again
        ([[{"phone": "7"}], []], False),  # no numbers to go on from
    ],
)
def test_it_believes_only_books_that_lead_back_in_order(
    odd_smsc: Callable[..., None], pages: list[object], complete: bool
) -> None:
    odd_smsc(*pages)
    assert ask(*PHONES) == (dict.fromkeys(PHONES, DeliveryStatus.NOT_FOUND) if complete else {})


def test_it_does_not_take_odd_rows_for_empty_books(odd_smsc: Callable[..., None]) -> None:
    odd_smsc(["what?"])
    with pytest.raises(ProviderError):
        ask(*PHONES)


@pytest.fixture
def odd_smsc(smsc_emulator: SmscEmulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The emulator answers get.php with these pages, whatever is asked."""

    def answer_with(*pages: object) -> None:
        left = list(pages)
        monkeypatch.setattr(smsc_emulator, "_history", lambda _fields: left.pop(0))

    return answer_with


# --- balance, cancelling, the form -----------------------------------------------------------


def test_it_reads_the_balance(smsc_emulator: SmscEmulator) -> None:
    assert smsc().balance().amount == Decimal(1_000_000)
    assert smsc().balance().currency == "RUB"


def test_it_says_why_there_is_no_balance(smsc_emulator: SmscEmulator) -> None:
    with pytest.raises(ProviderError) as trouble:
        smsc(login="school", password="wrong").balance()
    assert (trouble.value.reason, trouble.value.raw) == (Reason.BAD_LOGIN, "smsc:error 2")


@pytest.mark.parametrize("count", [1, 3])
def test_it_takes_back_what_has_no_final_status(smsc_emulator: SmscEmulator, count: int) -> None:
    smsc_emulator.manner.delay = 3600
    send(*PHONES[:count])
    smsc_emulator._rows[0].final_at = 0
    gone = smsc().cancel("ref1", [LookupItem(phone) for phone in PHONES[:count]])
    assert gone == [
        DeliveryReport("ref1", phone, DeliveryStatus.CANCELLED) for phone in PHONES[1:count]
    ]


@pytest.mark.parametrize(
    ("values", "fine"),
    [
        ({"login": "a", "password": "b"}, True),
        ({"apikey": "c"}, True),
        ({"login": "a"}, False),
        ({"password": "b"}, False),
        ({}, False),
    ],
)
def test_it_asks_for_login_and_password_or_a_key(values: dict[str, str], fine: bool) -> None:
    assert (Smsc.credentials_error(values) == "") is fine


@pytest.mark.parametrize(
    ("sender", "fine"),
    [
        ("", True),
        ("School", True),
        ("My school 5", True),
        ("79980000001", True),
        ("123456789012345", True),
        ("TwelveLetter", False),
        ("Школа", False),
        ("1234567890123456", False),
        ("a|b", False),
        ("a\nb", False),
        ("School\n", False),
    ],
)
def test_it_checks_the_sender_name(sender: str, fine: bool) -> None:
    assert (Smsc.check_sender(sender) == "") is fine


def test_it_goes_to_the_site_of_the_account_and_nowhere_else(settings: Any) -> None:
    settings.PROVIDER_URLS = {"smsc": ""}
    assert smsc(host="smsc.kz").api.address == "https://smsc.kz"
    assert smsc(host="").api.address == "https://smsc.ru"
    assert smsc(host="example.com").api.address == "https://smsc.ru"


# --- what comes to our webhook ------------------------------------------------------------------


def note(fields: dict[str, str], *, charset: str = "utf-8", query: str = "") -> WebhookPayload:
    return WebhookPayload({}, query, urlencode(fields, encoding=charset))


def signed(
    fields: dict[str, str], what: str, method: str = "md5", charset: str = "utf-8"
) -> dict[str, str]:
    return fields | {method: hashlib.new(method, what.encode(charset)).hexdigest()}


CALL = {"id": "ref1", "phone": "79980000111", "status": "1", "err": "0", "ts": "1769929872"}


@pytest.mark.parametrize("method", ["md5", "sha1"])
def test_it_checks_the_value_of_a_call(method: str) -> None:
    checking = smsc(**LOGIN, callback_secret="word")
    right = signed(CALL, "ref1:79980000111:1:word", method)
    assert checking.check_note(note(right))
    assert not checking.check_note(note(right | {"status": "20"}))
    assert not checking.check_note(note(signed(CALL, "ref1:79980000111:1:other", method)))
    assert not checking.check_note(note(CALL))
    assert not checking.check_note(note(CALL | {method: "ы"}))
    assert not checking.check_note(WebhookPayload({}, "", "{"))
    assert smsc().check_note(note(CALL))  # no secret word: the address is the secret


def test_it_checks_a_reply_in_the_charset_it_came_in() -> None:
    checking = smsc(**LOGIN, callback_secret="word")
    fields = {"phone": "79980000111", "mes": "Стоп", "to": "79980000999"}
    fields = signed(fields, "79980000111:Стоп:79980000999:word", charset="cp1251")
    came = note(fields, charset="cp1251")
    assert checking.check_note(came)
    assert checking.read_replies(came) == [InboundSms("+79980000111", "Стоп")]
    assert checking.read_receipts(came) == []


@pytest.mark.parametrize(
    "came",
    [
        note(CALL),
        note(CALL, query="charset=utf-8&md5=1"),
        WebhookPayload({}, urlencode(CALL), ""),
        WebhookPayload({}, "", '{"id": "ref1", "phone": 79980000111, "status": 1, "err": "0"}'),
    ],
    ids=["form", "form with options", "query", "json"],
)
def test_it_reads_a_receipt_however_it_is_written(came: WebhookPayload) -> None:
    assert smsc().read_receipts(came) == [
        DeliveryReport("ref1", "+79980000111", DeliveryStatus.DELIVERED)
    ]
    assert smsc().read_replies(came) == []


def test_it_reads_when_a_person_wrote_back() -> None:
    fields = {"phone": "79980000111", "mes": "Stop", "to": "79980000999"}
    [reply] = smsc().read_replies(note(fields | {"ts": "1769929872"}))
    assert reply.at == datetime(2026, 2, 1, 7, 11, 12, tzinfo=UTC)
    [reply] = smsc().read_replies(note(fields | {"ts": "999999999999"}))
    assert reply.at is None


def test_it_reads_why_a_message_did_not_arrive() -> None:
    [report] = smsc().read_receipts(note(CALL | {"status": "20", "err": "6"}))
    assert (report.status, report.reason, report.raw) == (
        DeliveryStatus.UNDELIVERED,
        Reason.UNREACHABLE,
        "smsc:err 6",
    )


@pytest.mark.parametrize(
    "came",
    [
        WebhookPayload({}, "", ""),
        WebhookPayload({}, "charset=utf-8&md5=1", ""),
        WebhookPayload({}, "", "{"),
        WebhookPayload({}, "", "{}"),
        WebhookPayload({}, "", '{"a":' * 100_000),
        WebhookPayload({}, "", "%98"),
        note(CALL | {"status": "-3"}),
        note(CALL | {"status": "99"}),
        note(CALL | {"id": ""}),
        note(CALL | {"phone": ""}),
    ],
)
def test_it_refuses_to_read_what_is_no_receipt(came: WebhookPayload) -> None:
    with pytest.raises(ValueError, match=r".*"):
        smsc().read_receipts(came)
    assert smsc().read_replies(came) == []


# --- its codes -------------------------------------------------------------------------------


def test_it_knows_every_code_of_the_documents() -> None:
    assert set(codes.ERRORS) == set(range(1, 10))
    assert set(codes.STATUSES) == {-2, -1, 0, 1, 2, 3, 4, 20, 22, 23, 24, 25}
    assert set(codes.ERRS) == {
        *(1, 6, 11, 12, 13, 21, 200, 219, 220),
        *range(237, 256),
    }


@pytest.mark.parametrize(
    ("status", "err", "expected"),
    [
        (1, 0, (DeliveryStatus.DELIVERED, None)),
        (1, 6, (DeliveryStatus.DELIVERED, None)),  # an earlier try failed
        (4, None, (DeliveryStatus.DELIVERED, None)),
        (0, 0, (DeliveryStatus.ACCEPTED, None)),
        (3, 0, (DeliveryStatus.EXPIRED, Reason.EXPIRED)),
        (20, 0, (DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED)),
        (20, 1, (DeliveryStatus.UNDELIVERED, Reason.NO_SUCH_NUMBER)),
        (23, 254, (DeliveryStatus.UNDELIVERED, Reason.SENDER_FORBIDDEN)),
        (25, 7777, (DeliveryStatus.UNDELIVERED, Reason.OTHER)),
        (-3, 0, None),
        (5, 0, None),
    ],
)
def test_it_translates_status_and_err(status: int, err: int | None, expected: object) -> None:
    assert codes.meaning(status, err) == expected


def test_a_time_of_sending_goes_with_its_own_request(smsc_emulator: SmscEmulator) -> None:
    later = datetime(2026, 12, 1, 9, tzinfo=UTC)
    messages = [
        Sms(1, "+79980000011", "now"),
        Sms(2, "+79980000012", "later", later),
        Sms(3, "+79980000013", "later", later),
    ]
    results = smsc().send("ref1", messages, clock() + 60)
    assert [result.outcome for result in results] == [Outcome.TAKEN] * 3
    (_, first), (_, second) = smsc_emulator.requests
    assert "time" not in first
    assert second["time"] == f"0{int(later.timestamp())}"
    assert len(second["list"].splitlines()) == 2


def test_it_takes_a_time_up_to_a_week_ahead() -> None:
    now = datetime.now(UTC)
    assert smsc().can_schedule(now + timedelta(hours=3))
    assert not smsc().can_schedule(now)
    assert not smsc().can_schedule(now + timedelta(days=8))


@pytest.mark.parametrize(
    ("minutes", "ahead", "valid"),
    [
        (90, 0, "01:30"),
        (90, 60, "01:30"),  # counted from the time set
        (24 * 60, 0, "24:00"),
        (7 * 24 * 60, 0, "24:00"),  # no longer than it takes
        (30, 0, "01:00"),  # and no shorter
    ],
)
def test_a_lifetime_is_told_as_it_takes_it(
    smsc_emulator: SmscEmulator, minutes: int, ahead: int, valid: str
) -> None:
    now = datetime.now(UTC)
    at = now + timedelta(minutes=ahead) if ahead else None
    until = (at or now) + timedelta(minutes=minutes, seconds=10)
    (result,) = smsc().send("ref1", [Sms(1, PHONES[0], "Hello", at, until)], clock() + 60)
    assert result.outcome == Outcome.TAKEN
    assert smsc_emulator.journal.entries[-1]["valid"] == valid


@pytest.mark.parametrize("wrong", ["error-9", "error-2", "503", "garbage"])
def test_a_cancellation_that_was_not_heard_is_no_answer(
    smsc_emulator: SmscEmulator, wrong: str
) -> None:
    send(*PHONES[:2])
    smsc_emulator.plan.commands = frozenset({"status"})
    smsc_emulator.plan.next.append(wrong)
    with pytest.raises(ProviderError):
        smsc().cancel("ref1", [LookupItem(phone) for phone in PHONES[:2]])
