"""Somebody new has been written down: told to whoever asked at start to be told. Other rooms are not
known here.
"""

from collections.abc import Callable

from users.models import User

_told: list[Callable[[User], None]] = []


def tell(listener: Callable[[User], None]) -> None:
    """Called in the transaction that writes the person down."""
    _told[:] = [listener]


def arrived(person: User) -> None:
    for listener in _told:
        listener(person)
