"""A row that the database itself refuses to change, as broken data does: with a trigger on it."""

from django.db import connection

FUNCTION = """
CREATE OR REPLACE FUNCTION poisoned() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'poisoned +79980000001' USING ERRCODE = '23514'; END
$$ LANGUAGE plpgsql
"""


def poison(what: str, table: str, when: str) -> None:
    """what: INSERT, UPDATE or DELETE of the rows for which `when` holds, like "NEW.id = 5"."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                f"CREATE TRIGGER poison BEFORE {what} ON {table} WHEN {when}"
                " BEGIN SELECT RAISE(ABORT, 'poisoned +79980000001'); END"
            )
        else:
            cursor.execute(FUNCTION)
            cursor.execute(
                f"CREATE TRIGGER poison BEFORE {what} ON {table} FOR EACH ROW WHEN ({when})"
                " EXECUTE FUNCTION poisoned()"
            )


def heal(table: str) -> None:
    with connection.cursor() as cursor:
        on = f" ON {table}" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER IF EXISTS poison{on}")
