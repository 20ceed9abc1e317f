"""What a rule may ask about a person: the closed list of fields, with the installation's own fields.
conditions.py says what a field is.
"""

from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, Q, Subquery
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from users.consent import consent
from users.models import Group, Membership, OwnField
from users.rights import Role

from .conditions import (
    Among,
    Field,
    Kind,
    Operator,
    Words,
    days_after,
    days_ago,
    midnight,
    registered,
)


def fields() -> dict[str, Field]:
    """Return every field that exists now, by slug."""
    own = [_own(each) for each in OwnField.objects.all() if "__" not in each.slug]
    return {each.slug: each for each in (*_STANDARD, *own)} | registered()


def headings() -> list[Words]:
    """Return each heading once, in the order of the list."""
    return list(
        dict.fromkeys([PERSON, PHONE, *(each.heading for each in registered().values()), OWN])
    )


# --- operators --------------------------------------------------------------------------------
def _cases(typed: str) -> list[str]:
    """Return the common casings of the words: SQLite ignores case in ASCII only, and exact matches
    can use an index on the column.
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
    """Operators for a date that may be missing; a missing date is neither before nor after any
    other. once: the date never changes, so it also says since when the condition has held.
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


def _group_name(key: str) -> Words | None:
    """Of one group, by the key as _groups() writes it: without a look at all the others."""
    if not key.isascii() or not key.isdecimal() or len(key) > 18 or key != str(int(key)):
        return None
    return Group.objects.filter(pk=int(key)).values_list("name", flat=True).first()


def _languages() -> list[tuple[str, Words]]:
    return list(settings.LANGUAGES)


PERSON = gettext_lazy("Person")
PHONE = gettext_lazy("Phone and SMS")
OWN = gettext_lazy("Own fields")
_STANDARD = (
    Field("group", gettext_lazy("Group"), PERSON, _GROUP, _groups, _group_name),
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
    """Build a field from an own field. Its values are in User.fields, where the key may be missing.
    Every look-up is spelled out, so that a field called "contains" is read as a key.
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
        OwnField.Kind.DATE: {  # ISO dates sort as text
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
