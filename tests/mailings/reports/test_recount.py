"""The proof that the counters equal the rows, and their repair."""

import threading
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F

from mailings.models import Counters, Mailing, Message
from mailings.reports import recount

Status = Message.Status


def mailing_with(*rows: tuple[str, int, str | None], **counted: Any) -> Mailing:
    """A mailing with messages (status, parts, price) and these counters."""
    mailing = Mailing.objects.create(name="Open day")
    Message.objects.bulk_create(
        Message(mailing=mailing, key=str(n), status=status, parts=parts, price=price)
        for n, (status, parts, price) in enumerate(rows)
    )
    Counters.objects.create(mailing=mailing, **counted)
    return mailing


ROWS = [
    (Status.WAITING, 5, None),
    (Status.DELIVERED, 2, "5.1"),
    (Status.DELIVERED, 1, "2.55"),
    (Status.NO_RECEIPT, 1, None),
    (Status.REFUSED, 3, None),
    (Status.SKIPPED, 0, None),
]
RIGHT: dict[str, Any] = {
    "waiting": 1,
    "delivered": 2,
    "no_receipt": 1,
    "refused": 1,
    "skipped": 1,
    "parts": 4,
    "price": Decimal("7.65"),
}


@pytest.mark.django_db
def test_it_finds_nothing_where_counters_equal_rows() -> None:
    mailing_with(*ROWS, **RIGHT)
    mailing_with()
    Mailing.objects.create(name="A draft without counters")
    out = StringIO()
    call_command("recount", stdout=out)
    assert recount.compare() == []
    assert "equal" in out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("column", recount.COLUMNS)
def test_it_finds_and_repairs_a_difference_in_any_column(column: str) -> None:
    mailing_with(*ROWS, **RIGHT)
    wrong = mailing_with(*ROWS, **{**RIGHT, column: 77})
    out = StringIO()
    with pytest.raises(CommandError, match="1 mailings differ"):
        call_command("recount", stdout=out)
    assert f"mailing {wrong.id}: {column} is" in out.getvalue()
    call_command("recount", fix=True, stdout=StringIO())
    assert recount.compare() == []
    repaired = Counters.objects.get(mailing=wrong)
    assert {name: getattr(repaired, name) for name in RIGHT} == RIGHT


@pytest.mark.django_db
def test_it_makes_counters_where_there_are_none() -> None:
    mailing = mailing_with(*ROWS)
    Counters.objects.all().delete()
    assert {each.mailing for each in recount.compare()} == {mailing.id}
    recount.repair(mailing.id)
    assert recount.compare() == []


@pytest.mark.django_db
def test_it_asks_the_same_questions_however_many_mailings_there_are(
    django_assert_num_queries: Any,
) -> None:
    for _ in range(5):
        mailing_with(*ROWS)
    with django_assert_num_queries(4):
        assert len({each.mailing for each in recount.compare()}) == 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("begins", ["before the counters", "after the counters"])
def test_it_repairs_while_messages_move(begins: str) -> None:
    """A move is under way when the repair begins: its messages must count once."""
    mailing = mailing_with(*ROWS, **RIGHT)
    repairing = threading.Thread(target=_repair_and_close, args=[mailing.id])
    with transaction.atomic():
        Message.objects.filter(mailing=mailing, status=Status.WAITING).update(status="accepted")
        if begins == "before the counters":
            _let_run(repairing)
        Counters.objects.filter(mailing=mailing).update(
            waiting=F("waiting") - 1, accepted=F("accepted") + 1, parts=F("parts") + 5
        )
        if begins == "after the counters":
            _let_run(repairing)
    repairing.join(20)
    assert not repairing.is_alive()
    assert recount.compare() == []


def _let_run(thread: threading.Thread) -> None:
    thread.start()
    thread.join(0.5)  # it may wait for our locks: SQLite's whole database, PostgreSQL's row


def _repair_and_close(mailing_id: int) -> None:
    try:
        recount.repair(mailing_id)
    finally:
        connection.close()
