"""The rows of a rule on a page: reads stored or posted data into rows and turns them back into JSON. Nothing
that was chosen or typed is lost, right or wrong; rules.read() finds the errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from smsmail.web import query
from users.models import Segment

from . import conditions, person_conditions, rules, segments
from .conditions import Field, Kind, Operator, Words

MATCHES: dict[str, Promise] = {
    "all": gettext_lazy("all of these"),
    "any": gettext_lazy("at least one of these"),
    "none": gettext_lazy("none of these"),
    "not_all": gettext_lazy("not all of these"),
}
INSIDE = "segment"  # the name of the field for another segment
LONGEST_POST = 60  # at most this many rows of a group are read


@dataclass(slots=True)
class Row:
    path: str
    field: str = ""
    op: str = ""
    value: str = ""
    value2: str = ""
    error: str = ""
    known: Field | None = None
    operator: Operator | None = None

    is_group = False

    @property
    def kind(self) -> str:
        return self.operator.kind.value if self.operator else ""

    @property
    def choices(self) -> list[tuple[str, Words]]:
        if self.known is None or self.known.choices is None:
            return []
        offered = self.known.choices()
        if not self.value or self.value in dict(offered):
            return offered
        chosen = self.known.called(self.value)
        return offered if chosen is None else [*offered, (self.value, chosen)]

    def as_json(self) -> dict[str, Any]:
        if self.field == INSIDE:
            inside: Any = query.number(self.value) or 0
            return {"not": {INSIDE: inside}} if self.op == "not_in" else {INSIDE: inside}
        return {"field": self.field, "op": self.op, "value": self._raw()}

    def _raw(self) -> Any:
        match self.kind:
            case Kind.NONE | "":
                return None
            case Kind.TWO_DATES | Kind.CHOICE_AND_DATE:
                return [self.value, self.value2]
            case _:
                return self.value


@dataclass(slots=True)
class RuleGroup:
    path: str
    match: str = "all"
    items: "list[Row | RuleGroup]" = field(default_factory=list)
    error: str = ""

    is_group = True

    def as_json(self) -> dict[str, Any]:
        parts = [item.as_json() for item in self.items]
        match self.match:
            case "none":
                return {"not": {"any": parts}}
            case "not_all":
                return {"not": {"all": parts}}
            case how:
                return {how: parts}


@dataclass(slots=True)
class Editor:
    """A rule being edited: its rows, and the rule that they form."""

    root: RuleGroup
    known: dict[str, Field]
    rule: rules.Rule | None = None
    error: str = ""

    @property
    def json(self) -> dict[str, Any]:
        return {"version": rules.VERSION, **self.root.as_json()}

    @property
    def sentence(self) -> str:
        return rules.sentence(self.rule) if self.rule else ""

    @property
    def headings(self) -> list[tuple[Words, list[Field]]]:
        """Return the fields under their headings, as a list offers them."""
        rows = groupby(self.known.values(), key=lambda each: str(each.heading))
        return [(heading, list(found)) for heading, found in rows]

    def check(self, *, of: int | None = None) -> bool:
        """True if the rule can be used. Otherwise the error is put beside the part it is about."""
        try:
            self.rule = rules.read(self.json, of=of)
        except rules.BadRule as bad:
            _place(self.root, bad)
            self.error = bad.message
            return False
        return True

    def count(self, seconds: float) -> int | None:
        """Return how many people match; None if the rule cannot be used. Raises TakesLong."""
        return segments.recent_count(self.rule, seconds) if self.rule else None


def stored(raw: object, *, of: int | None = None) -> Editor:
    """Return the rows of a stored rule. An unreadable part becomes an empty row with the error."""
    editor = Editor(RuleGroup("n"), _known(of))
    inside = {k: v for k, v in raw.items() if k != "version"} if isinstance(raw, dict) else {}
    root = _item(inside, "n", 0)
    editor.root = root if isinstance(root, RuleGroup) else RuleGroup("n", "all", [root])
    _settle(editor.root, "n", editor.known)
    return editor


def posted(data: Mapping[str, str], *, of: int | None = None) -> Editor:
    """Return the rows as posted, with the change that the pressed button (do=...) makes."""
    editor = Editor(_posted_group(data, "n", 0), _known(of))
    what, _space, path = data.get("do", "").partition(" ")
    _act(editor.root, what, path)
    _settle(editor.root, "n", editor.known)
    return editor


def fresh() -> Editor:
    editor = Editor(RuleGroup("n", "all", [Row("n-0")]), _known(None))
    _settle(editor.root, "n", editor.known)
    return editor


def _known(of: int | None) -> dict[str, Field]:
    """Return the fields and the segments that may appear in this one."""

    def others() -> list[tuple[str, Words]]:
        rows = Segment.objects.all() if of is None else Segment.objects.exclude(pk=of)
        return [(str(each.pk), each.name) for each in rows]

    nobody = conditions.nobody
    inside = Field(
        INSIDE,
        _("Segment"),
        person_conditions.PERSON,
        {
            "in": Operator(gettext_lazy("is in"), Kind.CHOICE, nobody),
            "not_in": Operator(gettext_lazy("is not in"), Kind.CHOICE, nobody),
        },
        others,
    )
    found = {INSIDE: inside} | person_conditions.fields()
    return dict(sorted(found.items(), key=lambda each: list(_order()).index(str(each[1].heading))))


def _order() -> list[str]:
    return [str(each) for each in person_conditions.headings()]


# --- from JSON --------------------------------------------------------------------------------
def _item(raw: object, path: str, depth: int) -> "Row | RuleGroup":
    if not isinstance(raw, dict) or len(raw) == 0 or depth > rules.DEEPEST:
        return Row(path)
    if "not" in raw:
        return _negated(raw["not"], path, depth)
    for how in ("all", "any"):
        parts = raw.get(how)
        if isinstance(parts, list):
            items = [_item(part, f"{path}-{n}", depth + 1) for n, part in enumerate(parts)]
            return RuleGroup(path, how, items)
    if INSIDE in raw:
        return Row(path, INSIDE, "in", str(raw[INSIDE]))
    value = raw.get("value")
    both = value if isinstance(value, list) and len(value) == 2 else [value, None]
    first, second = ("" if each is None else str(each) for each in both)
    return Row(path, str(raw.get("field", "")), str(raw.get("op", "")), first, second)


def _negated(raw: object, path: str, depth: int) -> "Row | RuleGroup":
    inner = _item(raw, path, depth + 1)
    if isinstance(inner, Row) and inner.field == INSIDE and inner.op == "in":
        inner.op = "not_in"
        return inner
    if isinstance(inner, RuleGroup) and inner.match in {"all", "any"}:
        inner.match = "not_all" if inner.match == "all" else "none"
        return inner
    return RuleGroup(path, "none", [inner])


# --- from a form ------------------------------------------------------------------------------
def _posted_group(data: Mapping[str, str], path: str, depth: int) -> RuleGroup:
    match, size = data.get(f"{path}-match", "all"), data.get(f"{path}-size", "0")
    size_ = min(query.number(size, digits=3) or 0, LONGEST_POST)
    items: list[Row | RuleGroup] = []
    for n in range(size_ if depth < rules.DEEPEST else 0):
        at = f"{path}-{n}"
        if f"{at}-match" in data:
            items.append(_posted_group(data, at, depth + 1))
        else:
            items.append(_posted_row(data, at))
    return RuleGroup(path, match if match in MATCHES else "all", items)


def _posted_row(data: Mapping[str, str], path: str) -> Row:
    field_, op, value, value2 = (
        query.without_nul(data.get(f"{path}-{each}", ""))[:300]
        for each in ("field", "op", "value", "value2")
    )
    return Row(path, field_, op, value, value2)


def _act(group: RuleGroup, what: str, path: str) -> None:
    """Add to, or remove from, the group at this path."""
    if group.path == path and what == "add-row":
        group.items.append(Row(""))
    elif group.path == path and what == "add-group":
        group.items.append(RuleGroup("", "any", [Row(""), Row("")]))
    elif what == "remove":
        group.items = [item for item in group.items if item.path != path]
    for item in group.items:
        if isinstance(item, RuleGroup):
            _act(item, what, path)


def _settle(group: RuleGroup, path: str, known: dict[str, Field]) -> None:
    """Set the paths by position and each row's field and operator; after a change of field the
    operator becomes its first one.
    """
    group.path = path
    for n, item in enumerate(group.items):
        item.path = f"{path}-{n}"
        if isinstance(item, RuleGroup):
            _settle(item, item.path, known)
            continue
        item.known = known.get(item.field)
        if item.known:
            if item.op not in item.known.operators:
                item.op = next(iter(item.known.operators))
            item.operator = item.known.operators[item.op]


def _place(group: RuleGroup, bad: rules.BadRule) -> None:
    """Put the error on the row that it is about, or on the group if there is no such row."""
    here: Row | RuleGroup = group
    for step in bad.path:
        if isinstance(here, RuleGroup) and step < len(here.items):
            here = here.items[step]
    here.error = bad.message
