"""The Twilio adapter against the emulator: real HTTP, every outcome, its books, its callbacks."""

import json
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.utils.functional import Promise
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

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
    Witness,
)
from integrations.providers.transport import Answer
from integrations.providers.twilio import codes
from integrations.providers.twilio.answers import parsed, report_of, result_of
from integrations.providers.twilio.matching import same_text
from integrations.providers.twilio.service import BURST, Twilio
from integrations.reasons import Reason
from integrations.settings_pages.forms import AccountForm
from smsmail.uptime import clock
from tests.emulators.twilio import KEY, KEY_SECRET, TOKEN, TwilioEmulator
from tests.emulators.twilio_rows import ACCOUNT, SERVICE, Row, as_json, told

LOGIN = {"account_sid": ACCOUNT, "auth_token": TOKEN}
WEBHOOK = "https://sms.example.com/hooks/twilio/made-up-key/"
PHONES = tuple(f"+7998000011{number}" for number in range(5))


@pytest.fixture(autouse=True)
def short_waits(settings: Any) -> None:
    settings.READ_TIMEOUT = 1
    settings.CURRENCY = "USD"


def twilio(sender: str = "School", webhook: str = "", **values: str) -> Twilio:
    return Twilio(Credentials(LOGIN | values, sender), webhook)


def send(
    *phones: str, text: str = "Hello", reference: str = "ref1", adapter: Twilio | None = None
) -> list[SendResult]:
    messages = [Sms(key, phone, text) for key, phone in enumerate(phones)]
    return (adapter or twilio()).send(reference, messages, clock() + 60)


def asked(*rows: LookupItem, reference: str = "ref1", ago: float = 3600) -> LookupRequest:
    return LookupRequest(reference, rows, datetime.now(UTC) - timedelta(seconds=ago))


def statuses(*lookups: LookupRequest) -> dict[tuple[str, str], DeliveryStatus]:
    return {(report.reference, report.phone): report.status for report in twilio().look_up(lookups)}


# --- sending ---------------------------------------------------------------------------------


def test_it_makes_a_request_for_each_message(twilio_emulator: TwilioEmulator) -> None:
    results = send(*PHONES, adapter=twilio(webhook=WEBHOOK))
    sids = [entry["sid"] for entry in twilio_emulator.journal.entries]
    assert [result.key for result in results] == list(range(5))
    assert {result.outcome for result in results} == {Outcome.TAKEN}
    assert sorted(result.provider_id for result in results) == sorted(sids)
    assert {result.price for result in results} == {None}
    assert sorted(fields["To"] for _command, fields in twilio_emulator.requests) == list(PHONES)
    assert {
        (fields["From"], fields["Body"], fields["StatusCallback"])
        for _command, fields in twilio_emulator.requests
    } == {("School", "Hello", f"{WEBHOOK}?ref=ref1#rc=3&rp=all")}


def test_each_result_is_of_its_own_message(twilio_emulator: TwilioEmulator) -> None:
    phones = [f"+7998{number:05}77" for number in range(60)]
    sids = {entry["to"]: entry["sid"] for entry in twilio_emulator.journal.entries}
    results = send(*phones)
    sids = {entry["to"]: entry["sid"] for entry in twilio_emulator.journal.entries}
    assert [result.provider_id for result in results] == [sids[phone] for phone in phones]


def test_it_sends_in_a_burst_and_leaves_no_threads(twilio_emulator: TwilioEmulator) -> None:
    before = {thread.name for thread in threading.enumerate()}
    twilio_emulator.plan.share, twilio_emulator.plan.among = 1, ("slow-after",)
    twilio_emulator.plan.slow = 0.4
    began = clock()
    results = send(*(f"+7998{number:05}77" for number in range(40)))
    assert {result.outcome for result in results} == {Outcome.TAKEN}
    assert 0.8 <= clock() - began < 4  # twenty at once; one by one it would be sixteen seconds
    left = {thread.name for thread in threading.enumerate()} - before
    assert not [name for name in left if name.startswith("twilio")]


def test_it_may_leave_the_sender_to_a_service(twilio_emulator: TwilioEmulator) -> None:
    [result] = send(PHONES[0], adapter=twilio("", messaging_service_sid=SERVICE))
    assert result.outcome == Outcome.TAKEN
    [(_, fields)] = twilio_emulator.requests
    assert fields == {"To": PHONES[0], "Body": "Hello", "MessagingServiceSid": SERVICE}


