"""Which people match a rule (rules.py): as a query condition, as a count, since when, and what
excludes a person. Also which segments and mailings use a segment.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import reduce
from hashlib import sha256
from operator import and_, or_
from typing import Any

from django.core.cache import cache
from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import (
    BooleanField,
    Case,
    DateTimeField,
    Exists,
    Func,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Greatest, Least, NullIf
from django.utils import timezone

from users.hooks import Hook
from users.models import Segment, User

from .big_queries import over_everybody, there_is_room
from .conditions import Among
from .rules import SEGMENT, Inside, Join, Not, Rule, Test, every_part, read, sentence, written_out

RECENT = 30  # seconds for which recent_count() caches a count
_NEVER = Value(datetime(1970, 1, 1, tzinfo=UTC), output_field=DateTimeField())
_FAR = Value(datetime(2970, 1, 1, tzinfo=UTC), output_field=DateTimeField())


def condition(rule: Rule) -> Q:
    """Return a condition over User. It joins nothing, so a person appears once, whatever the rule."""
    return _condition(rule, holds=True)


def since(rule: Rule) -> Any | None:
    """Return an expression over User for when the rule began to hold, for people who match it: the
    latest date of its conditions (for "or", the earliest date of the parts that hold). It is NULL for
    people without such a date; None if no condition has one.
    """
    match rule:
        case Test():
            return rule.op.since(rule.value) if rule.op.since else None
        case Inside():
            return since(rule.rule)
        case Not():
            return None
        case Join(how="all"):
            dates = [date for part in rule.parts if (date := since(part)) is not None]
            return _ends(Greatest, dates, _NEVER) if dates else None
        case Join():
            # A part without a date may have held for ever, so it is ignored.
            held = [
                Case(When(condition(part), then=date), output_field=DateTimeField())
                for part in rule.parts
                if (date := since(part)) is not None
            ]
            return _ends(Least, held, _FAR) if held else None


def missing(rule: Rule, person: User) -> list[str]:
    """Return what keeps the person from matching the rule, as sentences; [] if they match."""
    if User.objects.filter(condition(rule), pk=person.pk).exists():
        return []
    match rule:
        case Inside():
            return missing(rule.rule, person)
        case Join(how="all"):
            return [each for part in rule.parts for each in missing(part, person)]
    return [sentence(rule)]


def people(rule: Rule) -> QuerySet[User]:
    """Return all active people who match the rule."""
    return User.objects.filter(condition(rule), is_active=True)


def count(rule: Rule, seconds: float | None = None) -> int:
    """Count the active people who match. Raises TakesLong if one query takes longer than `seconds`."""
    with over_everybody(seconds):
        return people(rule).count()


def recent_count(rule: Rule, seconds: float | None = None) -> int:
    """Like count(), but up to RECENT seconds old: for requests at every keystroke. Raises
    TakesLong.
    """
    written = json.dumps(written_out(rule), sort_keys=True)
    key = f"rule-{sha256(written.encode()).hexdigest()}"
    found: int | None = cache.get(key)
    if found is None:
        found = count(rule, seconds)
        cache.set(key, found, RECENT)
    return found


def recount(segment: Segment, seconds: float | None = None) -> int:
    """Count now, and store the result for the list. Raises BadRule and TakesLong."""
    found = count(read(segment.rule, of=segment.pk), seconds)
    Segment.objects.filter(pk=segment.pk).update(counted=found, counted_at=timezone.now())
    return found


def uses(segment_id: int) -> list[Segment]:
    """Return the segments whose rules contain this one."""
    others = Segment.objects.exclude(pk=segment_id)
    return [
        each
        for each in others
        if segment_id in (part.get(SEGMENT) for part in every_part(each.rule))
    ]


# Names of the mailings that go by these segments as they are: whoever comes under a changed rule gets them.
watching_mailings: Hook[Callable[[set[int]], list[str]]] = Hook(lambda _segments: [])


def watchers(segment_id: int) -> list[str]:
    """Return the names of the mailings that a change of this segment affects, also through segments
    that contain it.
    """
    found, new = {segment_id}, {segment_id}
    while new:
        new = {each.pk for known in new for each in uses(known)} - found
        found |= new
    return watching_mailings.given(found)


def inside(segment: Segment) -> set[int]:
    """Return the ids of this segment and of all segments in its rule, at any depth. Raises BadRule."""
    return {segment.pk, *_insides(read(segment.rule, of=segment.pk))}


def _ends(of: type[Greatest] | type[Least], dates: list[Any], none: Value) -> Any:
    """Return the latest or the earliest date. The databases treat NULL differently here, so it is
    left out.
    """
    if len(dates) == 1:
        return dates[0]
    filled = [Coalesce(date, none, output_field=DateTimeField()) for date in dates]
    return NullIf(of(*filled, output_field=DateTimeField()), none)


def _condition(rule: Rule, *, holds: bool) -> Q:
    """The rule holds, or does not hold. A "not" is pushed down to the single conditions, because a
    database evaluates "in no such row" as one anti-join, but "not (in such a row or ...)" per person.
    """
    match rule:
        case Test():
            q = rule.op.q(rule.value)
            return q if holds else _not_so(q)
        case Inside():
            return _condition(rule.rule, holds=holds)
        case Not():
            return _condition(rule.part, holds=not holds)
        case Join():
            every = (rule.how == "all") == holds
            parts = [_condition(part, holds=holds) for part in rule.parts]
            if every:
                return reduce(and_, parts)
            return reduce(or_, [_listed(part) for part in parts] if there_is_room() else parts)


def _listed(q: Q) -> Q:
    children: list[Any] = [] if q.negated else list(q.children)
    match children:
        case [Among() as one]:
            return one.listed()
    return q


def _not_so(q: Q) -> Q:
    if len(q.children) == 1 and isinstance(q.children[0], Exists):
        return ~q
    return Q(_NotTrue(q))


class _NotTrue(Func):
    """A condition on a missing value counts as false: NOT NULL would be neither true nor false."""

    template = "(%(expressions)s) IS NOT TRUE"
    output_field = BooleanField()

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().as_sql(*args, **kwargs)
        except EmptyResultSet:  # Django knows without a query that nobody matches
            raise FullResultSet from None


def _insides(rule: Rule) -> Iterator[int]:
    match rule:
        case Inside():
            yield rule.segment
            yield from _insides(rule.rule)
        case Not():
            yield from _insides(rule.part)
        case Join():
            for part in rule.parts:
                yield from _insides(part)
