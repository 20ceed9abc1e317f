"""What a rule may ask about a person: fields, their operators, and the values these take. A closed
list; the room of mailings adds its own at start (register). How they are joined is in segments.py.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db.models import (
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import consent
from .models import Group, Membership, OwnField
from .rights import Role

Words = str | Promise
Choices = Callable[[], list[tuple[str, Words]]]
LONGEST = 200
MOST_DAYS = 3650
LARGEST = 10**15


class Kind(StrEnum):
    """What has to be typed beside an operator."""

    NONE = "none"
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    TWO_DATES = "two_dates"
    DAYS = "days"
    CHOICE = "choice"
    CHOICE_AND_DATE = "choice_and_date"


class BadValue(Exception):
    """What was typed does not fit the operator: why, in words."""


class Among(Exists):
    """One of the people whom some rows name, each row one. Exists finds a person's row by an index;
    listed() reads all rows first: inside "or" that took a fifth to a half of the time of a million
    look-ups.
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
    q: Callable[[Any], Q]  # from the value as clean() gives it
    # Since when it holds for those for whom it does: an expression over User. None: no date tells.
    since: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    slug: str
    label: Words
    heading: Words  # under which a list of fields shows it
    operators: Mapping[str, Operator]
    choices: Choices | None = None
    # The name of one value, None if there is none such; where not all there are can be offered.
    name_of: Callable[[str], Words | None] | None = None

    def called(self, value: str) -> Words | None:
        """A choice by its name; None when it is not there (any more)."""
        if self.name_of is not None:
            return self.name_of(value)
        return dict(self.choices()).get(value) if self.choices else None

    def clean(self, op: Operator, raw: Any) -> Any:
        """The value as it is stored: JSON. Raises BadValue."""
        return _CLEAN[op.kind](self, raw)

    def words(self, op: Operator, value: Any) -> str:
        """One condition as a person reads it."""
        said = _SAY[op.kind](self, value)
        return " ".join(str(each) for each in (self.label, op.label, said) if each)


_registered: dict[str, Field] = {}


def register(field: Field) -> None:
    """A field that another room knows about. Called once, at start."""
    _registered[field.slug] = field


def fields() -> dict[str, Field]:
    """Every field there is now, by slug."""
    own = [_own(each) for each in OwnField.objects.all() if "__" not in each.slug]
    return {each.slug: each for each in (*_STANDARD, *own)} | _registered


def headings() -> list[Words]:
    """In the order of the list, each once."""
    return list(
        dict.fromkeys([PERSON, PHONE, *(each.heading for each in _registered.values()), OWN])
    )


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
    return f"“{field.called(value) or value}”"


def _day(value: str) -> str:
    return date_format(date.fromisoformat(value), "DATE_FORMAT")


_SAY: dict[Kind, Callable[[Field, Any], str]] = {
    Kind.NONE: lambda field, value: "",
    Kind.TEXT: lambda field, value: f"“{value}”",
    Kind.NUMBER: lambda field, value: str(number_format(value)),
    Kind.DATE: lambda field, value: _day(value),
    Kind.TWO_DATES: lambda field, value: f"{_day(value[0])} – {_day(value[1])}",
    Kind.DAYS: lambda field, value: _("%(n)d days") % {"n": value},
    Kind.CHOICE: _chosen,
    Kind.CHOICE_AND_DATE: lambda field, value: f"{_chosen(field, value[0])}, {_day(value[1])}",
}


# --- operators --------------------------------------------------------------------------------
def midnight(day: str, *, after: int = 0) -> datetime:
    """When a day begins in the account's time zone, or so many days later."""
    begins = datetime.combine(date.fromisoformat(day) + timedelta(days=after), time())
    return timezone.make_aware(begins, timezone.get_default_timezone())


def days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _cases(typed: str) -> list[str]:
    """The casings in which words are written: SQLite folds the case of ASCII only, and an index on
    the column serves all of them.
    """
    return sorted({typed, typed.lower(), typed.upper(), typed.capitalize(), typed.title()})


def _cased(lookup: str, typed: str) -> Q:
    return reduce(or_, (Q(**{lookup: each}) for each in _cases(typed)))