def test_it_sends_with_an_api_key(twilio_emulator: TwilioEmulator) -> None:
    good = twilio(auth_token="of receipts only", api_key_sid=KEY, api_key_secret=KEY_SECRET)
    assert send(PHONES[0], adapter=good)[0].outcome == Outcome.TAKEN
    bad = twilio(api_key_sid=KEY, api_key_secret="wrong")
    assert send(PHONES[0], adapter=bad)[0].reason == Reason.BAD_LOGIN


@pytest.mark.parametrize(
    "text", ["Привет, Мария! Урок в 10:00", "two\nlines", "& % + = ё 🙂", " spaces around "]
)
def test_it_carries_any_text_unharmed(twilio_emulator: TwilioEmulator, text: str) -> None:
    send(PHONES[0], text=text)
    assert twilio_emulator.accepted == [("", PHONES[0][1:], text)]


def test_it_starts_no_request_after_the_deadline(twilio_emulator: TwilioEmulator) -> None:
    results = twilio().send("ref1", [Sms(1, PHONES[0], "Hello")], clock())
    assert [(v.outcome, v.reason) for v in results] == [(Outcome.UNSENT, Reason.UNAVAILABLE)]
    assert not twilio_emulator.requests


def test_it_starts_none_of_the_waiting_ones_either(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.misbehave(*["slow-after"] * BURST)
    twilio_emulator.plan.slow = 0.8
    messages = [Sms(n, f"+7998{n:05}77", "Hello") for n in range(BURST + 10)]
    results = twilio().send("ref1", messages, clock() + 0.5)
    assert [v.outcome for v in results] == [Outcome.TAKEN] * BURST + [Outcome.UNSENT] * 10
    assert len(twilio_emulator.accepted) == BURST


def test_it_knows_the_fate_of_each_number(twilio_emulator: TwilioEmulator) -> None:
    results = send("+79980000111", "+79980000100", "+79980000107", "+79980000108")
    assert [(v.outcome, v.reason, v.raw) for v in results] == [
        (Outcome.TAKEN, None, ""),
        (Outcome.REFUSED, Reason.BAD_PHONE, "twilio:21211"),
        (Outcome.REFUSED, Reason.NO_SMS, "twilio:21614"),
        (Outcome.REFUSED, Reason.OPTED_OUT, "twilio:21610"),
    ]


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
        ("error-20503-after", Outcome.UNKNOWN, Reason.NO_ANSWER, 1),
        ("404", Outcome.UNKNOWN, Reason.NO_ANSWER, 0),
        ("429", Outcome.UNSENT, Reason.BUSY, 0),
        ("401", Outcome.UNSENT, Reason.BAD_LOGIN, 0),
        ("error-20003", Outcome.UNSENT, Reason.BAD_LOGIN, 0),
        ("error-20005", Outcome.UNSENT, Reason.NO_MONEY, 0),
        ("error-20429", Outcome.UNSENT, Reason.BUSY, 0),
        ("error-21606", Outcome.UNSENT, Reason.SENDER_FORBIDDEN, 0),
        ("error-21408", Outcome.REFUSED, Reason.NO_ROUTE, 0),
        ("error-29999", Outcome.REFUSED, Reason.OTHER, 0),
    ],
)
def test_it_calls_every_misbehaviour_by_its_name(
    twilio_emulator: TwilioEmulator,
    misbehaviour: str,
    outcome: Outcome,
    reason: Reason,
    accepted: int,
) -> None:
    twilio_emulator.misbehave(misbehaviour)
    [result] = send(PHONES[0])
    assert (result.outcome, result.reason) == (outcome, reason)
    assert result.raw.startswith("twilio:")
    assert len(twilio_emulator.accepted) == accepted


def test_it_takes_a_service_that_is_away_for_unsent(settings: Any) -> None:
    with TwilioEmulator() as gone:
        settings.PROVIDER_URLS = {"twilio": gone.url}
    results = send(*PHONES)
    assert {(v.outcome, v.reason) for v in results} == {(Outcome.UNSENT, Reason.UNAVAILABLE)}


