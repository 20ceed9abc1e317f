"""When each job has something to do next, asked of the database in one statement, so that a worker can leave
a job alone until then (pace.py). The apps register the queries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet

# Returns the earliest moment of a column, in at most one row. The query must not depend on the present time,
# because its SQL is made only once: it says when something is or was due, be it past or to come. It may find
# too much (the job then looks by its clock, in vain) but never too little.
Earliest = Callable[[], "QuerySet[Any, datetime | None]"]
Later = Callable[[], timedelta]


@dataclass(frozen=True, slots=True)
class _Expected:
    job: str
    earliest: Earliest
    later: Later


_expected: list[_Expected] = []
_statement: "tuple[str, tuple[Any, ...]] | None" = None


def expect(job: str, earliest: Earliest, later: Later = timedelta) -> None:
    """Register a query of a job. Several of one job are added to each other.

    later: how long after the moment found the job has something to do.
    """
    global _statement
    _expected.append(_Expected(job, earliest, later))
    _statement = None


def jobs() -> set[str]:
    """Return the jobs that have a query. Only these can be left alone."""
    return {each.job for each in _expected}


def due_times() -> dict[str, datetime]:
    """Map each job to when it has something to do next, or had since; jobs without anything are left out."""
    global _statement
    if _statement is None:
        _statement = _compiled()
    with connection.cursor() as cursor:
        cursor.execute(*_statement)
        row = cursor.fetchone()
    found: dict[str, datetime] = {}
    for each, value in zip(_expected, row, strict=True):
        if value is not None:
            at = _aware(value) + each.later()
            found[each.job] = min(at, found.get(each.job, at))
    return found


def _compiled() -> "tuple[str, tuple[Any, ...]]":
    """The SQL of all queries together: making it anew takes 20 times as long as running it."""
    parts: list[str] = []
    values: list[Any] = []
    for each in _expected:
        sql, params = each.earliest().query.sql_with_params()
        parts.append(f"({sql})")
        values += params
    return f"SELECT {', '.join(parts)}", tuple(values)


def _aware(value: datetime | str) -> datetime:
    """SQLite returns text here, in UTC and without saying so."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo else at.replace(tzinfo=UTC)
