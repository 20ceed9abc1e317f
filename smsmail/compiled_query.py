"""Queries of the ORM whose SQL is built once for each process. Building it anew takes 1 to 2 ms of CPU, running
it 0.1: what runs for every batch of messages is compiled, and all else is written as usual.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar, cast

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.sql import UpdateQuery

M = TypeVar("M", bound=Model)
Convert = Callable[[Any, Any, Any], Any]
# In the place of a value stands one of these while the SQL is built; no query of ours contains them.
FIRST_NUMBER = 2_004_318_071
FIRST_MOMENT = datetime(1904, 4, 1, tzinfo=UTC)


class _Place(NamedTuple):
    """Where the SQL has a parameter: the name of its value."""

    name: str


class _Compiled(NamedTuple):
    sql: str
    parameters: tuple[Any, ...]  # constants, and places
    converters: tuple[tuple[int, tuple[list[Convert], Any]], ...]  # by the column of the result


class CompiledQuery(Generic[M]):
    """A query with named values: numbers, words and moments.

        OPEN = CompiledQuery(
            Batch, lambda since: Batch.objects.filter(claimed_at__gt=since).values_list("id")
        )
        OPEN.rows(since=timezone.now())

    `build` is called once for each kind of database, with placeholders of the types of the first call's
    values. It must not look at them, and no value may ever be None or of another type.
    """

    def __init__(self, model: type[M], build: Callable[..., "QuerySet[M, Any]"]) -> None:
        self._model = model
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Run the query of values_list() and return its rows."""
        compiled = self._of(values)
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, _parameters(compiled.parameters, values))
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        if not compiled.converters:
            return rows
        return [_converted(row, compiled.converters) for row in rows]

    def instances(self, **values: Any) -> list[M]:
        """Run the query and return its objects. It has no select_related() and no annotations."""
        columns = [field.attname for field in self._model._meta.concrete_fields]
        return [self._model.from_db("default", columns, row) for row in self.rows(**values)]

    def _of(self, values: Mapping[str, Any]) -> _Compiled:
        known = self._compiled.get(connection.vendor)
        if known is None:
            places = _placeholders(values)
            compiler = self._build(**places).query.get_compiler(connection=connection)
            sql, parameters = compiler.as_sql()
            columns = [column for column, _sql, _alias in compiler.select or []]
            converters = compiler.get_converters(columns)
            known = _Compiled(sql, _with_places(parameters, places), tuple(converters.items()))
            self._compiled[connection.vendor] = known
        return known


class CompiledUpdate:
    """An UPDATE with named values, in its condition and among what it sets.

    `build` returns the query, and what update() is to set. moments: the values that are moments or None.
    """

    def __init__(
        self,
        build: Callable[..., "tuple[QuerySet[Any, Any], Mapping[str, Any]]"],
        moments: Sequence[str] = (),
    ) -> None:
        self._build = build
        self._moments = dict.fromkeys(moments, FIRST_MOMENT)
        self._compiled: dict[str, _Compiled] = {}

    def run(self, **values: Any) -> int:
        """Run it and return the number of rows that were changed."""
        compiled = self._compiled.get(connection.vendor)
        if compiled is None:
            places = _placeholders({**values, **self._moments})
            queryset, changes = self._build(**places)
            query = cast("UpdateQuery", queryset.query.chain(UpdateQuery))
            query.add_update_values(dict(changes))
            sql, parameters = query.get_compiler(connection=connection).as_sql()
            compiled = _Compiled(sql, _with_places(parameters, places), ())
            self._compiled[connection.vendor] = compiled
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, _parameters(compiled.parameters, values))
            return int(cursor.rowcount)


def _placeholders(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _placeholder(n, value) for n, (name, value) in enumerate(values.items())}


def _placeholder(number: int, value: Any) -> Any:
    if isinstance(value, str):
        return f"\x7fplaceholder {number}"
    if isinstance(value, datetime):
        return FIRST_MOMENT + timedelta(days=number)
    if isinstance(value, int) and not isinstance(value, bool):
        return FIRST_NUMBER + number
    raise TypeError(f"cannot stand in a compiled query: {type(value).__name__}")


def _with_places(parameters: Sequence[Any], places: Mapping[str, Any]) -> tuple[Any, ...]:
    """Put the names of the values where their placeholders are. Raises LookupError if one of them is not
    found: then the query depends on it in another way.
    """
    names = {_adapted(placeholder): _Place(name) for name, placeholder in places.items()}
    found = tuple(names.get(each, each) if _is_plain(each) else each for each in parameters)
    missing = places.keys() - {each.name for each in found if isinstance(each, _Place)}
    if missing:
        raise LookupError(f"not among the parameters: {sorted(missing)}")
    return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | datetime)


def _parameters(parameters: Sequence[Any], values: Mapping[str, Any]) -> list[Any]:
    return [
        _adapted(values[each.name]) if isinstance(each, _Place) else each for each in parameters
    ]


def _adapted(value: Any) -> Any:
    """SQLite stores moments as text in UTC."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def _converted(
    row: tuple[Any, ...], converters: Sequence[tuple[int, tuple[list[Convert], Any]]]
) -> tuple[Any, ...]:
    values = list(row)
    for column, (convert_all, expression) in converters:
        for convert in convert_all:
            values[column] = convert(values[column], expression, connection)
    return tuple(values)