def test_it_gives_up_the_rest_of_a_batch_when_told_to_go_slower(
    twilio_emulator: TwilioEmulator,
) -> None:
    twilio_emulator.plan.share, twilio_emulator.plan.among = 1, ("error-20429-after",)
    results = send(*(f"+7998{number:05}77" for number in range(100)))
    assert {(v.outcome, v.reason, v.raw) for v in results} == {
        (Outcome.UNSENT, Reason.BUSY, "twilio:20429")
    }
    assert len(results) == 100
    assert len(twilio_emulator.accepted) <= 2 * BURST


def test_one_bad_number_does_not_keep_the_others_from_being_sent(
    twilio_emulator: TwilioEmulator,
) -> None:
    phones = ["+79980000100", *(f"+7998{number:05}77" for number in range(99))]
    results = send(*phones)
    assert [v.outcome for v in results] == [Outcome.REFUSED] + [Outcome.TAKEN] * 99


def test_one_unknown_does_not_keep_the_others_from_being_sent(
    twilio_emulator: TwilioEmulator,
) -> None:
    twilio_emulator.misbehave("cut-after")
    results = send(*(f"+7998{number:05}77" for number in range(50)))
    assert sorted(v.outcome for v in results) == [Outcome.TAKEN] * 49 + [Outcome.UNKNOWN]
    assert len(twilio_emulator.accepted) == 50


def test_nothing_personal_gets_into_the_log(
    twilio_emulator: TwilioEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        [result] = send(PHONES[0], text="a private text")
        known = LookupItem(PHONES[0], "a private text", result.provider_id)
        twilio().look_up([asked(known, LookupItem(PHONES[1], "a private text"))])
        twilio().cancel("ref1", [known])
        twilio().balance()
    assert "ref1" in caplog.text
    for word in (PHONES[0][1:], PHONES[1][1:], "private", ACCOUNT, TOKEN):
        assert word not in caplog.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["sid", "status", "code", "error_code", "price", "price_unit"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)


@trials(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(JSON, st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 429, 500]))
def test_it_has_a_result_whatever_comes_back(body: object, status: int) -> None:
    answer = Answer(status, json.dumps(body))
    result = result_of(Sms(7, PHONES[0], "Hello"), answer)
    assert result.key == 7
    assert len(result.raw) <= 64
    assert len(result.provider_id) <= 64
    assert (result.reason is None) == (result.outcome == Outcome.TAKEN)
    assert result.outcome != Outcome.TAKEN or status in (200, 201)
    report_of("ref1", PHONES[0], parsed(answer))


# --- its books -------------------------------------------------------------------------------


