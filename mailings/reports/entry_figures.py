"""What the page of a watching mailing shows besides its figures: since when it watches, how many people
came lately, and why it cannot look. Reads only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import Count, Q
from django.utils import timezone

from mailings.lifecycle import on_entry
from mailings.models import Arrival, Mailing
from users.segments.rules import BadRule

WEEK = timedelta(days=7)
REMEMBERED = 20  # seconds: a page polls every ten, and a million people may have come this week


@dataclass(frozen=True, slots=True)
class Watching:
    """The state of a watching mailing. since and looked_at are None before the first look."""

    since: datetime | None
    looked_at: datetime | None
    today: int
    week: int
    trouble: str  # why the rule cannot be read, for the user; '' when it can


def watching(mailing: Mailing) -> Watching:
    """Return the state of a watching mailing; the numbers are cached for REMEMBERED seconds."""
    key = f"arrivals-{mailing.pk}"
    came: list[int] | None = cache.get(key)
    if came is None:
        came = _came(mailing)
        cache.set(key, came, REMEMBERED)
    today, week = came
    return Watching(
        mailing.watching_since, mailing.watched_at, today, week, trouble=_trouble(mailing)
    )


def _came(mailing: Mailing) -> list[int]:
    """Count the people who came today, in the default time zone, and in the last seven days."""
    now = timezone.now()
    midnight = timezone.localtime(now, timezone.get_default_timezone()).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    lately = Arrival.objects.filter(mailing=mailing, before=False, at__gte=now - WEEK)
    sums = lately.aggregate(
        today=Count("user_id", filter=Q(at__gte=midnight)), week=Count("user_id")
    )
    return [sums["today"], sums["week"]]


def _trouble(mailing: Mailing) -> str:
    try:
        on_entry.rule_now(mailing)
    except BadRule as bad:
        return bad.message
    return ""
