"""The click statistics on the page of a mailing: people who clicked, each link, and clicks over time.
Reads only, and only the sums that tracking/aggregate.py keeps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import formats, timezone

from mailings.models import ClickHour, Link, Mailing
from smsmail.web import charts
from users.access.authenticated import AuthenticatedRequest
from users.rights import Right, require_right

from . import figures

Begin = datetime | date  # of an hour, a day or a month
HEIGHT, LEAST = 96, 2  # height of the chart, and least height of a bar, px
LIVELY = timedelta(days=7)  # for so long after the launch, the page polls for clicks
# The chart shows up to this many hours, then up to this many days, then months.
HOURS, DAYS = 48, 62
FEWEST = 12  # least number of places in the chart, so that a single bar does not fill it


@dataclass(frozen=True, slots=True)
class ClickBar:
    """The clicks of one hour, day or month, and the place of their bar in the chart (in SVG units)."""

    label: str
    clicks: int
    robots: int
    x: str
    width: str
    y: int
    height: int
    robots_y: int
    robots_height: int


@dataclass(frozen=True, slots=True)
class Clicks:
    """The click statistics of one mailing."""

    clicks: int
    clicked: int
    robots: int
    share: int  # percent of the submitted messages that were clicked
    links: list[Link]
    bars: list[ClickBar]
    most: int  # the most clicks in one bar
    lively: bool  # the page goes on polling


def of(mailing: Mailing) -> Clicks | None:
    """Return the click statistics of a mailing; None if none of its links is shortened."""
    links = list(mailing.links.order_by("position"))
    if not links:
        return None
    counters = mailing.counters
    bars = _bars(mailing)
    launched = mailing.launched_at
    return Clicks(
        clicks=counters.clicks,
        clicked=counters.clicked,
        robots=counters.robots,
        share=figures.percent(counters.clicked, counters.gone),
        links=links,
        bars=bars,
        most=max((bar.clicks + bar.robots for bar in bars), default=0),
        lively=launched is None or timezone.now() - launched < LIVELY,
    )


@require_right(Right.SEE_MAILINGS)
def clicks(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Render only the section, which the page polls."""
    row = get_object_or_404(Mailing.objects.with_statistics(), pk=pk)
    return render(request, "mailings/reports/_clicks.html", {"mailing": row, "clicks": of(row)})


def _bars(mailing: Mailing) -> list[ClickBar]:
    """Return the bars by hour, day or month in the reader's time zone, including those without clicks."""
    rows = ClickHour.objects.filter(mailing=mailing).order_by("hour")
    found = rows.values_list("hour", "clicks", "robots")
    hours = [(timezone.localtime(at), people, robots) for at, people, robots in found]
    if not hours:
        return []
    first, last = hours[0][0], hours[-1][0]
    if last - first < timedelta(hours=HOURS):
        kind = "hour"
    else:
        kind = "day" if (last.date() - first.date()).days < DAYS else "month"
    sums = {each: [0, 0] for each in _steps(kind, first, last)}
    for at, people, robots in hours:
        sums[_begin(kind, at)][0] += people
        sums[_begin(kind, at)][1] += robots
    most = max(sum(pair) for pair in sums.values()) or 1
    scale = (HEIGHT - 2 * LEAST) / most
    bars = []
    places = charts.columns(len(sums), fewest=FEWEST)
    for place, (begin, (people, robots)) in zip(places, sums.items(), strict=True):
        below, above = charts.stack([scale * people, scale * robots], bottom=HEIGHT, least=LEAST)
        bars.append(
            ClickBar(
                label=_label(kind, begin),
                clicks=people,
                robots=robots,
                x=place.x,
                width=place.width,
                y=below.y,
                height=below.height,
                robots_y=above.y,
                robots_height=above.height,
            )
        )
    return bars


def _begin(kind: str, at: datetime) -> Begin:
    if kind == "hour":
        return at
    return at.date() if kind == "day" else at.date().replace(day=1)


def _steps(kind: str, first: datetime, last: datetime) -> Iterator[Begin]:
    step = timedelta(hours=1) if kind == "hour" else timedelta(days=1)
    at = first
    while at <= last:
        yield _begin(kind, at)
        at = timezone.localtime(at.astimezone(UTC) + step)
    yield _begin(kind, last)


def _label(kind: str, begin: Begin) -> str:
    if kind == "hour":
        return formats.date_format(begin, "SHORT_DATETIME_FORMAT")
    return formats.date_format(begin, "SHORT_DATE_FORMAT" if kind == "day" else "YEAR_MONTH_FORMAT")
