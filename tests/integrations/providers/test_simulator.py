"""The simulator: outcomes by the last digits, receipts after a while, books that can be asked."""

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Receipt, SimulatedSms
from integrations.providers.contract import (
    Credentials,
    DeliveryStatus,
    LookupItem,
    LookupRequest,
    Outcome,
    SendResult,
    Sms,
    WebhookPayload,
)
from integrations.providers.simulator import OUTCOMES, Simulator, outcome_of, report_due
from integrations.reasons import Reason
from smsmail.uptime import clock
from tests import factories

simulator = Simulator(Credentials({}))


def sms(*phones: str) -> list[Sms]:
    return [Sms(key, phone, f"Text {key}") for key, phone in enumerate(phones)]


def send(*phones: str, reference: str = "ref1") -> list[SendResult]:
    return simulator.send(reference, sms(*phones), clock() + 60)


def let_time_pass() -> None:
    SimulatedSms.objects.update(report_at=timezone.now() - timedelta(seconds=1))


def reports_in_receipts() -> dict[str, DeliveryStatus]:
    return {
        report.phone: report.status
        for receipt in Receipt.objects.all()
        for report in simulator.read_receipts(
            WebhookPayload(receipt.headers, receipt.query, receipt.body)
        )
    }


@pytest.mark.django_db
def test_it_takes_messages_into_its_books_and_refuses_by_the_last_digits() -> None:
    results = send("+79980000100", "+79980000112")
    assert [(result.key, result.outcome, result.reason) for result in results] == [
        (0, Outcome.REFUSED, Reason.BAD_PHONE),
        (1, Outcome.TAKEN, None),
    ]
    row = SimulatedSms.objects.get()
    assert (row.reference, row.phone, row.text) == ("ref1", "+79980000112", "Text 1")
    assert 0 < (row.report_at - timezone.now()).total_seconds() < 6


@pytest.mark.django_db
def test_it_takes_nothing_after_the_deadline() -> None:
    [result] = simulator.send("ref1", sms("+79980000112"), clock() - 1)
    assert result.outcome == Outcome.UNSENT
    assert not SimulatedSms.objects.exists()


@pytest.mark.django_db
def test_it_inserts_a_batch_in_a_few_statements(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(6):  # SQLite takes 999 parameters at once
        send(*(f"+7998{number:07}" for number in range(500)))
    assert SimulatedSms.objects.count() == 495


@pytest.mark.django_db
def test_it_reports_each_fate_once_its_time_has_come() -> None:
    factories.simulator()
    phones = [f"+799800001{digits}" for digits in (*OUTCOMES, "77")]
    send(*phones)
    assert report_due() is False
    assert not Receipt.objects.exists()

    let_time_pass()
    assert report_due() is False
    assert reports_in_receipts() == {
        phone: status for phone in phones if (status := outcome_of(phone).status) is not None
    }
    assert report_due() is False
    assert Receipt.objects.count() == 1


@pytest.mark.django_db
def test_it_reports_a_thousand_at_a_time_in_a_few_receipts(
    django_assert_max_num_queries: Any,
) -> None:
    factories.simulator()
    for start in range(0, 1400, 500):
        send(*(f"+7998{number:05}77" for number in range(start, start + 500)))
    let_time_pass()
    with django_assert_max_num_queries(8):
        assert report_due() is True
    assert Receipt.objects.count() == 10
    assert report_due() is False
    assert len(reports_in_receipts()) == 1500


@pytest.mark.django_db
def test_it_lets_messages_go_unreported_when_its_account_is_gone() -> None:
    send("+79980000177")
    let_time_pass()
    assert report_due() is False
    assert SimulatedSms.objects.get().reported
    assert not Receipt.objects.exists()


@pytest.mark.django_db
def test_it_answers_from_its_books_when_asked() -> None:
    send("+79980000101", "+79980000177", reference="ref1")
    now = timezone.now()
    asked = [
        LookupRequest(
            "ref1", tuple(map(LookupItem, ("+79980000101", "+79980000177", "+79980000199"))), now
        ),
        LookupRequest("ref2", (LookupItem("+79980000177"),), now),
    ]
    assert [report.status for report in simulator.look_up(asked)] == [
        DeliveryStatus.ACCEPTED,
        DeliveryStatus.ACCEPTED,
        DeliveryStatus.NOT_FOUND,
        DeliveryStatus.NOT_FOUND,
    ]
    let_time_pass()
    assert [report.status for report in simulator.look_up(asked)][:2] == [
        DeliveryStatus.UNDELIVERED,
        DeliveryStatus.DELIVERED,
    ]


@pytest.mark.django_db(transaction=True)
def test_it_works_in_a_thread_and_leaves_no_connection_behind() -> None:
    left: list[object] = []

    def hand_over() -> None:
        from django.db import connection

        send("+79980000177")
        left.append(connection.connection)

    thread = threading.Thread(target=hand_over)
    thread.start()
    thread.join()
    assert left == [None]
    assert SimulatedSms.objects.count() == 1


def test_it_does_not_read_what_it_has_not_written() -> None:
    for body in ("", "garbage", "[]", '{"reports": [{}]}', '{"reports": 5}'):
        with pytest.raises(ValueError, match=r".*"):
            simulator.read_receipts(WebhookPayload({}, "", body))


def test_it_has_a_balance() -> None:
    assert simulator.balance().amount == Decimal(10_000)


@pytest.mark.django_db
def test_it_keeps_a_message_until_its_time_and_gives_it_back_before() -> None:
    at = timezone.now() + timedelta(hours=2)
    assert simulator.can_schedule(at)
    assert not simulator.can_schedule(timezone.now() - timedelta(seconds=1))
    later = [Sms(1, "+79980000112", "Later", at), Sms(2, "+79980000113", "Later", at)]
    assert {result.outcome for result in simulator.send("ref1", later, clock() + 60)} == {
        Outcome.TAKEN
    }
    send("+79980000114")
    assert SimulatedSms.objects.get(phone="+79980000112").report_at > at
    asked = [LookupItem(phone) for phone in ("+79980000112", "+79980000114", "+79980000115")]
    (gone,) = simulator.cancel("ref1", asked)
    assert (gone.phone, gone.status) == ("+79980000112", DeliveryStatus.CANCELLED)
    phones = set(SimulatedSms.objects.values_list("phone", flat=True))
    assert phones == {"+79980000113", "+79980000114"}


@pytest.mark.django_db
def test_its_phone_shows_what_has_arrived_only(client: Any) -> None:
    factories.simulator()
    later = [Sms(1, "+79980000112", "Not yet", timezone.now() + timedelta(hours=2))]
    simulator.send("ref1", later, clock() + 60)
    client.force_login(factories.owner(), backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/simulator/?phone=%2B79980000112").content.decode()
    assert "Not yet" not in page
    SimulatedSms.objects.update(at=timezone.now())
    assert "Not yet" in client.get("/simulator/?phone=%2B79980000112").content.decode()
