"""Encrypted model fields: MultiFernet over settings.FIELD_KEYS; the first key writes, all of them
read.

A wrong key raises an error. It never returns ciphertext, which would then be sent to a provider as
a password.
"""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.lookups import IsNull


class WrongKey(ValueError):
    """The value was written with a key that is not in settings.FIELD_KEYS: the database came
    without its keys.
    """


class EncryptedJSONField(models.Field):  # type: ignore[type-arg]  # not generic at run time
    """A dictionary of strings, encrypted at rest; {} is stored as ''. Cannot be searched."""

    # For the type checker: the types that are set and read.
    _pyi_private_set_type: dict[str, str]
    _pyi_private_get_type: dict[str, str]

    def get_internal_type(self) -> str:
        return "TextField"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", dict)
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)

    def get_prep_value(self, value: Any) -> str:
        if not value:
            return ""
        return _box().encrypt(json.dumps(value).encode()).decode()

    def from_db_value(self, value: str | None, *_args: object) -> dict[str, str]:
        return self.to_python(value)

    def to_python(self, value: Any) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        if not value:
            return {}
        return dict(_decrypted(value, tuple(settings.FIELD_KEYS)))

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError("an encrypted field cannot be searched")
        return IsNull


def keys() -> list[Fernet]:
    return [Fernet(key) for key in settings.FIELD_KEYS]


def first_key_reads(written: str) -> bool:
    """True if the first key can read this raw database value."""
    try:
        keys()[0].decrypt(written.encode())
    except InvalidToken:
        return False
    return True


@lru_cache(maxsize=64)
def _decrypted(written: str, keys: tuple[str, ...]) -> dict[str, str]:
    """The accounts are read for every batch and every receipt, and decrypting takes 0.1 ms. Keys that are
    no longer in force read nothing, because they are part of the question.
    """
    box = MultiFernet([Fernet(key) for key in keys])
    try:
        held: dict[str, str] = json.loads(box.decrypt(written.encode()))
    except InvalidToken as error:
        raise WrongKey("an encrypted field was written with a key not in FIELD_KEYS") from error
    return held


def _box() -> MultiFernet:
    return MultiFernet(keys())
