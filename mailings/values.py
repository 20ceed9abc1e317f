"""What the variables of a text stand for: for one person, and as columns for questions about all.
The words themselves are text.py's.
"""

from collections.abc import Iterable
from functools import reduce
from operator import and_
from typing import Any, Protocol

from django.db.models import F, Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Trim
from django.db.models.lookups import Exact

from . import text

# What a variable is made of, where it is not an own field.
COLUMNS = {
    "first_name": ["first_name"],
    "last_name": ["last_name"],
    "name": ["first_name", "last_name"],
    "email": ["email"],
    "phone": ["phone"],
    "city": ["city"],
}


class Person(Protocol):
    """A User, or as much of one as preparation reads."""

    @property
    def first_name(self) -> str: ...
    @property
    def last_name(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def phone(self) -> str: ...
    @property
    def city(self) -> str: ...
    @property
    def fields(self) -> dict[str, Any]: ...


def values_of(person: Person) -> dict[str, str]:
    """What the variables stand for, for this person."""
    return text.values_of(person.first_name, person.last_name, person.email, person.phone)


def needs_of(written: str) -> frozenset[str]:
    """The variables of a text that says nothing without them: {first_name} and no more."""
    try:
        template = text.parse(written)
    except text.BadText:
        return frozenset()
    says = template.tail + "".join(slot.before + slot.fallback for slot in template.slots)
    return frozenset() if says.strip() else template.names


def no_value(names: Iterable[str]) -> Q:
    """The person has nothing under any of these variables."""
    columns = [column for name in names for column in columns_of(name)]
    return reduce(and_, (Q(Exact(Trim(column), Value(""))) for column in columns))


def columns_of(name: str) -> list[Any]:
    """What a variable is made of, as texts."""
    if name in COLUMNS:
        return [F(column) for column in COLUMNS[name]]
    return [Coalesce(KeyTextTransform(name, "fields"), Value(""), output_field=TextField())]
