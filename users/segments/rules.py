"""The rule of a segment: JSON of all / any / not over conditions, read through a whitelist, shown as a
sentence, and written out again. An unreadable rule raises BadRule with the reason. segments.py finds the
people.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from users.models import Segment

from .conditions import BadValue, Field, Operator
from .person_conditions import fields

VERSION = 1
DEEPEST = 6
MOST = 100  # conditions and groups in one rule, including those of the segments inside it
SEGMENT = "segment"
Path = tuple[int, ...]  # positions that lead from the root to a condition


class BadRule(Exception):
    """The rule cannot be used; `message` says why and `path` where. () is the whole rule."""

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
    """The person is in another segment; holds its name and its current rule."""

    segment: int
    name: str
    rule: "Rule"


@dataclass(frozen=True, slots=True)
class Join:
    """All or any of the parts hold."""

    how: str
    parts: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Rule"


Rule = Test | Inside | Join | Not


def read(raw: object, *, of: int | None = None) -> Rule:
    """Check a stored rule and return it. `of`: the id of the segment that has this rule, which must
    not contain itself.

    Raises BadRule and nothing else, whatever the JSON holds.
    """
    if not isinstance(raw, dict) or raw.get("version") != VERSION:
        raise BadRule(_("This rule was not written by this version. Make it anew."))
    inside = {key: value for key, value in raw.items() if key != "version"}
    return _Reader(fields(), [] if of is None else [of]).node(inside, (), 1)


def every_part(raw: object) -> Iterator[dict[str, Any]]:
    """Yield every dict anywhere in a stored rule, readable or not."""
    if isinstance(raw, dict):
        yield raw
        raw = list(raw.values())
    if isinstance(raw, list):
        for each in raw:
            yield from every_part(each)


def sentence(rule: Rule) -> str:
    """Return the rule as a sentence in the reader's language."""
    said = _said(rule)
    return said[:1].upper() + said[1:]


def written_out(rule: Rule) -> dict[str, Any]:
    """Return the rule as JSON with the segments inside it expanded: this is what a launch stores."""
    return {"version": VERSION, **_json(rule)}


class _Reader:
    """Reads one rule and tracks how much it has read and which segments it is inside."""

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
