"""Somebody new has been written down: told to the app that asked at start to be told."""

from collections.abc import Callable

from users.hooks import Hook
from users.models import User

# Called in the transaction that writes the person down.
listener: Hook[Callable[[User], None]] = Hook(lambda _person: None)


def arrived(person: User) -> None:
    listener.given(person)
