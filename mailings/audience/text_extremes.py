"""Shows how a text differs between recipients: the longest and the shortest text that real people
get, and about how many parts all messages take. Read-only.

The database finds the people whose values are long or short; their texts are then rendered and
measured exactly. The cache holds only ids of people, nothing else about them.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add, or_
from typing import Any

from django.core.cache import cache
from django.db.models import Case, F, Max, Min, Q, Value, When
from django.db.models.functions import Least, Length, Mod, Trim
from django.db.models.lookups import Regex

from mailings.text import template as text
from users.models import User
from users.segments.big_queries import over_everybody
from users.segments.rules import BadRule

from . import audience
from .personalization import columns_of, limit_of, no_value, values_of
from .spec import AudienceSpec

ENDS = 10  # how many lengths at each end are examined
SAMPLE = 1000  # the size of the sample for counting parts; up to so many, all people
REMEMBERED = 60  # seconds
# Characters outside GSM-7, as a pattern for both databases: one such letter in a name more than
# halves the capacity of an SMS.
_GSM = [char for char in map(chr, range(0x20, 0x20AD)) if not text.measure(char).culprits]
FOREIGN = f"[^{''.join(f'{chr(92)}{char}' if char in '^[]-' + chr(92) else char for char in _GSM)}]"


@dataclass(frozen=True, slots=True)
class Rendering:
    """The text as one person gets it."""

    person: User
    body: str
    measure: text.Measure


@dataclass(frozen=True, slots=True)
class Extremes:
    longest: Rendering
    shortest: Rendering


@dataclass(frozen=True, slots=True)
class Parts:
    """The SMS parts of all messages together."""

    total: int
    exact: bool  # False: estimated from a sample, so pages say "about"


def extremes(spec: AudienceSpec, template: text.Template) -> Extremes | None:
    """Return the longest and the shortest text of those who get it; None if nobody does."""
    try:
        ids = _remembered(spec, _shape(template), lambda: _far_out(spec, template))
        # People who are no longer there, or whose phone belongs to a rival, are not among them.
        people = list(audience.receivers(spec).filter(id__in=ids))
    except BadRule:
        return None
    if not people and (anybody := audience.sample(spec)):
        people = [anybody]
    renderings = [rendering(template, person) for person in people]
    if not renderings:
        return None
    return Extremes(max(renderings, key=_taken), min(renderings, key=_taken))


def parts(
    spec: AudienceSpec,
    template: text.Template,
    people: int,
    *,
    cut: int = 0,
    some: list[User] | None = None,
) -> Parts:
    """Return the parts of all messages. `people` is how many get one (from the funnel). `cut`
    counts them as if each text were so many characters shorter. `some` is the sample(), if it was
    read already.
    """
    if not people:
        return Parts(0, exact=True)
    if not template.slots:
        body = text.render(template, {}).strip()
        return Parts(people * text.parts_of(body[: len(body) - cut]), exact=True)
    try:
        some = sample(spec, people) if some is None else some
    except BadRule:
        return Parts(0, exact=True)
    bodies = [_body(template, person) for person in some]
    taken = sum(text.parts_of(body[: len(body) - cut]) for body in bodies)
    if len(some) == people:
        return Parts(taken, exact=True)
    return Parts(round(taken * people / max(len(some), 1)), exact=False)


def sample(spec: AudienceSpec, people: int) -> list[User]:
    """Return the people from whom parts() estimates. Raises BadRule."""
    ids = _remembered(spec, f"sample-{people}", lambda: _some(spec, people))
    return list(User.objects.filter(id__in=ids))


def rendering(template: text.Template, person: User) -> Rendering:
    body = _body(template, person)
    return Rendering(person, body, text.measure(body))


def _body(template: text.Template, person: User) -> str:
    return text.render(template, values_of(person)).strip()


def _taken(each: Rendering) -> tuple[int, int]:
    return each.measure.parts, -each.measure.left


def _far_out(spec: AudienceSpec, template: text.Template) -> list[int]:
    """Return the ids of people with the shortest and longest values, in one pass over all people.
    Those whose values make an otherwise plain text Unicode are examined apart.
    """
    foreign: Case | Value = Case(When(_brings_unicode(template), then=1), default=0)
    if text.measure(_literals(template)).culprits:
        foreign = Value(0)
    rows = (
        audience.eligible(spec)
        .order_by()
        .annotate(size=_size(template), foreign=foreign)
        .values("size", "foreign")
        .annotate(first=Min("id"), last=Max("id"))
        .values_list("foreign", "size", "first", "last")
    )
    kinds: dict[int, list[tuple[int, int, int]]] = {}
    for kind, *found in rows:
        kinds.setdefault(kind, []).append((found[0], found[1], found[2]))
    ids: set[int] = set()
    for sizes in kinds.values():
        sizes.sort()
        for _length, first, last in [*sizes[:ENDS], *sizes[-ENDS:]]:
            ids |= {first, last}
    return sorted(ids)


def _some(spec: AudienceSpec, people: int) -> list[int]:
    """Return all ids if there are few people; of many, about SAMPLE, always the same ones, spread
    over all ids.
    """
    rows = audience.receivers(spec).order_by()
    if people > SAMPLE:
        strewn = Mod(F("id") * 7919 % 104729, people // SAMPLE)
        rows = rows.alias(strewn=strewn).filter(strewn=0)
    return list(rows.values_list("id", flat=True)[: 4 * SAMPLE])


# --- conditions on values -----------------------------------------------------------------------
def _size(template: text.Template) -> Any:
    """Return about how many characters a person's values take in this text."""
    slots = Counter((slot.name, len(slot.fallback)) for slot in template.slots)
    sizes = [_size_of(name, fallback) * times for (name, fallback), times in slots.items()]
    return reduce(add, sizes, Value(0))


def _size_of(name: str, fallback: int) -> Any:
    length = reduce(add, (Length(Trim(column)) for column in columns_of(name)))
    at_most = Least(length, Value(limit_of(name)))
    return Case(When(no_value([name]), then=Value(fallback)), default=at_most)


def _brings_unicode(template: text.Template) -> Q:
    columns = [column for name in template.names for column in columns_of(name)]
    matches = (Q(Regex(column, Value(FOREIGN))) for column in columns)
    return reduce(or_, matches, Q(pk__in=()))


def _literals(template: text.Template) -> str:
    return template.tail + "".join(slot.before for slot in template.slots)


def _shape(template: text.Template) -> str:
    """Return what _far_out() uses of a text: most key strokes leave it unchanged."""
    slots = sorted((slot.name, len(slot.fallback)) for slot in template.slots)
    return f"extremes-{bool(text.measure(_literals(template)).culprits)}-{slots}"


def _remembered(spec: AudienceSpec, what: str, find: Callable[[], list[int]]) -> list[int]:
    key = spec.key(what)
    found: list[int] | None = cache.get(key)
    if found is None:
        with over_everybody(spec.patience):
            found = find()
        cache.set(key, found, REMEMBERED)
    return found
