"""The rule of a segment: JSON of all / any / not over conditions -> a condition of a query, or a
sentence. Everything goes through a whitelist; what cannot be read is a BadRule in words.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from django.utils.translation import gettext as _

from .conditions import Among, BadValue, Field, Operator
from .counting import over_everybody, there_is_room
from .models import Segment, User
from .person_conditions import fields

VERSION = 1
RECENT = 30  # seconds for which recent_count() remembers
DEEPEST = 6
MOST = 100  # conditions and groups in one rule, segments inside it included
SEGMENT = "segment"
_NEVER = Value(datetime(1970, 1, 1, tzinfo=UTC), output_field=DateTimeField())
_FAR = Value(datetime(2970, 1, 1, tzinfo=UTC), output_field=DateTimeField())
Path = tuple[int, ...]  # places of the groups that lead to a condition


class BadRule(Exception):
    """Why a rule cannot be used, in words, and where: () is the whole."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@dataclass(frozen=True, slots=True)
class Test:
    """One condition about a person."""

    field: Field
    op: Operator
    op_slug: str
    value: Any


@dataclass(frozen=True, slots=True)
class Inside:
    """In another segment: its name, and its rule as it is now."""

    segment: int
    name: str
    rule: "Rule"


@dataclass(frozen=True, slots=True)
class Join:
    """all | any of the parts."""

    how: str
    parts: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Rule"


Rule = Test | Inside | Join | Not


def read(raw: object, *, of: int | None = None) -> Rule:
    """A stored rule, checked. `of`: the segment that it is the rule of, which it may not contain.

    Raises BadRule, whatever the JSON holds.
    """
    if not isinstance(raw, dict) or raw.get("version") != VERSION:
        raise BadRule(_("This rule was not written by this version. Make it anew."))
    inside = {key: value for key, value in raw.items() if key != "version"}
    return _Reader(fields(), [] if of is None else [of]).node(inside, (), 1)


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


def sentence(rule: Rule) -> str:
    """The rule as a person reads it, in the reader's language."""
    said = _said(rule)
    return said[:1].upper() + said[1:]


def written_out(rule: Rule) -> dict[str, Any]:
    """As JSON with the segments inside it written out: what a launch keeps."""
    return {"version": VERSION, **_json(rule)}


def uses(segment_id: int) -> list[Segment]:
    """Segments in whose rule this one stands."""
    others = Segment.objects.exclude(pk=segment_id)
    return [each for each in others if segment_id in set(_named(each.rule))]


_watchers: list[Callable[[set[int]], list[str]]] = []


def ask_about_watchers(names: Callable[[set[int]], list[str]]) -> None:
    """The room of mailings says at start how to ask it: which of its mailings go by these segments as
    they are, so that whoever comes under a changed rule gets them.
    """
    _watchers[:] = [names]


def watchers(segment_id: int) -> list[str]:
    """Names of the mailings that follow a change of this segment, also from one in which it stands."""
    found, new = {segment_id}, {segment_id}
    while new:
        new = {each.pk for known in new for each in uses(known)} - found
        found |= new
    return [name for ask in _watchers for name in ask(found)]


def inside(segment: Segment) -> set[int]:
    """It and the segments in its rule, however deep. Raises BadRule."""
    return {segment.pk, *_insides(read(segment.rule, of=segment.pk))}


class _Reader:
    """Reads one rule; knows how much it has read, and inside which segments it is."""

    def __init__(self, known: dict[str, Field], trail: list[int]) -> None:
        self.known = known
        self.trail = trail
        self.left = MOST

    def node(self, raw: object, path: Path, depth: int) -> Rule:
        self.left -= 1
        if self.left < 0 or depth > DEEPEST:
            raise BadRule(_("The rule is too large. Split it into several segments."), path)
        if not isinstance(raw, dict):
            raise BadRule(_("A part of the rule cannot be read. Remove it."), path)
        match sorted(map(str, raw)):
            case ["all"] | ["any"]:
                how, parts = next(iter(raw.items()))
                return self.join(how, parts, path, depth)
            case ["not"]:
                return Not(self.node(raw["not"], path, depth + 1))
            case ["segment"]:
                return self.inside(raw[SEGMENT], path, depth)
            case ["field", "op", "value"] | ["field", "op"]:
                return self.test(raw, path)
        raise BadRule(_("A part of the rule cannot be read. Remove it."), path)

    def join(self, how: str, parts: object, path: Path, depth: int) -> Join:
        if not isinstance(parts, list) or not parts:
            raise BadRule(_("Add at least one condition."), path)
        read_ = (self.node(each, (*path, n), depth + 1) for n, each in enumerate(parts))
        return Join(how, tuple(read_))

    def test(self, raw: dict[str, Any], path: Path) -> Test:
        field = self.known.get(raw["field"]) if isinstance(raw["field"], str) else None
        if raw["field"] == "":
            raise BadRule(_("Choose what is asked about."), path)
        if field is None:
            raise BadRule(_("This field is no longer there. Choose another."), path)
        op = field.operators.get(raw["op"]) if isinstance(raw["op"], str) else None
        if op is None:
            raise BadRule(_("Choose how to compare."), path)
        try:
            return Test(field, op, raw["op"], field.clean(op, raw.get("value")))
        except BadValue as bad:
            raise BadRule(str(bad), path) from bad

    def inside(self, raw: object, path: Path, depth: int) -> Inside:
        segment = None
        if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw < 2**63:
            segment = Segment.objects.filter(pk=raw).first()
        if segment is None:
            raise BadRule(_("The segment chosen here is no longer there. Choose another."), path)
        if segment.pk in self.trail:
            raise BadRule(_("A segment cannot stand inside itself."), path)
        rule = segment.rule if isinstance(segment.rule, dict) else {}
        parts = {key: value for key, value in rule.items() if key != "version"}
        self.trail.append(segment.pk)
        try:
            found = self.node(parts, path, depth + 1)
        except BadRule as bad:
            words = _("In the segment “%(name)s”: %(why)s") % {
                "name": segment.name,
                "why": bad.message,
            }
            raise BadRule(words, path) from bad
        finally:
            self.trail.pop()
        return Inside(segment.pk, segment.name, found)


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


def _said(rule: Rule) -> str:
    match rule:
        case Test():
            return rule.field.words(rule.op, rule.value)
        case Inside():
            return _("in the segment “%(name)s”") % {"name": rule.name}
        case Not(part=part):
            return _("not (%(rule)s)") % {"rule": _said(part)}
        case Join():
            return _joined(rule.how, [_bracketed(part) for part in rule.parts])


def _bracketed(part: Rule) -> str:
    several = isinstance(part, Join) and len(part.parts) > 1
    return f"({_said(part)})" if several else _said(part)


def _joined(how: str, said: Sequence[str]) -> str:
    word = _("and") if how == "all" else _("or")
    return f" {word} ".join(said)


def _json(rule: Rule) -> dict[str, Any]:
    match rule:
        case Test():
            return {"field": rule.field.slug, "op": rule.op_slug, "value": rule.value}
        case Inside():
            return _json(rule.rule)
        case Not():
            return {"not": _json(rule.part)}
        case Join():
            return {rule.how: [_json(part) for part in rule.parts]}


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


def _named(raw: object) -> Iterator[int]:
    """The segments named anywhere in a stored rule, readable or not."""
    if isinstance(raw, dict):
        if isinstance(raw.get(SEGMENT), int):
            yield raw[SEGMENT]
        raw = list(raw.values())
    if isinstance(raw, list):
        for each in raw:
            yield from _named(each)
