"""Work that several goals share: done for the first of them, and not tried again for the others if it failed."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

T = TypeVar("T")


def once(do: Callable[[], T]) -> Callable[[], T]:
    results: list[T] = []
    errors: list[Exception] = []

    @wraps(do)
    def done() -> T:
        if not (results or errors):
            try:
                results.append(do())
            except Exception as error:
                errors.append(error)
                raise
        if errors:
            raise errors[0]
        return results[0]

    return done
