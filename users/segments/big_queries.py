"""Reading over everybody there is: with room in memory, and no longer than somebody waits. On
PostgreSQL, whose usual settings are made for small questions; SQLite has neither.

Measured with 1,000,000 people: in the usual 4 MB a list of 300,000 ids does not fit, so that "in
group A or in B" looks each person up; with 64 MB such rules took a third less time. Compiling the
question to machine code first (JIT) gained nothing. Where pages cost what a turning disk's do, an
index that has all that is asked is read past: 1.5 s for a funnel that takes 0.7 by it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import OperationalError, connection, transaction
from django.http import HttpRequest

MEMORY = "64MB"  # for each list or sort of one question
NO_DISK = 1.1  # what a page somewhere costs beside the next one: the usual 4 is a turning disk's
USUAL = ("work_mem", "jit", "random_page_cost", "statement_timeout")
QUERY_CANCELED = "57014"
# Seconds for one question. A page comes without its figures rather than later; then somebody waits
# for them, and sees that they are being counted.
AT_ONCE = 0.1
WAITED_FOR = 20.0
_inside: ContextVar[bool] = ContextVar("_inside", default=False)


def patience(request: HttpRequest) -> float:
    """Of a page that is asked once more, with ?count, when its figures did not come at once."""
    return WAITED_FOR if "count" in request.GET else AT_ONCE


@contextmanager
def a_few_of_many() -> Iterator[None]:
    """For the next people by id under a rule: each is looked up by an index. Joining whole tables, a
    database reads them from their beginning for every chunk: 860 ms where this takes 60.
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
    """Does a list of all people's ids fit into memory here? Elsewhere it may not, and a database that
    cannot keep one looks through it again for each person.
    """
    return _inside.get()


class TakesLong(Exception):
    """It was not counted within the time given."""


@contextmanager
def over_everybody(seconds: float | None = None) -> Iterator[None]:
    """Only reads go inside. Raises TakesLong when one question takes longer; None: it may. Inside
    another one, that one's time counts.
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
            # Inside somebody else's transaction they would hold until its end.
            cursor.execute("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in USUAL))
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") == QUERY_CANCELED:
            raise TakesLong from error
        raise
    finally:
        _inside.reset(token)
