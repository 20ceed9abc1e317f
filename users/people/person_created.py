"""Tells the app that registered for it at start that a new person has been stored."""

from collections.abc import Callable

from users.hooks import Hook
from users.models import User

# Called in the transaction that writes the person down.
listener: Hook[Callable[[User], None]] = Hook(lambda _person: None)


def arrived(person: User) -> None:
    listener.given(person)
