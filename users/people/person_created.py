"""Tells registered listeners that a person has been created. Other apps are not imported here."""

from collections.abc import Callable

from users.models import User

_told: list[Callable[[User], None]] = []


def tell(listener: Callable[[User], None]) -> None:
    """Register a listener. It is called in the transaction that creates the person."""
    _told[:] = [listener]


def arrived(person: User) -> None:
    for listener in _told:
        listener(person)
