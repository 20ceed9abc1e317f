"""The best that the database can do: the rows of our mailing are copied into an identical table,
then changed by one UPDATE. No rules, batches, counters or HTTP.
"""

from django.db import connection, transaction

from benchmarks.timing import Step, timed
from mailings.models import Message
from mailings.sending.bulk import Entry

CHUNK = 5000  # rows in one commit, as in prepare.py
COLUMNS = ", ".join(Entry._fields)


def run() -> tuple[Step, Step]:
    """Return the times of COPY and of UPDATE."""
    rows = list(Message.objects.values_list(*Entry._fields))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bare (LIKE mailings_message INCLUDING ALL) WITH (fillfactor = 45)"
        )
    copied = timed(len(rows), lambda: copy(rows))
    updated = timed(len(rows), update)
    return copied, updated


def copy(rows: list[tuple[object, ...]]) -> None:
    for start in range(0, len(rows), CHUNK):
        with (
            transaction.atomic(),
            connection.cursor() as cursor,
            cursor.copy(f"COPY bare ({COLUMNS}) FROM STDIN") as lines,
        ):
            for row in rows[start : start + CHUNK]:
                lines.write_row(row)


def update() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE bare SET status = 'accepted', provider_id = 'x', submitted_at = now()"
        )
