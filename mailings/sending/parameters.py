"""The values of many rows as parameters of one statement, in both dialects: arrays on PostgreSQL, JSON on
SQLite.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection


def among() -> str:
    """Return SQL for "one of these ids"; ids_of() makes the parameter."""
    return "= ANY(%s::bigint[])" if is_postgres() else "IN (SELECT value FROM json_each(%s))"


def ids_of(ids: Sequence[int]) -> str:
    return f"{{{','.join(map(str, ids))}}}" if is_postgres() else json.dumps(list(ids))


def table(types: dict[str, str]) -> str:
    """Return SQL for a table "d" made of parameters; columns() makes the parameters."""
    if is_postgres():
        arrays = ", ".join(f"%s::{kind}[]" for kind in types.values())
        return f"unnest({arrays}) AS d ({', '.join(types)})"
    fields = ", ".join(f"json_extract(value, '$[{n}]') AS {name}" for n, name in enumerate(types))
    return f"(SELECT {fields} FROM json_each(%s)) AS d"  # noqa: S608 - our own names


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Any]:
    if not is_postgres():
        return [json.dumps([[plain(value) for value in row] for row in rows])]
    return [array(column) for column in zip(*rows, strict=True)] or ["{}"] * width


def array(values: Iterable[Any]) -> str:
    """An array as PostgreSQL writes it. psycopg takes 2 us for each member of a list, because it asks for the
    type of each; this takes 0.2.
    """
    return f"{{{','.join(map(_member, values))}}}"


def _member(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value.isoformat() if isinstance(value, datetime) else str(value)


def plain(value: Any) -> Any:
    """Make a value fit for JSON. SQLite's column affinity turns the price into a number again."""
    if isinstance(value, Decimal):
        return str(value)
    return moment(value) if isinstance(value, datetime) else value


def moment(value: datetime | None) -> Any:
    """Convert a time to the form in which this database stores it (SQLite: text in UTC)."""
    return connection.ops.adapt_datetimefield_value(value)


def is_postgres() -> bool:
    return connection.vendor == "postgresql"
