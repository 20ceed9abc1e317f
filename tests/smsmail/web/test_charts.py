"""The geometry of the charts: the very numbers that the pages had when each chart reckoned for itself."""

from hypothesis import given
from hypothesis import strategies as st

from smsmail.web import charts
from smsmail.web.charts import Span, StackedBar

HEIGHT, LEAST = 96, 2
SCALE = (HEIGHT - 2 * LEAST) / 7

counts = st.lists(st.integers(1, 1_000_000), max_size=40)


# --- a bar that lies --------------------------------------------------------------------------
def test_a_bar_divides_from_left_to_right() -> None:
    assert charts.bands([1, 1, 1], 3) == [
        Span("0.000%", "33.333%"),
        Span("33.333%", "33.333%"),
        Span("66.667%", "33.333%"),
    ]


def test_what_is_not_shown_leaves_the_end_of_it_free() -> None:
    assert charts.bands([2, 5], 10) == [Span("0.000%", "20.000%"), Span("20.000%", "50.000%")]


def test_nothing_makes_no_bar() -> None:
    assert charts.bands([], 0) == []


# --- bars that stand --------------------------------------------------------------------------
def test_a_few_bars_do_not_fill_the_chart() -> None:
    assert charts.columns(2, fewest=12) == [Span("0.833%", "6.667%"), Span("9.167%", "6.667%")]


def test_many_bars_share_the_chart() -> None:
    places = charts.columns(40, fewest=12)
    assert places[0] == Span("0.250%", "2.000%")
    assert places[-1] == Span("97.750%", "2.000%")


def test_pieces_stand_on_each_other() -> None:
    assert charts.stack([SCALE * 5, SCALE * 2], bottom=HEIGHT, least=LEAST) == [
        StackedBar(y=30, height=66),
        StackedBar(y=4, height=26),
    ]


def test_a_single_one_is_seen_and_none_is_not() -> None:
    assert charts.stack([0.01, 0], bottom=HEIGHT, least=LEAST) == [
        StackedBar(94, 2),
        StackedBar(94, 0),
    ]
    assert charts.whole_height(100 * 1 / 300, 2) == 2
    assert charts.whole_height(100 * 300 / 300, 2) == 100
    assert charts.whole_height(0, 2) == 0


# --- as each chart reckoned for itself --------------------------------------------------------
@given(counts)
def test_bands_are_as_the_bar_of_a_mailing_had_them(counts: list[int]) -> None:
    whole, done, before = sum(counts), 0, []
    for count in counts:
        x, width = (100 * each / whole for each in (done, count))
        before.append((f"{x:.3f}%", f"{width:.3f}%"))
        done += count
    assert charts.bands(counts, whole) == before


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=62))
def test_columns_and_stacks_are_as_the_chart_of_clicks_had_them(
    pairs: list[tuple[int, int]],
) -> None:
    most = max(sum(pair) for pair in pairs) or 1
    step = 100 / max(len(pairs), 12)
    scale = (HEIGHT - 2 * LEAST) / most
    for place, (pair, span) in enumerate(
        zip(pairs, charts.columns(len(pairs), fewest=12), strict=True)
    ):
        height, above = (max(LEAST, round(scale * n)) if n else 0 for n in pair)
        assert span == (f"{place * step + step / 10:.3f}%", f"{step * 0.8:.3f}%")
        assert charts.stack([scale * n for n in pair], bottom=HEIGHT, least=LEAST) == [
            (HEIGHT - height, height),
            (HEIGHT - height - above, above),
        ]


@given(counts)
def test_heights_are_as_the_chart_of_days_had_them(counts: list[int]) -> None:
    for count in counts:
        before = max(round(100 * count / max(counts)), 2)
        assert charts.whole_height(100 * count / max(counts), 2) == before
