"""The values of a text's variables: for one person, and as columns for queries over all people. The
variables themselves are in text/template.py.
"""

import re
from collections.abc import Callable, Collection, Iterable
from functools import cache, reduce
from operator import and_
from typing import Any, Protocol

from django.conf import settings
from django.db.models import F, Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Trim
from django.db.models.lookups import Exact
from django.utils import translation
from django.utils.formats import get_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from mailings.text import markers
from mailings.text import template as text
from mailings.text import wrapping as links
from mailings.text.wrapping import Wrapping
from users.models import OwnField
from users.parsing import names

# The columns that make up a variable, unless it is an own field.
COLUMNS = {
    "first_name": ["first_name"],
    "last_name": ["last_name"],
    "name": ["first_name", "last_name"],
    "email": ["email"],
    "phone": ["phone"],
    "city": ["city"],
}


CUT_SHORT = {"first_name", "last_name", "name", "city"}


class Person(Protocol):
    """A User, or as much of one as the preparation reads."""

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


def values_of(person: Person, wanted: Collection[str] | None = None) -> dict[str, str]:
    """Return the values of the variables for this person, or only of the wanted ones. Text that people
    wrote about themselves is shown as no more than a name (users.parsing.names), whenever it was stored.
    """
    values = {
        name: read(person) for name, read in _READ.items() if wanted is None or name in wanted
    }
    for name, value in person.fields.items():
        if name not in _READ and (wanted is None or name in wanted):
            values[name] = _shown(value)
    return values


def _whole_name(person: Person) -> str:
    first, last = names.shown(person.first_name), names.shown(person.last_name)
    return names.shown(f"{first} {last}".strip())


_READ: dict[str, Callable[[Person], str]] = {
    "first_name": lambda person: names.shown(person.first_name),
    "last_name": lambda person: names.shown(person.last_name),
    "name": _whole_name,
    "email": lambda person: person.email,
    "phone": lambda person: person.phone,
    "city": lambda person: names.shown(person.city),
}


def variables() -> dict[str, str | Promise]:
    """Return all variables that a text may name now, with their labels."""
    return text.VARIABLES | dict(OwnField.objects.values_list("slug", "label"))


def own_names() -> list[str]:
    """Of this school's own fields."""
    return list(OwnField.objects.values_list("slug", flat=True))


_AS_WRITTEN = Wrapping()


def parsed(
    written: str, wrapping: Wrapping = _AS_WRITTEN, brought: Collection[str] = ()
) -> text.Template:
    """Parse a text with this school's own fields and the values `brought` by an event. Raises BadText."""
    return parsed_with([*own_names(), *brought], written, wrapping)


def parsed_with(
    names: Collection[str], written: str, wrapping: Wrapping = _AS_WRITTEN
) -> text.Template:
    """Parse a text that may name these variables too. Links that become short have their final length
    in it, and lead nowhere. Raises BadText.
    """
    template = text.parse(written, names)
    wrapped = links.wrap(written, wrapping) if wrapping else None
    if wrapped is None or not wrapped.shortens:
        return template
    # Cut once more: the variables of a short link were checked above, and are no longer in the text.
    return text.cut(markers.masked(wrapped.text), names)


def as_launched(written: str, wrapping: Wrapping = _AS_WRITTEN) -> text.Template:
    """Parse a text that the launch has checked: a field deleted since then does not stop it. It
    contains the marks of short links, as messages are stored.
    """
    names = text.names_in(written)
    if not wrapping:
        return text.parse(written, names)
    return text.cut(links.wrap(written, wrapping).text, names)


def needs_of(written: str) -> frozenset[str]:
    """Return the variables of a text that is empty without them, like {first_name} alone; else an
    empty set.
    """
    try:
        template = as_launched(written)
    except text.BadText:
        return frozenset()
    says = template.tail + "".join(slot.before + slot.fallback for slot in template.slots)
    return frozenset() if says.strip() else template.names


def no_value(names: Iterable[str]) -> Q:
    """Return a condition: the person has no value for any of these variables."""
    columns = [column for name in names for column in columns_of(name)]
    return reduce(and_, (Q(Exact(Trim(column), Value(""))) for column in columns))


def limit_of(name: str) -> int:
    """Return how many characters of its value may stand in a text."""
    return names.LONGEST if name in CUT_SHORT else text.VALUE_LIMIT


def columns_of(name: str) -> list[Any]:
    """Return the columns that make up a variable, as text expressions."""
    if name in COLUMNS:
        return [F(column) for column in COLUMNS[name]]
    return [Coalesce(KeyTextTransform(name, "fields"), Value(""), output_field=TextField())]


_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


def _shown(value: Any) -> str:
    """Return an own field's value as the recipient reads it: the same in the preview as in the SMS,
    whoever looks. Days are stored like 2026-11-24.
    """
    if isinstance(value, str):
        return _DAY.sub(r"\3.\2.\1", value) if _DAY.fullmatch(value) else value
    if isinstance(value, bool):
        return _yes_no(value)
    if isinstance(value, float):
        return str(value).replace(".", _point())
    return "" if value is None else str(value)


@cache
def _point() -> str:
    return str(get_format("DECIMAL_SEPARATOR", settings.LANGUAGE_CODE))


@cache
def _yes_no(value: bool) -> str:
    with translation.override(settings.LANGUAGE_CODE):
        return _("yes") if value else _("no")