def test_it_asks_by_the_id_where_it_knows_one(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.manner.delay = 0
    phones = [f"+7998000010{digit}" for digit in range(1, 7)]
    sids = [result.provider_id for result in send(*phones)]
    rows = [LookupItem(phone, "", sid) for phone, sid in zip(phones, sids, strict=True)]
    reports = twilio().look_up([asked(*rows)])
    assert {r.phone[-2:]: (r.status, r.reason, r.raw) for r in reports} == {
        "01": (DeliveryStatus.UNDELIVERED, Reason.NO_SUCH_NUMBER, "twilio:30005"),
        "02": (DeliveryStatus.UNDELIVERED, Reason.UNREACHABLE, "twilio:30003"),
        "03": (DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED, "twilio:30008"),
        "04": (DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED, "twilio:30004"),
        "05": (DeliveryStatus.EXPIRED, Reason.EXPIRED, "twilio:30036"),
        "06": (DeliveryStatus.ACCEPTED, None, ""),
    }
    assert [report.provider_id for report in reports] == sids
    assert {report.price for report in reports} == {Decimal("0.0075")}
    assert {command for command, _ in twilio_emulator.requests} == {"send", "fetch"}


def test_a_price_in_another_currency_is_no_price(
    twilio_emulator: TwilioEmulator, settings: Any
) -> None:
    settings.CURRENCY = "RUB"
    twilio_emulator.manner.delay = 0
    [result] = send(PHONES[0])
    [report] = twilio().look_up([asked(LookupItem(PHONES[0], "", result.provider_id))])
    assert (report.status, report.price) == (DeliveryStatus.DELIVERED, None)


def test_it_finds_what_arrived_and_what_never_did_by_text(
    twilio_emulator: TwilioEmulator,
) -> None:
    twilio_emulator.manner.delay = 3600
    send(PHONES[0], text="Привет")
    send(PHONES[1], text="something else")
    [result] = send(PHONES[2], text="Привет")
    found = twilio().look_up([asked(*(LookupItem(phone, "Привет") for phone in PHONES[:4]))])
    assert {report.phone: (report.status, report.provider_id) for report in found} == {
        PHONES[0]: (DeliveryStatus.ACCEPTED, twilio_emulator.journal.entries[0]["sid"]),
        PHONES[1]: (DeliveryStatus.NOT_FOUND, ""),
        PHONES[2]: (DeliveryStatus.ACCEPTED, result.provider_id),
        PHONES[3]: (DeliveryStatus.NOT_FOUND, ""),
    }


def test_it_does_not_say_never_before_time_has_passed(
    twilio_emulator: TwilioEmulator, settings: Any
) -> None:
    """The request may still be on its way: the first look is early."""
    settings.LOOK_UP_AFTER = 600
    send(PHONES[0])
    rows = LookupItem(PHONES[0], "Hello"), LookupItem(PHONES[1], "Hello")
    assert set(statuses(asked(*rows, ago=590))) == {("ref1", PHONES[0])}
    assert set(statuses(asked(*rows, ago=610))) == {("ref1", PHONES[0]), ("ref1", PHONES[1])}


def test_one_message_answers_for_neither_of_two(twilio_emulator: TwilioEmulator) -> None:
    """The same text to the same phone in two mailings, and only one of them arrived: nobody knows which."""
    send(PHONES[0])
    one, other = LookupItem(PHONES[0], "Hello"), LookupItem(PHONES[0], "Hello")
    both = asked(one, reference="ref1"), asked(other, reference="ref2")
    assert statuses(*both) == {}
    send(PHONES[0])
    assert set(statuses(*both).values()) == {DeliveryStatus.ACCEPTED}
    sids = {report.provider_id for report in twilio().look_up(both)}
    assert sids == {entry["sid"] for entry in twilio_emulator.journal.entries}


def test_a_message_known_by_its_id_answers_for_no_other(twilio_emulator: TwilioEmulator) -> None:
    [result] = send(PHONES[0])
    known, unknown = (
        LookupItem(PHONES[0], "Hello", result.provider_id),
        LookupItem(PHONES[0], "Hello"),
    )
    assert statuses(asked(known, reference="ref1"), asked(unknown, reference="ref2")) == {
        ("ref1", PHONES[0]): DeliveryStatus.ACCEPTED,
        ("ref2", PHONES[0]): DeliveryStatus.NOT_FOUND,
    }


@pytest.mark.parametrize(("minutes", "told"), [(5, [DeliveryStatus.DELIVERED]), (15, [])])
def test_an_earlier_message_is_ours_but_for_clocks_that_differ(
    twilio_emulator: TwilioEmulator, minutes: int, told: list[DeliveryStatus]
) -> None:
    """And when they may differ by more, it proves nothing."""
    send(PHONES[0])
    for row in twilio_emulator._rows.values():
        row.created_at -= 3600 + minutes * 60
        row.final_at -= 7200
    assert list(statuses(asked(LookupItem(PHONES[0], "Hello"))).values()) == told


def test_what_is_older_than_an_earlier_witness_is_another(twilio_emulator: TwilioEmulator) -> None:
    send(PHONES[0])
    for row in twilio_emulator._rows.values():
        row.created_at -= 3600 + 15 * 60
    [known] = send(PHONES[1])
    before = datetime.now(UTC) - timedelta(hours=2)
    witness = Witness("ref0", PHONES[1], before, known.provider_id)
    lookup = replace(asked(LookupItem(PHONES[0], "Hello")), witness=witness)
    assert statuses(lookup) == {
        ("ref0", PHONES[1]): DeliveryStatus.ACCEPTED,
        ("ref1", PHONES[0]): DeliveryStatus.NOT_FOUND,
    }


def test_what_others_sent_or_people_wrote_is_not_ours(
    twilio_emulator: TwilioEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inbound(row: Row, now: float) -> dict[str, Any]:
        return told(row, now) | {"direction": "inbound"}

    send(PHONES[0])
    monkeypatch.setattr("tests.emulators.twilio.told", inbound)
    assert statuses(asked(LookupItem(PHONES[0], "Hello"))) == {
        ("ref1", PHONES[0]): DeliveryStatus.NOT_FOUND
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("«Hello» — it’s me", '"Hello" - it\'s me', True),  # Smart Encoding
        ("Hello\nworld", "Hello world", True),
        ("Hello", "", True),  # deleted from the books
        ("Hello", "Hello 2", False),
        ("Hello 1", "Hello 2", False),
        ("Урок в 10", "Урок в 11", False),
    ],
)
def test_it_knows_its_text_again(ours: str, theirs: str, same: bool) -> None:
    assert same_text(ours, theirs) is same


def test_it_reads_all_pages_of_a_phone(
    twilio_emulator: TwilioEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.providers.twilio.api.PAGE", 2)
    twilio_emulator.manner.delay = 3600
    send(PHONES[0], text="the first")
    for number in range(4):
        send(PHONES[0], text=f"noise {number}")
    row = LookupItem(PHONES[0], "the first")
    assert statuses(asked(row)) == {("ref1", PHONES[0]): DeliveryStatus.ACCEPTED}
    assert [command for command, _ in twilio_emulator.requests].count("list") == 3

    monkeypatch.setattr("integrations.providers.twilio.lookup.PAGES", 2)
    with pytest.raises(ProviderError):  # cut short, it proves nothing
        twilio().look_up([asked(LookupItem(PHONES[0], "never sent"))])


def test_it_says_nothing_of_what_it_could_not_read(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.manner.delay = 3600
    [first, second] = [result.provider_id for result in send(*PHONES[:2])]
    twilio_emulator.plan.commands = frozenset({"list"})
    twilio_emulator.misbehave("garbage")
    rows = (
        LookupItem(PHONES[0], "", first),
        LookupItem(PHONES[1], "", second),
        LookupItem(PHONES[2], "Hello"),
    )
    assert statuses(asked(*rows)) == {
        ("ref1", PHONES[0]): DeliveryStatus.ACCEPTED,
        ("ref1", PHONES[1]): DeliveryStatus.ACCEPTED,
    }
    assert statuses() == {}


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ("error-20003", Reason.BAD_LOGIN),
        ("429", Reason.BUSY),
        ("500", Reason.NO_ANSWER),
        ("garbage", Reason.NO_ANSWER),
        ("empty", Reason.NO_ANSWER),
        ("cut", Reason.NO_ANSWER),
        ("half", Reason.NO_ANSWER),
        ("hang", Reason.NO_ANSWER),
    ],
)
@pytest.mark.parametrize("sid", ["", "SM" + "0" * 32], ids=["by phone", "by id"])
def test_it_raises_trouble_when_the_books_cannot_be_read(
    twilio_emulator: TwilioEmulator, misbehaviour: str, reason: Reason, sid: str
) -> None:
    twilio_emulator.plan.commands = frozenset({"list", "fetch"})
    twilio_emulator.misbehave(misbehaviour)
    with pytest.raises(ProviderError) as trouble:
        twilio().look_up([asked(LookupItem(PHONES[0], "Hello", sid))])
    assert trouble.value.reason == reason


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ({}, 200),
        ({"messages": None}, 200),
        ({"messages": ["what?"], "next_page_uri": None}, 200),
        ({"messages": [{"direction": "outbound-api"}], "next_page_uri": None}, 200),
        ({"messages": [], "next_page_uri": ".example.com/elsewhere"}, 200),
        ({"messages": [], "next_page_uri": 5}, 200),
        ({"messages": [], "next_page_uri": None}, 503),
    ],
)
def test_it_does_not_take_odd_pages_for_empty_books(
    twilio_emulator: TwilioEmulator, monkeypatch: pytest.MonkeyPatch, page: object, status: int
) -> None:
    monkeypatch.setattr(twilio_emulator, "_list", lambda _fields: as_json(page, status))
    with pytest.raises(ProviderError):
        twilio().look_up([asked(LookupItem(PHONES[0], "Hello"))])