def _texts(column: str) -> dict[str, Operator]:
    return {
        "is": Operator(gettext_lazy("is"), Kind.TEXT, lambda v: Q(**{f"{column}__in": _cases(v)})),
        "is_not": Operator(
            gettext_lazy("is not"), Kind.TEXT, lambda v: ~Q(**{f"{column}__in": _cases(v)})
        ),
        "contains": Operator(
            gettext_lazy("contains"), Kind.TEXT, lambda v: _cased(f"{column}__contains", v)
        ),
        "empty": Operator(gettext_lazy("is empty"), Kind.NONE, lambda v: Q(**{column: ""})),
        "filled": Operator(gettext_lazy("is filled in"), Kind.NONE, lambda v: ~Q(**{column: ""})),
    }


def _moments(column: str, *, once: bool) -> dict[str, Operator]:
    """For a moment that may be missing; what is missing is neither before nor after. once: it never
    changes, so that it also says since when it is so.
    """

    def q(lookup: str, moment: datetime) -> Q:
        return Q(**{f"{column}__isnull": False, f"{column}__{lookup}": moment})

    since = (lambda v: F(column)) if once else None
    return {
        "between": Operator(
            gettext_lazy("between"),
            Kind.TWO_DATES,
            lambda v: q("gte", midnight(v[0])) & q("lt", midnight(v[1], after=1)),
            since,
        ),
        "since": Operator(gettext_lazy("since"), Kind.DATE, lambda v: q("gte", midnight(v)), since),
        "before": Operator(
            gettext_lazy("before"), Kind.DATE, lambda v: q("lt", midnight(v)), since
        ),
        "in_days": Operator(
            gettext_lazy("in the last"), Kind.DAYS, lambda v: q("gte", days_ago(v)), since
        ),
        "not_in_days": Operator(
            gettext_lazy("not in the last"),
            Kind.DAYS,
            lambda v: Q(**{f"{column}__isnull": True}) | q("lt", days_ago(v)),
            lambda v: days_after(F(column), v),
        ),
    }


def days_after(moment: Any, days: int) -> Any:
    return ExpressionWrapper(moment + timedelta(days=days), output_field=DateTimeField())


def _one_of(column: str) -> dict[str, Operator]:
    return {
        "is": Operator(gettext_lazy("is"), Kind.CHOICE, lambda v: Q(**{column: v})),
        "is_not": Operator(gettext_lazy("is not"), Kind.CHOICE, lambda v: ~Q(**{column: v})),
        "empty": Operator(gettext_lazy("is empty"), Kind.NONE, lambda v: Q(**{column: ""})),
    }


def _state(label: Words, q: Q) -> Operator:
    return Operator(label, Kind.NONE, lambda value: q)


def _in_group(group: str, **added: datetime) -> Q:
    return Q(Among(Membership.objects.filter(group_id=int(group), **added)))


def _added(group: str) -> Subquery:
    membership = Membership.objects.filter(user_id=OuterRef("id"), group_id=int(group))
    return Subquery(membership.values("added_at"))


_GROUP = {
    "in": Operator(gettext_lazy("is in"), Kind.CHOICE, _in_group, _added),
    "not_in": Operator(gettext_lazy("is not in"), Kind.CHOICE, lambda v: ~_in_group(v)),
    "since": Operator(
        gettext_lazy("is in, added since"),
        Kind.CHOICE_AND_DATE,
        lambda v: _in_group(v[0], added_at__gte=midnight(v[1])),
        lambda v: _added(v[0]),
    ),
    "before": Operator(
        gettext_lazy("is in, added before"),
        Kind.CHOICE_AND_DATE,
        lambda v: _in_group(v[0], added_at__lt=midnight(v[1])),
        lambda v: _added(v[0]),
    ),
}
_PHONE = {
    "present": _state(gettext_lazy("is there"), ~Q(phone="")),
    "absent": _state(gettext_lazy("is missing"), Q(phone="")),
    "confirmed": Operator(
        gettext_lazy("is confirmed"),
        Kind.NONE,
        lambda v: Q(phone_confirmed_at__isnull=False) & ~Q(phone=""),
        lambda v: F("phone_confirmed_at"),
    ),
    "unconfirmed": _state(
        gettext_lazy("is not confirmed"), Q(phone_confirmed_at__isnull=True) & ~Q(phone="")
    ),
}
_SMS = {
    "forbidden": _state(gettext_lazy("are forbidden in the profile"), Q(sms_forbidden=True)),
    "allowed": _state(gettext_lazy("are not forbidden in the profile"), Q(sms_forbidden=False)),
    "opted_out": _state(gettext_lazy("do not come: opted out"), Q(consent.opted_out("phone"))),
}


