"""Hooks for the apps above users, which it may not import: at start they register the functions that it
calls.
"""

from typing import Generic, TypeVar

T = TypeVar("T")


class Hook(Generic[T]):
    """A place for one function, or for several together as a named tuple. `given` is what the app above
    has put into it (in its AppConfig.ready()), and until then what is done without that app.
    """

    def __init__(self, without: T) -> None:
        self.given = without

    def fill(self, given: T) -> None:
        """Register it. The last one registered counts."""
        self.given = given
