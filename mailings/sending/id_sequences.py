"""Moves id sequences ahead after a copy of the database was restored. Ids that were given out after the
copy was made must not be used again: a short link sent in that time would open another person's page.
"""

from datetime import timedelta

from django.db import connection, models

from mailings.models import Mailing, Message
from users.models import User

# More than can have been written since: a hundred mailings of a million, and ten more a day. The
# tokens of links can hold 56 billion message ids.
LEAP = 100_000_000
A_DAY = 10_000_000
NUMBERED: tuple[type[models.Model], ...] = (Message, Mailing, User)


def leap(since: timedelta) -> None:
    """Give the next rows ids far ahead of the existing ones; since: the age of the copy. Call it in a
    transaction.
    """
    days = max(0, since.days) + 1
    for model in NUMBERED:
        newest = model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
        _set(model, newest, LEAP + days * A_DAY)


def _set(model: type[models.Model], newest: int, ahead: int) -> None:
    table, column = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            name = f'"{table}"'
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [name, column])
            (sequence,) = cursor.fetchone()
            cursor.execute(
                f"SELECT setval(%s, greatest(%s, (SELECT last_value FROM {sequence})) + %s)",  # noqa: S608 - the server's own name
                [sequence, newest, ahead],
            )
            return
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        (last,) = cursor.fetchone() or (0,)
        cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
        cursor.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)",
            [table, max(newest, last) + ahead],
        )