def _groups() -> list[tuple[str, Words]]:
    return [(str(each.pk), each.name) for each in Group.objects.all()]


def _languages() -> list[tuple[str, Words]]:
    return list(settings.LANGUAGES)


PERSON = gettext_lazy("Person")
PHONE = gettext_lazy("Phone and SMS")
OWN = gettext_lazy("Own fields")
_STANDARD = (
    Field("group", gettext_lazy("Group"), PERSON, _GROUP, _groups),
    Field("city", gettext_lazy("City"), PERSON, _texts("city")),
    Field("first_name", gettext_lazy("First name"), PERSON, _texts("first_name")),
    Field("last_name", gettext_lazy("Last name"), PERSON, _texts("last_name")),
    Field("email", gettext_lazy("E-mail"), PERSON, _texts("email")),
    Field("role", gettext_lazy("Type"), PERSON, _one_of("role"), lambda: list(Role.choices)),
    Field("registered", gettext_lazy("Registered"), PERSON, _moments("date_joined", once=True)),
    Field("seen", gettext_lazy("Last seen"), PERSON, _moments("last_seen_at", once=False)),
    Field("language", gettext_lazy("Language"), PERSON, _one_of("language"), _languages),
    Field("time_zone", gettext_lazy("Time zone"), PERSON, _texts("time_zone")),
    Field("phone", gettext_lazy("Phone"), PHONE, _PHONE),
    Field("sms", gettext_lazy("SMS"), PHONE, _SMS),
)


def _own(own: OwnField) -> Field:
    """A field of this school: its values are in User.fields, where a key may be missing. Lookups are
    named to the end, so that a field called "contains" is a key and no lookup.
    """

    def compared(lookup: str, value: Any) -> Q:
        return Q(**{f"fields__{own.slug}__{lookup}": value})

    def cased(lookup: str, typed: str) -> Q:
        return reduce(or_, (compared(lookup, each) for each in _cases(typed)))

    def typed(label: Promise, kind: Kind, lookup: str) -> Operator:
        return Operator(label, kind, lambda value: compared(lookup, value))

    filled = Q(fields__has_key=own.slug) & ~compared("exact", "")
    by_kind = {
        OwnField.Kind.TEXT: {
            "is": Operator(gettext_lazy("is"), Kind.TEXT, lambda v: compared("in", _cases(v))),
            "contains": Operator(
                gettext_lazy("contains"), Kind.TEXT, lambda v: cased("icontains", v)
            ),
        },
        OwnField.Kind.NUMBER: {
            "is": typed(gettext_lazy("is"), Kind.NUMBER, "exact"),
            "above": typed(gettext_lazy("is more than"), Kind.NUMBER, "gt"),
            "below": typed(gettext_lazy("is less than"), Kind.NUMBER, "lt"),
        },
        OwnField.Kind.DATE: {  # ISO dates compare as texts
            "since": typed(gettext_lazy("since"), Kind.DATE, "gte"),
            "before": typed(gettext_lazy("before"), Kind.DATE, "lt"),
        },
        OwnField.Kind.YES_NO: {
            "yes": _state(gettext_lazy("is yes"), compared("exact", value=True)),
            "no": _state(gettext_lazy("is no"), compared("exact", value=False)),
        },
    }
    known = by_kind[OwnField.Kind(own.kind)]
    operators = known | {"filled": _state(gettext_lazy("is filled in"), filled)}
    return Field(f"own:{own.slug}", own.label, OWN, operators)
