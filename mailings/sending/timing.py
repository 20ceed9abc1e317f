"""Computes times: local times as people type them, quiet hours in a zone, and when a list is formed.
Pure: no database is used, and the current time is a parameter.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from django.utils.translation import gettext as _


class NoSuchTime(ValueError):
    """The clocks skip this time or show it twice. The message is for the person who typed it."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Quiet hours from one time of day until another, which may be on the next day."""

    begin: time
    end: time

    def hold(self, local: time) -> bool:
        """Is this local time in quiet hours?"""
        if self.begin <= self.end:
            return self.begin <= local < self.end
        return local >= self.begin or local < self.end

    def over(self, at: datetime, zone: tzinfo) -> datetime:
        """Return the first time from `at` on that is outside quiet hours in the zone."""
        local = at.astimezone(zone)
        if self.begin == self.end or not self.hold(local.time()):
            return at
        day = local.date()
        if self.begin > self.end and local.time() >= self.begin:
            day += timedelta(days=1)
        end = datetime.combine(day, self.end, zone).astimezone(UTC)
        # If the clocks go back in between, the same time of day occurs once more.
        return (
            end
            if end > at
            else datetime.combine(day, self.end.replace(fold=1), zone).astimezone(UTC)
        )


def moment(day: date, clock: time, zone: tzinfo) -> datetime:
    """Return the moment (UTC) at which the clocks of the zone show this day and time. Raises
    NoSuchTime.
    """
    first = datetime.combine(day, clock.replace(fold=0), zone)
    second = datetime.combine(day, clock.replace(fold=1), zone)
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    shown = f"{clock:%H:%M}"
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != first.replace(tzinfo=None):
        # Read with the offset before the change, this is the time that the clocks show after it.
        later = first.astimezone(UTC).astimezone(zone)
        raise NoSuchTime(
            _("The clocks are put forward that night and never show %(time)s. Choose %(later)s.")
            % {"time": shown, "later": f"{later:%H:%M}"}
        )
    raise NoSuchTime(
        _("The clocks are put back that night and show %(time)s twice. Choose another time.")
        % {"time": shown}
    )


def zone_words(at: datetime, zone: tzinfo) -> str:
    """Return the name of the zone with its offset at that time: "Europe/Moscow, UTC+3"."""
    offset = at.astimezone(zone).utcoffset() or timedelta()
    minutes = int(offset.total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    sign = "−" if minutes < 0 else "+"
    return f"{zone}, UTC{sign}{hours}" + (f":{rest:02}" if rest else "")


def forms_at(
    launched: datetime, countdown: timedelta, starts_at: datetime | None, early: timedelta
) -> datetime:
    """Return the time at which the list is formed: `early` before the set time, or at the end of the
    countdown if that is later or no time is set.
    """
    begins = launched + countdown
    return max(begins, starts_at - early) if starts_at else begins


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """Return the zone with this name; None for '' and for an unknown name."""
    return ZoneInfo(name) if name in _zones() else None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
