"""The geometry of the charts in the pages, as SVG takes it. Pure: what is counted, and in which colours, is
not known here.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """Where something begins and how wide it is, in percent of a chart that may be of any width."""

    x: str
    width: str


class StackedBar(NamedTuple):
    """A bar, or a piece of one, in whole units from the top of the chart."""

    y: int
    height: int


def bands(counts: Sequence[int], whole: int) -> list[Span]:
    """How one bar that lies divides, left to right."""
    spans, done = [], 0
    for count in counts:
        spans.append(Span(_percent(100 * done / whole), _percent(100 * count / whole)))
        done += count
    return spans


def columns(count: int, *, fewest: int = 1) -> list[Span]:
    """Places of bars that stand side by side, with a fifth of each place free. A few bars need not fill the
    chart: it has `fewest` places at least.
    """
    step = 100 / max(count, fewest)
    width = _percent(step * 0.8)
    return [Span(_percent(place * step + step / 10), width) for place in range(count)]


def stack(heights: Sequence[float], *, bottom: int, least: int) -> list[StackedBar]:
    """The pieces of one bar, the lowest first."""
    bars, y = [], bottom
    for exact in heights:
        height = whole_height(exact, least)
        y -= height
        bars.append(StackedBar(y, height))
    return bars


def whole_height(exact: float, least: int) -> int:
    """So high that a single count is seen too; 0 for none."""
    return max(least, round(exact)) if exact else 0


def _percent(share: float) -> str:
    return f"{share:.3f}%"
