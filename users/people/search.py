"""Finding people for the list: turns a query string into one page of people. Only reads."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from smsmail.web import query
from smsmail.web.paging import before
from users.models import Group, Membership, User
from users.rights import Role

PAGE = 50
MOST_COUNTED = 1000  # a search for words counts at most this many people


@dataclass(frozen=True, slots=True)
class PeopleQuery:
    """The filters of the list. An unknown filter matches nobody and sets `unknown`."""

    q: str = ""
    group: int | None = None
    role: str = ""
    only: str = ""  # one of ONLY
    before: int | None = None  # keyset: ids below this one
    unknown: bool = False

    @classmethod
    def from_address(cls, asked: QueryDict) -> "PeopleQuery":
        role, only, group = (asked.get(name, "") for name in ("role", "only", "group"))
        number = query.number(group)
        known_group = not group or (number is not None and _is_group(number))
        known = known_group and role in {"", *Role.values} and only in {"", *ONLY}
        return cls(
            q=query.search_text(asked.get("q", "")),
            group=number if known else None,
            role=role if known else "",
            only=only if known else "",
            before=before(asked.get("before", "")),
            unknown=not known,
        )

    @property
    def narrows(self) -> bool:
        return bool(self.q or self.group or self.role or self.only or self.unknown)

    @property
    def only_group(self) -> bool:
        return bool(self.group) and not self.unknown and not (self.q or self.role or self.only)

    def address(self, **changes: str | int | None) -> str:
        """The query string of the same list with other filters, from its first page."""
        wanted = {"q": self.q, "group": self.group, "role": self.role, "only": self.only}
        asked = {name: value for name, value in {**wanted, **changes}.items() if value}
        return f"?{urlencode(asked)}"


ONLY = {
    "forbidden": _("SMS forbidden"),
    "no-phone": _("No phone"),
    "unconfirmed": _("Phone not confirmed"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One link above the list. Clicking it again removes the filter."""

    label: str | Promise
    address: str
    on: bool


def filters(wanted: PeopleQuery) -> list[Filter]:
    nothing = not (wanted.role or wanted.only or wanted.unknown)
    everybody = Filter(_("Everybody"), wanted.address(role="", only=""), nothing)
    roles = [
        Filter(label, wanted.address(role="" if wanted.role == role else role), wanted.role == role)
        for role, label in Role.choices
    ]
    only = [
        Filter(label, wanted.address(only="" if wanted.only == word else word), wanted.only == word)
        for word, label in ONLY.items()
    ]
    return [everybody, *roles, *only]


def find(wanted: PeopleQuery) -> QuerySet[User]:
    """Return everybody who matches the filters, newest first."""
    people = User.objects.order_by("-id")
    if wanted.unknown:
        return people.none()
    for word in _words(wanted.q):
        people = people.filter(search__contains=word)
    if wanted.group:
        people = people.filter(groups=wanted.group)
    if wanted.role:
        people = people.filter(role=wanted.role)
    match wanted.only:
        case "forbidden":
            people = people.filter(sms_forbidden=True)
        case "no-phone":
            people = people.filter(phone="")
        case "unconfirmed":
            people = people.exclude(phone="").filter(phone_confirmed_at=None)
    return people


def total(wanted: PeopleQuery) -> tuple[int, bool]:
    """Return how many people match, and whether there are more than that: a search for words stops
    counting at MOST_COUNTED.
    """
    if wanted.q:
        counted = find(wanted)[: MOST_COUNTED + 1].count()
        return min(counted, MOST_COUNTED), counted > MOST_COUNTED
    if wanted.only_group:
        return Membership.objects.filter(group=wanted.group).count(), False
    return find(wanted).count(), False


def page(wanted: PeopleQuery) -> tuple[list[User], int | None]:
    """Return one page, and the id below which the next one begins (None on the last). No OFFSET, so
    that the last page is as fast as the first.
    """
    people = find(wanted).prefetch_related("groups")
    if wanted.before:
        people = people.filter(id__lt=wanted.before)
    rows = list(people[: PAGE + 1])
    return rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None


def _words(typed: str) -> list[str]:
    """Every word must match. A phone, however it is typed, is searched for by its digits."""
    digits = re.sub(r"\D", "", typed)
    if len(digits) >= 4 and not re.search(r"[^\d\s()+.-]", typed):
        return [digits[1:] if len(digits) == 11 and digits.startswith("8") else digits]
    return typed.lower().split()


def _is_group(number: int) -> bool:
    return Group.objects.filter(id=number).exists()
