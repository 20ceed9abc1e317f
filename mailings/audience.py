"""The funnel: who gets a mailing, who does not and why. One queryset serves the count before the
launch and the preparation after it, so the two cannot disagree. Reads only.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Value, When

from integrations.reasons import Reason
from users import consent
from users.models import Group, Membership, User

from .models import Mailing, Message


class Candidate(NamedTuple):
    """One person under the rule of a mailing; why_not is '' or the Reason to be left out."""

    id: int
    first_name: str
    last_name: str
    email: str
    phone: str
    why_not: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a form names before it is saved: as much of a Mailing as the funnel needs."""

    everyone: bool
    groups: QuerySet[Group]
    only_confirmed: bool


@dataclass(frozen=True, slots=True)
class Funnel:
    """total = everybody under the rule = excluded, each for one reason, + will_receive."""

    total: int
    excluded: dict[Reason, int]
    will_receive: int

    @property
    def left_out(self) -> int:
        return self.total - self.will_receive


def funnel(mailing: Mailing | Choice) -> Funnel:
    """Two queries, whatever the number of people."""
    rows = (
        people(mailing)
        .order_by()
        .values("why_not")
        .annotate(people=Count("id"), phones=Count("phone", distinct=True))
    )
    counts = {row["why_not"]: (row["people"], row["phones"]) for row in rows}
    fit, phones = counts.pop("", (0, 0))
    excluded = {reason: counts[reason][0] for reason in Reason if reason in counts}
    if fit > phones:
        excluded[Reason.SAME_PHONE] = fit - phones
    return Funnel(total=sum(excluded.values()) + phones, excluded=excluded, will_receive=phones)


def candidates(mailing: Mailing, limit: int) -> list[Candidate]:
    """The next people after the mailing's cursor, up to its ceiling, by id."""
    rows = people(mailing).filter(id__gt=mailing.cursor, id__lte=mailing.ceiling)
    fields = rows.order_by("id").values_list(*Candidate._fields)
    return [Candidate(*row) for row in fields[:limit]]


def to_come(mailing: Mailing) -> int:
    """How many phones between cursor and ceiling would still get a message of their own."""
    rest = people(mailing).filter(id__gt=mailing.cursor, id__lte=mailing.ceiling, why_not="")
    have_one = Message.objects.filter(mailing=mailing.id, key=OuterRef("phone"))
    return rest.exclude(Exists(have_one)).values("phone").distinct().count()


def people(mailing: Mailing | Choice) -> "QuerySet[Any]":
    """Everybody under the rule, with why_not: the first reason that holds, in the funnel's order.

    Two people with one phone both have '' here: the one with the lower id gets the SMS, the
    other is left out as SAME_PHONE.
    """
    chosen = User.objects.filter(is_active=True)
    if not mailing.everyone:
        # A semi-join, so that a person in two of the groups comes once.
        members = Membership.objects.filter(
            group_id__in=mailing.groups.values("id"), user_id=OuterRef("id")
        )
        chosen = chosen.filter(Exists(members))
    unconfirmed = (
        [When(phone_confirmed_at__isnull=True, then=Value(Reason.NOT_CONFIRMED))]
        if mailing.only_confirmed
        else []
    )
    return chosen.annotate(
        why_not=Case(
            When(phone="", then=Value(Reason.NO_PHONE)),
            When(~Q(phone__startswith="+"), then=Value(Reason.BAD_PHONE)),
            *unconfirmed,
            When(sms_forbidden=True, then=Value(Reason.FORBIDDEN)),
            When(consent.opted_out("phone"), then=Value(Reason.OPTED_OUT)),
            default=Value(""),
            output_field=CharField(),
        )
    )


def newest() -> int:
    """The ceiling of a mailing launched now: who registers later is not in it."""
    return User.objects.order_by("-id").values_list("id", flat=True).first() or 0
