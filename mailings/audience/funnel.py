"""The funnel: how many people get a mailing, and how many do not for which reason, counted over
everybody at once. audience.py selects the people behind each line.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from integrations.reasons import Reason
from mailings.models import Mailing
from users.consent import phone_owners
from users.models import User
from users.segments.big_queries import over_everybody
from users.segments.rules import BadRule

from .audience import matching, rivals, with_reasons
from .exclusions import about_person, about_phone, nothing_to_say
from .spec import AudienceSpec, spec_of

RECENT = 30  # seconds for which recent() caches
SLOW = 0.1  # seconds: a quicker count is repeated on every page


@dataclass(frozen=True, slots=True)
class Funnel:
    """total = everybody under the rule = the excluded, each for one reason, + will_receive."""

    total: int
    excluded: dict[Reason, int]
    will_receive: int
    trouble: str = ""  # why the rule cannot be read, in words; nobody is under it then
    at: datetime | None = field(default=None, compare=False)  # when it was counted, if not just now

    @property
    def left_out(self) -> int:
        return self.total - self.will_receive

    def as_json(self) -> list[Any]:
        """What the cache keeps of it."""
        excluded = {str(reason): n for reason, n in self.excluded.items()}
        at = self.at.isoformat() if self.at else ""
        return [self.total, excluded, self.will_receive, self.trouble, at]

    @classmethod
    def from_json(cls, stored: list[Any]) -> "Funnel":
        total, excluded, will_receive, trouble, at = stored
        reasons = {Reason(reason): n for reason, n in excluded.items()}
        return cls(
            total, reasons, will_receive, trouble, datetime.fromisoformat(at) if at else None
        )


def count(mailing: Mailing | AudienceSpec) -> Funnel:
    """Count now, in a few queries, whatever the number of people. Raises TakesLong if one of them
    takes longer than spec.patience.
    """
    spec = spec_of(mailing)
    try:
        with over_everybody(spec.patience):
            return _counted(spec)
    except BadRule as bad:
        return Funnel(0, {}, 0, trouble=str(bad))


def recent(mailing: Mailing | AudienceSpec) -> Funnel:
    """Return count(), but maybe half a minute old if a form asks with every key typed, or if
    counting took long.
    """
    key = (spec := spec_of(mailing)).key("funnel")
    found: list[Any] | None = cache.get(key)
    if found is not None:
        stored, took = found
        if spec.typed or took > SLOW:
            return Funnel.from_json(stored)
    began = perf_counter()
    counted = count(spec)
    took = perf_counter() - began
    older = replace(counted, at=timezone.now()) if took > SLOW else counted
    cache.set(key, [older.as_json(), took], RECENT)
    return counted


def _counted(spec: AudienceSpec) -> Funnel:
    """Count in one pass over the people, then subtract opt-outs and phones at the cap as sets of
    phones: asking for each person would cost several times as much.
    """
    excluded: Counter[Reason] = Counter()
    reasons = about_person(spec)
    # Not grouped by why_not: the planner would expect as many groups as phones, and sort for them.
    found = with_reasons(spec, reasons).aggregate(
        fit=Count("id", filter=Q(why_not="")),
        alone=Count("id", filter=Q(why_not="") & phone_owners.alone() & phone_owners.any_held()),
        **{each.reason.value: Count("id", filter=Q(why_not=each.reason)) for each in reasons},
    )
    fit, alone = found.pop("fit"), found.pop("alone")
    excluded.update({Reason(reason): n for reason, n in found.items()})
    # Filter by the conditions, not by why_not="": there are no statistics for the CASE, and the
    # planner would expect a handful of rows.
    left = matching(spec).filter(*[each.others for each in reasons]).order_by()
    speaking, phones = _people_and_phones(spec, left)
    # A person may be added between two queries.
    mute = max(fit - speaking, 0) if spec.needs else 0
    for each in about_phone(spec):
        of_them = left.filter(each.holds)
        people = of_them.count() if spec.needs else 0
        said, theirs = _people_and_phones(spec, of_them)
        people = people or said
        excluded[each.reason] += people
        mute -= people - said
        speaking -= said
        phones -= theirs
        left = left.filter(each.others)
    phones -= _phones_of_others(spec, left) if alone else 0
    excluded[Reason.EMPTY_TEXT] = mute
    excluded[Reason.SAME_PHONE] = speaking - phones
    told = {reason: excluded[reason] for reason in Reason if excluded[reason]}
    return Funnel(sum(told.values()) + phones, told, phones)


def _phones_of_others(spec: AudienceSpec, people: "QuerySet[User]") -> int:
    """Count the phones that these people only claim and that no rival gets a message on."""
    claims = people.filter(phone_owners.claim())
    if spec.needs:
        claims = claims.exclude(nothing_to_say(spec))
    claimed = set(claims.values_list("phone", flat=True))
    if not claimed:
        return 0
    taken = rivals(spec).filter(phone__in=claimed).values_list("phone", flat=True)
    return len(claimed - set(taken))


def _people_and_phones(spec: AudienceSpec, people: "QuerySet[User]") -> tuple[int, int]:
    """Count the people for whom the text is not empty, and their phones."""
    if spec.needs:
        people = people.exclude(nothing_to_say(spec))
    by_phone = people.values("phone").annotate(n=Count("id"))
    sums = by_phone.aggregate(people=Sum("n"), phones=Count("phone"))
    return sums["people"] or 0, sums["phones"]
