"""Local times as people type them, over the days on which the clocks change, and quiet hours."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from mailings.sending.timing import NoSuchTime, QuietHours, forms_at, moment, zone_named, zone_words

BERLIN, MOSCOW, NEW_YORK = map(ZoneInfo, ("Europe/Berlin", "Europe/Moscow", "America/New_York"))
NIGHT = QuietHours(time(22), time(9))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_local_time_is_the_moment_its_clocks_show() -> None:
    assert moment(date(2026, 3, 28), time(15), BERLIN) == utc("2026-03-28T14:00")
    assert moment(date(2026, 3, 30), time(15), BERLIN) == utc("2026-03-30T13:00")
    assert moment(date(2026, 3, 29), time(2, 30), MOSCOW) == utc("2026-03-28T23:30")


def test_a_time_that_the_clocks_skip_is_refused_with_one_that_they_show() -> None:
    with translation.override("en"), pytest.raises(NoSuchTime, match=r"never show 02:30.*03:30"):
        moment(date(2026, 3, 29), time(2, 30), BERLIN)
    assert moment(date(2026, 3, 29), time(3), BERLIN) == utc("2026-03-29T01:00")


def test_a_time_that_the_clocks_show_twice_is_refused() -> None:
    with translation.override("en"), pytest.raises(NoSuchTime, match="02:30 twice"):
        moment(date(2026, 10, 25), time(2, 30), BERLIN)
    assert moment(date(2026, 10, 25), time(3), BERLIN) == utc("2026-10-25T02:00")
    assert moment(date(2026, 10, 25), time(1, 59), BERLIN) == utc("2026-10-24T23:59")


@pytest.mark.parametrize(
    ("at", "over"),
    [
        ("2026-11-20T12:00", "2026-11-20T12:00"),  # by day
        ("2026-11-20T18:59", "2026-11-20T18:59"),  # 21:59 in Moscow
        ("2026-11-20T19:00", "2026-11-21T06:00"),  # 22:00: until nine of the next day
        ("2026-11-20T23:30", "2026-11-21T06:00"),  # 02:30: until nine of the same day
        ("2026-11-21T05:59", "2026-11-21T06:00"),
        ("2026-11-21T06:00", "2026-11-21T06:00"),
    ],
)
def test_quiet_hours_over_midnight(at: str, over: str) -> None:
    assert NIGHT.over(utc(at), MOSCOW) == utc(over)


def test_quiet_hours_within_a_day() -> None:
    noon = QuietHours(time(12), time(14, 30))
    assert noon.over(utc("2026-11-20T09:00"), MOSCOW) == utc("2026-11-20T11:30")
    assert noon.over(utc("2026-11-20T08:59"), MOSCOW) == utc("2026-11-20T08:59")


def test_quiet_hours_that_begin_when_they_end_are_none() -> None:
    at = utc("2026-11-20T09:00")
    assert QuietHours(time(12), time(12)).over(at, MOSCOW) == at


@pytest.mark.parametrize(
    ("quiet", "at", "over"),
    [
        # The night in which 02:00 to 03:00 is missing: nine o'clock comes an hour sooner.
        (NIGHT, "2026-03-28T22:00", "2026-03-29T07:00"),
        # They end at a time that does not exist: when the clocks have passed it.
        (QuietHours(time(22), time(2, 30)), "2026-03-29T00:00", "2026-03-29T01:30"),
        # And at one that comes twice: from its second coming on, asked about between the two.
        (QuietHours(time(22), time(2, 30)), "2026-10-25T01:10", "2026-10-25T01:30"),
        (NIGHT, "2026-10-24T22:00", "2026-10-25T08:00"),
    ],
)
def test_quiet_hours_on_the_nights_the_clocks_change(quiet: QuietHours, at: str, over: str) -> None:
    assert quiet.over(utc(at), BERLIN) == utc(over)


def test_a_zone_is_named_with_what_it_is_at_that_moment() -> None:
    assert zone_words(utc("2026-11-20T12:00"), MOSCOW) == "Europe/Moscow, UTC+3"
    assert zone_words(utc("2026-07-20T12:00"), NEW_YORK) == "America/New_York, UTC−4"
    assert zone_words(utc("2026-01-20T12:00"), ZoneInfo("Asia/Kolkata")) == "Asia/Kolkata, UTC+5:30"


def test_the_list_is_formed_after_the_countdown_and_the_hours_before_the_time_set() -> None:
    now, minute, early = utc("2026-11-20T12:00"), timedelta(minutes=1), timedelta(hours=3)
    assert forms_at(now, minute, None, early) == now + minute
    assert forms_at(now, minute, utc("2026-11-20T18:00"), early) == utc("2026-11-20T15:00")
    assert forms_at(now, minute, utc("2026-11-20T13:00"), early) == now + minute


def test_what_is_no_zone_has_no_name() -> None:
    assert zone_named("Europe/Moscow") == MOSCOW
    assert zone_named("") is None
    assert zone_named("Europe/Nowhere") is None
    assert zone_named("../../etc/passwd") is None
