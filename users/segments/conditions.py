"""What a condition of a rule consists of: a field, its operators, and the values that these take.
person_conditions.py holds the closed list of fields; the mailings app registers its own at start-up.
segments.py combines conditions.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import (
    DateTimeField,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
)
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _

Words = str | Promise
Choices = Callable[[], list[tuple[str, Words]]]
LONGEST = 200
MOST_DAYS = 3650
LARGEST = 10**15


class Kind(StrEnum):
    """What the user types beside an operator."""

    NONE = "none"
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    TWO_DATES = "two_dates"
    DAYS = "days"
    CHOICE = "choice"
    CHOICE_AND_DATE = "choice_and_date"


class BadValue(Exception):
    """The typed value does not fit the operator; the text says why."""


class Among(Exists):
    """At least one of these rows names the person (user_id). As an Exists it finds the row by an
    index. listed() reads all rows first: inside "or", that took between a fifth and a half of the
    time of a million look-ups.
    """

    def __init__(self, rows: QuerySet[Any]) -> None:
        self.rows = rows
        super().__init__(rows.filter(user_id=OuterRef("id")))

    def listed(self) -> Q:
        return Q(pk__in=self.rows.values("user_id"))


@dataclass(frozen=True, slots=True)
class Operator:
    label: Words
    kind: Kind
    q: Callable[[Any], Q]  # takes the value that clean() returns
    # Takes the value and returns an expression over User: since when the condition has held. None:
    # there is no such date.
    since: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    slug: str
    label: Words
    heading: Words  # the heading above it in a list of fields
    operators: Mapping[str, Operator]
    choices: Choices | None = None
    # Returns the name of one value, or None. For fields whose choices are rows of the database, or whose
    # list of choices does not hold every value.
    name_of: Callable[[str], Words | None] | None = None

    def called(self, value: str) -> Words | None:
        """Return the name of a choice; None if it does not exist (any more)."""
        if self.name_of is not None:
            return self.name_of(value)
        return dict(self.choices()).get(value) if self.choices else None

    def clean(self, op: Operator, raw: Any) -> Any:
        """Return the value as it is stored in JSON. Raises BadValue."""
        return _CLEAN[op.kind](self, raw)

    def words(self, op: Operator, value: Any) -> str:
        """Return one condition as a sentence for people."""
        said = _SAY[op.kind](self, value)
        return " ".join(str(each) for each in (self.label, op.label, said) if each)


_registered: dict[str, Field] = {}


def register(field: Field) -> None:
    """Add a field that belongs to another app. Called once, at start-up."""
    _registered[field.slug] = field


def registered() -> dict[str, Field]:
    return dict(_registered)


def nobody(_value: Any) -> Q:
    return Q(pk__in=())


# --- values -----------------------------------------------------------------------------------
def _nothing(_field: Field, raw: Any) -> None:
    if raw not in (None, ""):
        raise BadValue(_("Nothing stands beside this."))


def _text(_field: Field, raw: Any) -> str:
    typed = raw.strip() if isinstance(raw, str) else ""
    if not typed:
        raise BadValue(_("Type what it is compared with."))
    if len(typed) > LONGEST or not typed.isprintable():
        raise BadValue(_("Type one line of at most 200 characters."))
    return typed


def _number(_field: Field, raw: Any) -> int | float:
    try:
        number = (
            float(raw.replace(",", ".").replace("\xa0", "").replace(" ", ""))
            if isinstance(raw, str)
            else raw
        )
        fits = isinstance(number, int | float) and not isinstance(number, bool)
        if not fits or not math.isfinite(number) or abs(number) > LARGEST:
            raise ValueError
    except (ValueError, OverflowError):
        raise BadValue(_("Type a number.")) from None
    return int(number) if float(number).is_integer() else float(number)


def _date(_field: Field, raw: Any) -> str:
    try:
        day = date.fromisoformat(raw) if isinstance(raw, str) and len(raw) == 10 else None
    except ValueError:
        day = None
    if day is None or not 1900 <= day.year <= 2200:
        raise BadValue(_("Choose a date."))
    return day.isoformat()


def _two_dates(field: Field, raw: Any) -> list[str]:
    if not isinstance(raw, list) or len(raw) != 2:
        raise BadValue(_("Choose two dates."))
    first, last = (_date(field, each) for each in raw)
    if last < first:
        raise BadValue(_("The second date is before the first."))
    return [first, last]


def _days(field: Field, raw: Any) -> int:
    days = _number(field, raw)
    if not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise BadValue(_("Type a number of days from 1 to 3650."))
    return days


def _choice(field: Field, raw: Any) -> str:
    if not isinstance(raw, str) or not raw:
        raise BadValue(_("Choose one from the list."))
    if field.called(raw) is None:
        raise BadValue(_("What was chosen here is no longer there. Choose another."))
    return raw


def _choice_and_date(field: Field, raw: Any) -> list[str]:
    if not isinstance(raw, list) or len(raw) != 2:
        raise BadValue(_("Choose one from the list, and a date."))
    return [_choice(field, raw[0]), _date(field, raw[1])]


_CLEAN: dict[Kind, Callable[[Field, Any], Any]] = {
    Kind.NONE: _nothing,
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.TWO_DATES: _two_dates,
    Kind.DAYS: _days,
    Kind.CHOICE: _choice,
    Kind.CHOICE_AND_DATE: _choice_and_date,
}


def _chosen(field: Field, value: str) -> str:
    return _quoted(str(field.called(value) or value))


def _quoted(words: str) -> str:
    """Add the quotation marks of the reader's language."""
    return _("“%(words)s”") % {"words": words}


def _day(value: str) -> str:
    return date_format(date.fromisoformat(value), "DATE_FORMAT")


_SAY: dict[Kind, Callable[[Field, Any], str]] = {
    Kind.NONE: lambda field, value: "",
    Kind.TEXT: lambda field, value: _quoted(value),
    Kind.NUMBER: lambda field, value: str(number_format(value)),
    Kind.DATE: lambda field, value: _day(value),
    Kind.TWO_DATES: lambda field, value: f"{_day(value[0])} – {_day(value[1])}",
    Kind.DAYS: lambda field, value: _("%(n)d days") % {"n": value},
    Kind.CHOICE: _chosen,
    Kind.CHOICE_AND_DATE: lambda field, value: f"{_chosen(field, value[0])}, {_day(value[1])}",
}


# --- times ------------------------------------------------------------------------------------
def midnight(day: str, *, after: int = 0) -> datetime:
    """Return when a day, or the day `after` days later, begins in the account's time zone."""
    begins = datetime.combine(date.fromisoformat(day) + timedelta(days=after), time())
    return timezone.make_aware(begins, timezone.get_default_timezone())


def days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def days_after(moment: Any, days: int) -> Any:
    return ExpressionWrapper(moment + timedelta(days=days), output_field=DateTimeField())
