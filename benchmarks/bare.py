"""The least that the database must do for a message: COPY of its row, UPDATE of the answer, INSERT of the receipt
and UPDATE of its effect, on tables with the product's own columns and indexes, in the product's portions, each
committed. No rules, batches, counters or HTTP.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from benchmarks import pipeline
from benchmarks.cost import Cost, measured
from integrations.models import Receipt
from integrations.routing import routing
from mailings.models import Mailing, Message
from mailings.sending import prepare

COLUMNS = (
    *("mailing_id", "key", "user_id", "phone", "text", "parts", "status", "reason", "batch_id"),
    *("final_at", "raw_code", "provider_id"),
)
AS_PREPARED = {
    "status": "waiting",
    "reason": "",
    "final_at": None,
    "raw_code": "",
    "provider_id": "",
}


@dataclass(frozen=True, slots=True)
class Bare:
    copy: Cost
    answer: Cost
    receipt: Cost
    effect: Cost

    @property
    def whole(self) -> Cost:
        return self.copy + self.answer + self.receipt + self.effect

    def lines(self) -> list[tuple[str, Cost]]:
        return [
            ("bare COPY of the row", self.copy),
            ("bare UPDATE of the answer", self.answer),
            ("bare INSERT of the receipt", self.receipt),
            ("bare UPDATE of its effect", self.effect),
            ("bare, all four", self.whole),
        ]


def run(mailing: Mailing) -> Bare:
    """Do it with the rows of this mailing."""
    twin(Message._meta.db_table, "bare_message")
    twin(Receipt._meta.db_table, "bare_receipt")
    # All of them in memory first: reading them is no part of the ceiling.
    given = list(rows_of(mailing))
    batch = routing.provider_class("smsc").batch
    copied = measured(len(given), lambda: copy(given, prepare.CHUNK))
    ids = _ids()
    answered = measured(len(ids), lambda: answer(ids, batch))
    with pipeline.callbacks(mailing) as bodies:
        stored = measured(len(ids), lambda: pipeline.store_receipts("bare_receipt", bodies))
    applied = measured(len(ids), lambda: apply(ids, pipeline.RECEIPTS))
    return Bare(copied, answered, stored, applied)


def twin(table: str, name: str) -> None:
    """Make an empty table with the columns, indexes and free space of another one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [table])
        options = cursor.fetchone()[0]
        free = f"WITH ({', '.join(options)})" if options else ""
        cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL) {free}")


def rows_of(mailing: Mailing) -> Iterator[tuple[Any, ...]]:
    for row in mailing.messages.order_by("id").values(*COLUMNS).iterator(5000):
        yield tuple((row | AS_PREPARED).values())


def copy(given: Sequence[tuple[Any, ...]], size: int) -> None:
    for start in range(0, len(given), size):
        with (
            transaction.atomic(),
            connection.cursor() as cursor,
            cursor.copy(f"COPY bare_message ({', '.join(COLUMNS)}) FROM STDIN") as lines,
        ):
            for row in given[start : start + size]:
                lines.write_row(row)


def answer(ids: Sequence[int], size: int) -> None:
    change = "status = 'accepted', provider_id = %s, price = 3, submitted_at = %s"
    for number, some in enumerate(_portions(ids, size)):
        _update(change, [f"reference-number-{number:07}", timezone.now()], some)


def apply(ids: Sequence[int], size: int) -> None:
    for some in _portions(ids, size):
        _update("status = 'delivered', final_at = %s", [timezone.now()], some)


def _update(change: str, values: list[Any], ids: Sequence[int]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE bare_message SET {change} WHERE id = ANY(%s)",  # noqa: S608 - our own words
            [*values, list(ids)],
        )


def _ids() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM bare_message ORDER BY id")
        return [key for (key,) in cursor.fetchall()]


def _portions(ids: Sequence[int], size: int) -> Iterator[list[int]]:
    left = iter(ids)
    while some := list(islice(left, size)):
        yield some
