"""Who is under a rule (rules.py): as a condition of a query, counted, since when, and what keeps a
person out. And which segments and mailings go by a segment.
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

RECENT = 30  # seconds for which recent_count() remembers
_NEVER = Value(datetime(1970, 1, 1, tzinfo=UTC), output_field=DateTimeField())
_FAR = Value(datetime(2970, 1, 1, tzinfo=UTC), output_field=DateTimeField())


def condition(rule: Rule) -> Q:
    """Over User. Nothing joins: a person comes once, whatever the rule."""
    return _condition(rule, holds=True)


def since(rule: Rule) -> Any | None:
    """Since when the rule holds for those who are under it, as an expression over User: the latest of
    the dates that its conditions carry (of the parts of "or", the earliest that holds). NULL for
    whom there is none; None when no condition carries any.
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
            # A part that carries none may have held for ever: it says nothing.
            held = [
                Case(When(condition(part), then=date), output_field=DateTimeField())
                for part in rule.parts
                if (date := since(part)) is not None
            ]
            return _ends(Least, held, _FAR) if held else None


def missing(rule: Rule, person: User) -> list[str]:
    """What keeps the person from being under the rule, as sentences; [] when nothing does."""
    if User.objects.filter(condition(rule), pk=person.pk).exists():
        return []
    match rule:
        case Inside():
            return missing(rule.rule, person)
        case Join(how="all"):
            return [each for part in rule.parts for each in missing(part, person)]
    return [sentence(rule)]


def people(rule: Rule) -> QuerySet[User]:
    """Everybody under it who is there at all."""
    return User.objects.filter(condition(rule), is_active=True)


def count(rule: Rule, seconds: float | None = None) -> int:
    """Raises TakesLong when it takes longer than so many seconds."""
    with over_everybody(seconds):
        return people(rule).count()


def recent_count(rule: Rule, seconds: float | None = None) -> int:
    """As count(), but maybe half a minute old: for what is asked with every key typed."""
    written = json.dumps(written_out(rule), sort_keys=True)
    key = f"rule-{sha256(written.encode()).hexdigest()}"
    found: int | None = cache.get(key)
    if found is None:
        found = count(rule, seconds)
        cache.set(key, found, RECENT)
    return found


def recount(segment: Segment, seconds: float | None = None) -> int:
    """Count now, and remember it for the list. Raises BadRule, and TakesLong as count()."""
    found = count(read(segment.rule, of=segment.pk), seconds)
    Segment.objects.filter(pk=segment.pk).update(counted=found, counted_at=timezone.now())
    return found


def uses(segment_id: int) -> list[Segment]:
    """Segments in whose rule this one stands."""
    others = Segment.objects.exclude(pk=segment_id)
    return [
        each
        for each in others
        if segment_id in (part.get(SEGMENT) for part in every_part(each.rule))
    ]


# Names of the mailings that go by these segments as they are: whoever comes under a changed rule gets them.
watching_mailings: Hook[Callable[[set[int]], list[str]]] = Hook(lambda _segments: [])


def watchers(segment_id: int) -> list[str]:
    """Names of the mailings that follow a change of this segment, also from one in which it stands."""
    found, new = {segment_id}, {segment_id}
    while new:
        new = {each.pk for known in new for each in uses(known)} - found
        found |= new
    return watching_mailings.given(found)


def inside(segment: Segment) -> set[int]:
    """It and the segments in its rule, however deep. Raises BadRule."""
    return {segment.pk, *_insides(read(segment.rule, of=segment.pk))}


def _ends(of: type[Greatest] | type[Least], dates: list[Any], none: Value) -> Any:
    """The latest or the earliest. The databases differ about NULL among them: it does not count."""
    if len(dates) == 1:
        return dates[0]
    filled = [Coalesce(date, none, output_field=DateTimeField()) for date in dates]
    return NullIf(of(*filled, output_field=DateTimeField()), none)


def _condition(rule: Rule, *, holds: bool) -> Q:
    """That the rule holds, or that it does not. A "not" goes down to the single conditions, because a
    database looks for "in no such row" all at once, and for "not (in such a row or ...)" one by one.
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
    """What cannot be said (a value is missing) is not so: NOT NULL would be neither."""

    template = "(%(expressions)s) IS NOT TRUE"
    output_field = BooleanField()

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().as_sql(*args, **kwargs)
        except EmptyResultSet:  # nobody, as Django sees without asking
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
