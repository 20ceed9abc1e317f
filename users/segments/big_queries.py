"""PostgreSQL settings for queries over all users: more work_mem, no JIT, a statement timeout. The
usual settings suit small queries. On SQLite they do nothing.

Measured with 1,000,000 people: a list of 300,000 ids does not fit into the usual 4 MB, so "in group
A or in B" looks each person up; with 64 MB such rules took a third less time. Compiling the query
to machine code (JIT) gained nothing. With the page costs of a spinning disk, the planner ignores an
index that covers the query: 1.5 s for a funnel that takes 0.7 s with the index.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import OperationalError, connection, transaction
from django.http import HttpRequest

MEMORY = "64MB"  # for each hash table or sort of one query
NO_DISK = 1.1  # cost of a random page over a sequential one; the usual 4 is for spinning disks
USUAL = ("work_mem", "jit", "random_page_cost", "statement_timeout")
QUERY_CANCELED = "57014"
# Seconds for one query. A page appears at once without its figures; then a second request waits for
# them, and the reader sees that they are being counted.
AT_ONCE = 0.1
WAITED_FOR = 20.0
_inside: ContextVar[bool] = ContextVar("_inside", default=False)


def patience(request: HttpRequest) -> float:
    """Return the limit in seconds for this request. A page whose figures did not come at once asks
    again with ?count.
    """
    return WAITED_FOR if "count" in request.GET else AT_ONCE


@contextmanager
def a_few_of_many() -> Iterator[None]:
    """For reading the next people by id under a rule: looks each of them up by an index. With joins
    of whole tables the database reads them from the beginning for every chunk: 860 ms instead of 60
    ms.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_mergejoin = off; SET LOCAL enable_hashjoin = off")
        yield
        cursor.execute(
            "SET LOCAL enable_mergejoin TO DEFAULT; SET LOCAL enable_hashjoin TO DEFAULT"
        )


def there_is_room() -> bool:
    """True inside over_everybody(): a list of all people's ids fits into work_mem. Elsewhere it may
    not, and the database would search the list again for each person.
    """
    return _inside.get()


class TakesLong(Exception):
    """The query did not finish within the given time."""


@contextmanager
def over_everybody(seconds: float | None = None) -> Iterator[None]:
    """Run the read-only queries inside with these settings. seconds: the limit for one query; None:
    no limit. When nested, the outer limit applies.

    Raises TakesLong when a query exceeds the limit.
    """
    if connection.vendor != "postgresql" or _inside.get():
        yield
        return
    token = _inside.set(True)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            limit = max(int(seconds * 1000), 1) if seconds else 0
            settings = (
                "SET LOCAL work_mem = %s; SET LOCAL jit = off; "
                "SET LOCAL random_page_cost = %s; SET LOCAL statement_timeout = %s"
            )
            cursor.execute(settings, [MEMORY, NO_DISK, limit])
            yield
            # Inside an outer transaction the settings would last until its end.
            cursor.execute("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in USUAL))
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") == QUERY_CANCELED:
            raise TakesLong from error
        raise
    finally:
        _inside.reset(token)
