"""How different a text comes out for the people who get it: the longest and the shortest as real
people get them, and about how many parts all of them take. Reads only.

The database finds those whose values are long or short; their texts are then written out and
measured exactly. What is remembered between two questions are ids of people, nothing about them.
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
from .audience import AudienceSpec
from .personalization import columns_of, limit_of, no_value, values_of

ENDS = 10  # lengths at each end whose people are looked at
SAMPLE = 1000  # people by whom the parts of all are reckoned; up to so many, all of them
REMEMBERED = 60  # seconds
# What GSM-7 does not have, as a pattern for both databases: one such letter in a name more than
# halves what an SMS holds.
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
    """SMS parts of all messages together."""

    total: int
    exact: bool  # else reckoned from a sample: say "about"


def extremes(spec: AudienceSpec, template: text.Template) -> Extremes | None:
    """Whose text takes most and whose takes least, of those who get it. None: nobody does."""
    try:
        ids = _remembered(spec, _shape(template), lambda: _far_out(spec, template))
        # Who shares a phone with somebody earlier, or has gone meanwhile, is not among them.
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
    """Of all messages; people is how many get one, as the funnel says. cut: were each text so many
    characters shorter. some: the sample(), where it is at hand.
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
    """By whom parts() reckons. Raises BadRule."""
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
    """People at both ends of the lengths that values make, in one pass over all: apart those who
    make a text Unicode that is not so by itself.
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
    """All of few; of many about SAMPLE, the same ones each time and strewn over all ids."""
    rows = audience.receivers(spec).order_by()
    if people > SAMPLE:
        strewn = Mod(F("id") * 7919 % 104729, people // SAMPLE)
        rows = rows.alias(strewn=strewn).filter(strewn=0)
    return list(rows.values_list("id", flat=True)[: 4 * SAMPLE])


# --- conditions on values -----------------------------------------------------------------------
def _size(template: text.Template) -> Any:
    """How many characters a person's values have in this text, nearly."""
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
    """What _far_out() looks at in a text: most keys typed leave it as it is."""
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
