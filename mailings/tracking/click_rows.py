"""Writes clicks: those of all threads that wait at the same time in one INSERT."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from mailings.sending.bulk import PersonClick
from smsmail.web.group_commit import GroupCommit, on_live_connection

PATIENCE = 200  # milliseconds in which clicks must be recorded


def insert(hits: Sequence[PersonClick]) -> None:
    """Insert the clicks in one statement that waits at most PATIENCE for locks and for the server. Raises
    DatabaseError.
    """
    one = f"({', '.join(['%s'] * len(PersonClick._fields))})"
    values = [_stored(value) for hit in hits for value in hit]
    insert = (
        f"INSERT INTO mailings_click ({', '.join(PersonClick._fields)}) "  # noqa: S608 - our own names
        f"VALUES {', '.join([one] * len(hits))}"
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Both statements are one message to the server and one transaction of their own. Inside an
            # outer transaction (a click has none) the limit would apply to the rest of it as well.
            alone = not connection.in_atomic_block
            limit = f"SET LOCAL statement_timeout = {PATIENCE}; " if alone else ""
            cursor.execute(limit + insert, values)
            return
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE}")
        try:
            cursor.execute(insert, values)
        finally:
            usual = connection.settings_dict["OPTIONS"].get("timeout", 5)
            cursor.execute(f"PRAGMA busy_timeout = {int(usual * 1000)}")


def _stored(value: Any) -> Any:
    """Return it as this database stores it: a time is text on SQLite."""
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _write(hits: Sequence[PersonClick]) -> bool:
    on_live_connection(lambda: insert(hits))
    return True


# The INSERT before may take PATIENCE, and so may one's own.
grouped = GroupCommit(_write, patience=2 * PATIENCE / 1000 + 0.1)
