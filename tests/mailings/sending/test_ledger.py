"""The ledger: what may move where, and that it counts what it moves."""

from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from mailings.models import Mailing, Message
from mailings.sending import ledger
from mailings.sending.ledger import MOVES, Move
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

Status = Message.Status


@pytest.fixture
def mailing(owner: User) -> Mailing:
    factories.simulator()
    factories.students(5)
    return mailing_factories.prepared(owner)


def one(mailing: Mailing, status: str = Status.WAITING) -> Message:
    """A message of the mailing, brought to the status."""
    message = Message.objects.filter(mailing=mailing, status=Status.WAITING).first()
    assert message is not None
    path = {Status.NO_RECEIPT: [Status.ACCEPTED, Status.NO_RECEIPT]}.get(Status(status), [status])
    for step in path:
        if step != Status.WAITING:
            with transaction.atomic():
                ledger.move([Move(message.id, step)])
    message.refresh_from_db()
    assert message.status == status
    return message


@pytest.mark.parametrize("source", list(Status))
@pytest.mark.parametrize("to", list(Status))
def test_a_message_goes_only_where_the_table_says(mailing: Mailing, source: str, to: str) -> None:
    message = one(mailing, source)
    with transaction.atomic():
        moved = ledger.move([Move(message.id, to)])
    message.refresh_from_db()
    allowed = to in MOVES.get(source, ())
    assert moved == ([message.id] if allowed else [])
    assert message.status == (to if allowed else source)
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_final_status_stays_but_for_the_late_receipt_after_none(mailing: Mailing) -> None:
    for status in Message.FINAL - {Status.NO_RECEIPT}:
        assert not MOVES.get(status)
    assert MOVES[Status.NO_RECEIPT] == {Status.DELIVERED, Status.UNDELIVERED, Status.EXPIRED}


def test_it_refuses_to_work_outside_a_transaction(mailing: Mailing) -> None:
    message = one(mailing)
    connection.in_atomic_block = False  # as a caller without atomic() would have it
    try:
        with pytest.raises(RuntimeError):
            ledger.move([Move(message.id, Status.ACCEPTED)])
    finally:
        connection.in_atomic_block = True


def test_it_counts_price_and_parts_of_what_was_taken(mailing: Mailing) -> None:
    message = one(mailing)
    with transaction.atomic():
        ledger.move([Move(message.id, Status.ACCEPTED, price=Decimal("2.5"), provider_id="7")])
        ledger.move([Move(message.id, Status.DELIVERED)])
    message.refresh_from_db()
    assert (message.price, message.provider_id) == (Decimal("2.5"), "7")
    assert message.submitted_at is not None
    assert message.final_at is not None
    mailing.refresh_from_db()
    assert mailing.counters.price == Decimal("2.5")
    assert mailing.counters.parts == message.parts
    mailing_factories.assert_counters_equal_rows(mailing)


def test_the_answer_after_the_receipt_still_brings_the_price(mailing: Mailing) -> None:
    message = one(mailing)
    with transaction.atomic():
        ledger.move([Move(message.id, Status.DELIVERED)])
        assert ledger.move([Move(message.id, Status.ACCEPTED, price=Decimal("2.5"))]) == []
    message.refresh_from_db()
    assert message.status == Status.DELIVERED
    assert message.price == Decimal("2.5")
    mailing_factories.assert_counters_equal_rows(mailing)


def test_answers_that_come_after_their_receipts_take_one_query_for_all(mailing: Mailing) -> None:
    ids = list(
        Message.objects.filter(mailing=mailing, status="waiting").values_list("id", flat=True)
    )
    price = Decimal("1.2")
    with transaction.atomic():
        ledger.move([Move(each, Status.DELIVERED) for each in ids[1:]])
        ledger.move([Move(ids[0], Status.DELIVERED, price=Decimal(7), provider_id="first")])
        with CaptureQueriesContext(connection) as queries:
            ledger.move([Move(i, Status.ACCEPTED, price=price, provider_id=f"s{i}") for i in ids])
            ledger.move([Move(i, Status.ACCEPTED, provider_id="later") for i in ids])
    assert len(queries) == 3 + 2  # lock, learn, count; the second time there is no price to count
    rows = {row.id: (row.price, row.provider_id) for row in Message.objects.filter(id__in=ids)}
    assert rows == {
        ids[0]: (Decimal(7), "first"),
        **{each: (price, f"s{each}") for each in ids[1:]},
    }
    mailing_factories.assert_counters_equal_rows(mailing)


def test_prices_finer_than_the_columns_do_not_drift(mailing: Mailing) -> None:
    ids = list(
        Message.objects.filter(mailing=mailing, status="waiting").values_list("id", flat=True)
    )
    with transaction.atomic():
        ledger.move([Move(each, Status.ACCEPTED, price=Decimal("0.00126")) for each in ids])
    mailing.refresh_from_db()
    assert mailing.counters.price == len(ids) * Decimal("0.0013")
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_message_that_has_moved_to_another_batch_is_left_alone(mailing: Mailing) -> None:
    message = one(mailing)
    assert message.batch_id is not None
    with transaction.atomic():
        other = message.batch_id + 1
        assert ledger.move([Move(message.id, Status.ACCEPTED)], in_batch=other) == []
    mailing_factories.assert_counters_equal_rows(mailing)


def test_any_number_of_moves_takes_three_queries(mailing: Mailing) -> None:
    ids = list(Message.objects.filter(mailing=mailing).values_list("id", flat=True))
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        ledger.move([Move(each, Status.ACCEPTED) for each in ids])
    assert len(queries) == 3  # lock, change, count


def test_where_the_service_says_no_price_the_accounts_price_counts(mailing: Mailing) -> None:
    second, first = one(mailing, Status.UNKNOWN), one(mailing)
    price = Decimal("2.5")
    with transaction.atomic():
        ledger.move(
            [
                Move(first.id, Status.ACCEPTED, part_price=price),
                Move(second.id, Status.REFUSED, part_price=price),
            ]
        )
        ledger.move([Move(first.id, Status.DELIVERED, part_price=Decimal(9))])
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.price == price * first.parts
    assert second.price is None
    mailing_factories.assert_counters_equal_rows(mailing)