# --- balance, cancelling, the form -----------------------------------------------------------


def test_it_reads_the_balance(twilio_emulator: TwilioEmulator) -> None:
    assert twilio().balance().amount == Decimal(1_000_000)
    assert twilio().balance().currency == "USD"


def test_it_says_why_there_is_no_balance(twilio_emulator: TwilioEmulator) -> None:
    with pytest.raises(ProviderError) as trouble:
        twilio(auth_token="wrong").balance()
    assert (trouble.value.reason, trouble.value.raw) == (Reason.BAD_LOGIN, "twilio:20003")


def test_it_takes_back_what_is_only_scheduled(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.manner.delay = 3600
    sids = [result.provider_id for result in send(*PHONES[:2])]
    kept = twilio_emulator._rows[sids[1]]
    kept.scheduled, kept.sent_at = True, kept.created_at + 3600
    rows = [
        LookupItem(PHONES[0], "", sids[0]),
        LookupItem(PHONES[1], "", sids[1]),
        LookupItem(PHONES[2]),
    ]
    assert twilio().cancel("ref1", rows) == [
        DeliveryReport("ref1", PHONES[1], DeliveryStatus.CANCELLED, provider_id=sids[1])
    ]
    assert twilio_emulator._rows[sids[1]].canceled


def test_a_cancellation_that_was_not_heard_is_no_answer(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.plan.commands = frozenset({"cancel"})
    twilio_emulator.plan.next.append("503")
    with pytest.raises(ProviderError):
        twilio().cancel("ref1", [LookupItem(PHONES[0], "", "SM1")])


@pytest.mark.parametrize(
    ("minutes", "seconds"), [(90, 5400), (0.2, 60), (7 * 24 * 60, 36000)], ids=str
)
def test_a_lifetime_is_told_as_it_takes_it(
    twilio_emulator: TwilioEmulator, minutes: float, seconds: int
) -> None:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    twilio().send("ref1", [Sms(1, PHONES[0], "Hello", None, until)], clock() + 60)
    told = int(twilio_emulator.journal.entries[-1]["validity"])
    assert seconds - 5 <= told <= seconds


def test_with_a_messaging_service_it_schedules_and_takes_back(
    twilio_emulator: TwilioEmulator,
) -> None:
    adapter = twilio(sender="", messaging_service_sid=SERVICE)
    at = datetime.now(UTC) + timedelta(hours=3)
    assert adapter.can_schedule(at)
    [result] = adapter.send("ref1", [Sms(1, PHONES[0], "Hello", at)], clock() + 60)
    assert result.outcome == Outcome.TAKEN
    row = twilio_emulator._rows[result.provider_id]
    assert row.scheduled
    [gone] = adapter.cancel("ref1", [LookupItem(PHONES[0], "", result.provider_id)])
    assert gone.status == DeliveryStatus.CANCELLED
    assert row.canceled


@pytest.mark.parametrize(
    ("service", "ahead", "can"),
    [
        (SERVICE, timedelta(hours=3), True),
        (SERVICE, timedelta(minutes=4), False),
        (SERVICE, timedelta(days=36), False),
        ("", timedelta(hours=3), False),
    ],
)
def test_it_says_when_it_can_schedule(service: str, ahead: timedelta, can: bool) -> None:
    adapter = twilio(messaging_service_sid=service)
    assert adapter.can_schedule(datetime.now(UTC) + ahead) is can


def test_it_does_not_take_any_answer_for_taken_back(
    twilio_emulator: TwilioEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_emulator, "_cancel", lambda _fields: as_json({"status": "sent"}))
    assert twilio().cancel("ref1", [LookupItem(PHONES[0], "", "SM1")]) == []


@pytest.mark.parametrize(
    ("values", "fine"),
    [
        ({"sender": "School"}, True),
        ({"messaging_service_sid": SERVICE}, True),
        ({"sender": "School", "messaging_service_sid": SERVICE}, True),
        ({}, False),
        ({"sender": "School", "api_key_sid": KEY, "api_key_secret": "x"}, True),
        ({"sender": "School", "api_key_sid": KEY}, False),
        ({"sender": "School", "api_key_secret": "x"}, False),
    ],
)
def test_it_asks_for_a_sender_or_a_service(values: dict[str, str], fine: bool) -> None:
    assert (Twilio.credentials_error(LOGIN | values) == "") is fine
    data = LOGIN | values | {"price": "1"}
    assert AccountForm(data, provider=Twilio, account=None).is_valid() is fine


@pytest.mark.parametrize("account", ["", "AC1", "SK" + "0" * 32, ACCOUNT + "0", "AC" + "x" * 32])
def test_it_asks_for_sids_that_look_like_sids(account: str) -> None:
    data = LOGIN | {"sender": "School", "price": "1", "account_sid": account}
    form = AccountForm(data, provider=Twilio, account=None)
    assert set(form.errors) == {"account_sid"}
    if 0 < len(account) <= 34:
        assert "AC" in form.errors["account_sid"][0]


def test_its_words_follow_the_language_of_the_reader() -> None:
    wrong = Twilio.fields["account_sid"].error_messages["invalid"]
    assert isinstance(wrong, Promise)


@pytest.mark.parametrize(
    ("sender", "fine"),
    [
        ("", True),
        ("School", True),
        ("My school 5", True),
        ("5 o clock", True),
        ("+79980000001", True),
        ("79980", True),
        ("79980000001", False),
        ("+0", False),
        ("12 34", False),
        ("TwelveLetter", False),
        ("Школа", False),
        ("My-school", False),
        ("School\n", False),
    ],
)
def test_it_checks_the_sender(sender: str, fine: bool) -> None:
    assert (Twilio.check_sender(sender) == "") is fine


def test_it_goes_to_twilio_unless_told_otherwise(settings: Any) -> None:
    settings.PROVIDER_URLS = {"twilio": ""}
    assert twilio().api.address == "https://api.twilio.com"


# --- what comes to our webhook ------------------------------------------------------------------

URL = f"{WEBHOOK}?ref=ref1"
CALL = {
    "SmsSid": "SM1",
    "SmsStatus": "delivered",
    "MessageStatus": "delivered",
    "To": "+79980000111",
    "MessageSid": "SM1",
    "AccountSid": ACCOUNT,
    "From": "School",
    "ApiVersion": "2010-04-01",
}


def note(fields: dict[str, str], url: str = URL, signature: str = "") -> WebhookPayload:
    query = url.partition("?")[2]
    return WebhookPayload({"x-twilio-signature": signature}, query, urlencode(fields), url)


def test_it_checks_the_signature_as_the_official_vector_shows() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
        "Caller": "+14158675309",
    }
    url, signature = "https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    checking = twilio(auth_token="12345")
    assert checking.check_note(note(fields, url, signature))
    assert not checking.check_note(note(fields | {"Digits": "1235"}, url, signature))
    assert not checking.check_note(note(fields | {"More": ""}, url, signature))
    assert not checking.check_note(note(fields, f"{url}3", signature))
    assert not checking.check_note(note(fields, url, signature[::-1]))
    assert not checking.check_note(note(fields, url, ""))
    assert not checking.check_note(note(fields, url, "ы"))
    assert not checking.check_note(WebhookPayload({}, "", urlencode(fields), url))
    assert not twilio(auth_token="12346").check_note(note(fields, url, signature))


@pytest.mark.parametrize(
    ("signed", "ours"),
    [
        ("https://sms.example.com/x/?a=b", "https://sms.example.com/x/?a=b"),
        ("https://sms.example.com:443/x/", "https://sms.example.com/x/"),
        ("https://sms.example.com/x/", "https://sms.example.com:443/x/"),
        ("http://sms.example.com:80/x/", "http://sms.example.com/x/"),
        ("https://sms.example.com:8443/x/", "https://sms.example.com:8443/x/"),
        ("http://[::1]:80/x/", "http://[::1]/x/"),
    ],
)
def test_it_checks_with_and_without_the_port_and_any_fields(signed: str, ours: str) -> None:
    fields = {"Body": "Стоп & ё +1", "Empty": "", "z": "1", "A": "2"}
    signature = RequestValidator(TOKEN).compute_signature(signed, fields)
    assert twilio().check_note(note(fields, ours, signature))
    assert not twilio().check_note(note(fields, ours.replace("/x/", "/y/"), signature))


def test_it_checks_fields_that_are_repeated() -> None:
    body = "a=2&a=1&a=2&b=x"
    signature = RequestValidator(TOKEN).compute_signature(URL, QueryDict(body))
    assert twilio().check_note(WebhookPayload({"x-twilio-signature": signature}, "", body, URL))


def test_a_disconnected_account_hears_what_became_of_its_messages() -> None:
    assert Twilio(Credentials({})).check_note(note(CALL))


def test_it_reads_a_receipt() -> None:
    [report] = twilio().read_receipts(note(CALL))
    assert report == DeliveryReport(
        "ref1", "+79980000111", DeliveryStatus.DELIVERED, provider_id="SM1"
    )
    assert twilio().read_replies(note(CALL)) == []


def test_a_receipt_that_quotes_the_text_is_no_reply() -> None:
    came = note(CALL | {"Body": "Hello", "From": "+79980009999"})
    assert twilio().read_replies(came) == []


def test_it_reads_why_a_message_did_not_arrive() -> None:
    fields = CALL | {"MessageStatus": "undelivered", "ErrorCode": "30003"}
    [report] = twilio().read_receipts(note(fields))
    assert (report.status, report.reason, report.raw) == (
        DeliveryStatus.UNDELIVERED,
        Reason.UNREACHABLE,
        "twilio:30003",
    )


REPLY = {"MessageSid": "SM2", "SmsStatus": "received", "From": "+79980000111", "To": "+79980009999"}


@pytest.mark.parametrize(
    ("more", "stop"),
    [({}, None), ({"OptOutType": "STOP"}, True), ({"OptOutType": "START"}, False)],
)
def test_it_reads_what_a_person_wrote(more: dict[str, str], stop: bool | None) -> None:
    came = note(REPLY | {"Body": "Больше не надо"} | more, WEBHOOK)
    assert twilio().read_replies(came) == [InboundSms("+79980000111", "Больше не надо", stop=stop)]
    assert twilio().read_receipts(came) == []


@pytest.mark.parametrize(
    "came",
    [
        WebhookPayload({}, "", ""),
        WebhookPayload({}, "ref=ref1", ""),
        WebhookPayload({}, "ref=ref1", "{}"),
        WebhookPayload({}, "ref=ref1", "%98"),
        note(CALL, WEBHOOK),
        note(CALL | {"To": ""}),
        note(CALL | {"MessageStatus": "pondering"}),
        note({}),
    ],
)
def test_it_refuses_to_read_what_is_no_receipt(came: WebhookPayload) -> None:
    with pytest.raises(ValueError, match=r".*"):
        twilio().read_receipts(came)
    assert twilio().read_replies(came) == []


# --- its codes -------------------------------------------------------------------------------


def test_it_knows_every_status_of_the_documents() -> None:
    """Its codes, one by one: tests/field/test_provider_codes.py."""
    assert set(codes.STATUSES) | codes.INBOUND == {
        *("accepted", "queued", "scheduled", "sending", "sent", "delivered", "read"),
        *("partially_delivered", "undelivered", "failed", "canceled", "receiving", "received"),
    }


@pytest.mark.parametrize("code", sorted(codes.ERRORS))
def test_it_gives_each_code_its_meaning(twilio_emulator: TwilioEmulator, code: int) -> None:
    twilio_emulator.misbehave(f"error-{code}")
    [result] = send(PHONES[0])
    assert (result.outcome, result.reason) == codes.ERRORS[code]
    assert result.raw == f"twilio:{code}"


def test_only_what_is_wrong_with_one_message_is_refused() -> None:
    """Else one bad setting would use up a mailing of a hundred thousand."""
    refused = {code for code, (out, _) in codes.ERRORS.items() if out == Outcome.REFUSED}
    assert refused == {
        *(14107, 21211, 21214, 21217, 21219, 21265, 21266, 21268, 21401, 21408, 21602, 21604),
        *(21605, 21608, 21610, 21612, 21614, 21617, 21618, 21619, 21635, 21658, 30014, 30044),
        60410,
    }


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("queued", None, (DeliveryStatus.ACCEPTED, None)),
        ("sent", None, (DeliveryStatus.ACCEPTED, None)),
        ("delivered", 30003, (DeliveryStatus.DELIVERED, None)),
        ("read", None, (DeliveryStatus.DELIVERED, None)),
        ("undelivered", None, (DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED)),
        ("undelivered", 30005, (DeliveryStatus.UNDELIVERED, Reason.NO_SUCH_NUMBER)),
        ("undelivered", 30036, (DeliveryStatus.EXPIRED, Reason.EXPIRED)),
        ("failed", 30036, (DeliveryStatus.EXPIRED, Reason.EXPIRED)),
        ("failed", 30001, (DeliveryStatus.EXPIRED, Reason.LIMIT)),
        ("failed", 21610, (DeliveryStatus.UNDELIVERED, Reason.OPTED_OUT)),
        ("failed", 63016, (DeliveryStatus.UNDELIVERED, Reason.OTHER)),
        ("canceled", None, (DeliveryStatus.CANCELLED, None)),
        ("received", None, None),
        ("pondering", None, None),
    ],
)
def test_it_translates_status_and_code(status: str, code: int | None, expected: object) -> None:
    assert codes.meaning(status, code) == expected
