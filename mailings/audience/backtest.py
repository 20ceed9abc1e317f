"""Estimates, before an on-entry mailing is launched, whom it would have reached in the last 30
days. Read-only.

Nobody records when a person comes under a rule. The estimate uses the dates that exist for the
people who are under it now: when they registered, joined the group, or clicked (segments.since).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Case, DateTimeField, F, Min, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce, Greatest, TruncDate
from django.utils import timezone

from smsmail.web import charts
from users.models import Membership
from users.segments import segments
from users.segments.conditions import midnight
from users.segments.rules import BadRule

from . import audience
from .spec import AudienceSpec

DAYS = 30
REMEMBERED = 60  # seconds
HEIGHT, LEAST = 100, 2  # of the chart, and of a bar, in its own units
STEP = 10  # from one day to the next


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many people came on a day, and its bar in the units of the chart."""

    day: date
    count: int
    x: int
    height: int

    @property
    def y(self) -> int:
        return HEIGHT - self.height


@dataclass(frozen=True, slots=True)
class Estimate:
    """now = came in these days + came earlier + unknown date; all are people who would get an SMS."""

    now: int
    unknown: int
    days: list[DayCount]
    trouble: str = ""  # why the rule cannot be read, in words

    @property
    def came(self) -> int:
        return sum(each.count for each in self.days)

    @property
    def most(self) -> int:
        return max((each.count for each in self.days), default=0)

    @property
    def chart(self) -> str:
        """Return the viewBox of the chart."""
        return f"0 0 {DAYS * STEP} {HEIGHT}"


def estimate(spec: AudienceSpec) -> Estimate:
    """Return the estimate; it may be a minute old. An unreadable rule gives an empty one with its
    `trouble`.
    """
    today = timezone.localdate(timezone=timezone.get_default_timezone())
    key = spec.key(f"foresight-{today}")
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    found: list[tuple[str, int]] | None = cache.get(key)  # '' for those of whom no date is known
    if found is None:
        try:
            counted = _reckoned(spec, days[0])
        except BadRule as bad:
            return Estimate(0, 0, [], trouble=bad.message)
        found = [(day.isoformat() if day else "", n) for day, n in counted.items()]
        cache.set(key, found, REMEMBERED)
    return _estimate({date.fromisoformat(day) if day else None: n for day, n in found}, days)


def _reckoned(spec: AudienceSpec, first: date) -> dict[date | None, int]:
    """How many came on which day; None: of whom no date is known."""
    zone = timezone.get_default_timezone()
    # Each phone counts once, on the day when the first of its people came.
    came = Min(_moment(spec, first))
    phones = audience.eligible(spec).order_by().values("phone")
    return _count_by_day(phones.annotate(day=TruncDate(came, tzinfo=zone)).values("day"))


def _estimate(by_day: dict[date | None, int], days: list[date]) -> Estimate:
    most = max(by_day.get(day, 0) for day in days)
    return Estimate(
        now=sum(by_day.values()),
        unknown=by_day.get(None, 0),
        days=[_day(day, by_day.get(day, 0), place, most) for place, day in enumerate(days)],
    )


def _day(day: date, count: int, place: int, most: int) -> DayCount:
    exact = HEIGHT * count / most if count else 0
    return DayCount(day, count, place * STEP, charts.whole_height(exact, LEAST))


def _moment(spec: AudienceSpec, first: date) -> Any:
    """When a person came under the rule. If no condition tells, a person who registered in these
    days also came in these days, since nobody comes before they register. For others the date is
    unknown.
    """
    known, joined = _known(spec), F("date_joined")
    recent = Greatest(Coalesce(known, joined), joined) if known is not None else joined
    return Case(
        When(date_joined__gte=midnight(first.isoformat()), then=recent),
        default=known,
        output_field=DateTimeField(),
    )


def _known(spec: AudienceSpec) -> Any | None:
    """Return segments.since(), and the same for groups and everyone."""
    if spec.everyone:
        return F("date_joined")
    if spec.rule is not None:
        return segments.since(spec.parsed_rule)
    added = Membership.objects.filter(user_id=OuterRef("id"), group_id__in=spec.group_ids)
    first = added.order_by().values("user_id").annotate(first=Min("added_at"))
    return Subquery(first.values("first"))


def _count_by_day(days: "QuerySet[Any, Any]") -> dict[date | None, int]:
    """Count the rows of a query per day; its only column is `day`, a date or NULL. For queries that
    already group by something else, which Django cannot aggregate again.
    """
    query, values = days.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT found.day, count(*) FROM ({query}) AS found GROUP BY found.day",  # noqa: S608 - Django's own SQL
            values,
        )
        return {
            date.fromisoformat(day) if isinstance(day, str) else day: count
            for day, count in cursor.fetchall()
        }
