"""The links of a mailing on its page: figures that open their people, each link, and clicks over time."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mailings.models import Click, ClickHour, Counters, Link, Mailing, Message
from mailings.reports import click_reports
from mailings.tracking import aggregate
from tests.mailings.tracking.test_aggregate import click, mailing_of, process_all
from tests.mailings.tracking.test_classify import ROBOTS
from users.models import User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def mailing(db: None) -> Mailing:
    """Four messages: the first clicked both links, the second one of them, a robot the third."""
    mailing = mailing_of(4)
    first, second, third, _fourth = mailing.messages.order_by("id")
    for number, message in enumerate(mailing.messages.order_by("id")):
        Message.objects.filter(pk=message.pk).update(phone=f"+7998000000{number}")
    click(first)
    click(first)
    click(first, 1)
    click(second, 1)
    click(third, agent=ROBOTS[1])
    process_all()
    Mailing.objects.update(state=Mailing.State.DONE, launched_at=timezone.now(), wrap_links=True)
    mailing.refresh_from_db()
    return mailing


def test_the_page_shows_people_clicks_and_robots_apart(
    as_: As, manager: User, mailing: Mailing
) -> None:
    page = as_(manager).get(f"/mailings/{mailing.pk}/").content.decode()
    figures = {
        label: number
        for number, label in re.findall(
            r'(?s)figure-number">\s*(\d+).*?figure-label">\s*(.*?)\s*</span>',
            page.split('id="clicks"')[1],
        )
    }
    assert figures == {
        "People who clicked": "2",
        "Clicks by people": "4",
        "Robots and previews, not counted": "1",
    }
    assert "That somebody has read the SMS is never counted." in page
    assert "https://a.ru/0" in page
    assert "style=" not in page


def test_a_mailing_whose_links_are_left_alone_shows_no_clicks(as_: As, manager: User) -> None:
    mailing = mailing_of(1, links=0)
    Mailing.objects.update(state=Mailing.State.DONE, launched_at=timezone.now())
    client = as_(manager)
    assert "Clicks on links" not in client.get(f"/mailings/{mailing.pk}/").content.decode()
    page = client.get(f"/mailings/{mailing.pk}/recipients/").content.decode()
    assert "First click" not in page


@pytest.mark.parametrize(
    ("query", "phones"),
    [
        ("clicked=1", {"0", "1"}),
        ("clicked=1&link=0", {"0"}),
        ("link=1", {"0", "1"}),
        ("link=7", set()),
        ("link=x", set()),  # there is no such filter
        ("link=-1", set()),
        ("clicked=no", set()),
        ("clicked=1&q=0001", {"1"}),
        ("status=delivered&clicked=1", {"0", "1"}),
    ],
)
def test_a_figure_opens_its_people(
    as_: As, manager: User, mailing: Mailing, query: str, phones: set[str]
) -> None:
    page = as_(manager).get(f"/mailings/{mailing.pk}/recipients/?{query}").content.decode()
    found = set(re.findall(r'data-label="Phone">\+7998000000(\d)', page))
    assert found == phones


def test_the_list_shows_the_first_click(as_: As, manager: User, mailing: Mailing) -> None:
    page = as_(manager).get(f"/mailings/{mailing.pk}/recipients/?clicked=1").content.decode()
    assert page.count('data-label="First click"') == 2


def test_the_section_asks_for_itself_while_it_is_lively(
    as_: As, manager: User, mailing: Mailing
) -> None:
    client, address = as_(manager), f"/mailings/{mailing.pk}/clicks/"
    assert f'hx-get="{address}"' in client.get(address).content.decode()
    Mailing.objects.update(launched_at=timezone.now() - timedelta(days=8))
    assert "hx-get" not in client.get(address).content.decode()


def hours(mailing: Mailing, *rows: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Rows (hours after noon, clicks, robots) -> what the bars show."""
    ClickHour.objects.all().delete()
    for later, clicks, robots in rows:
        ClickHour.objects.create(
            mailing=mailing, hour=NOON + timedelta(hours=later), clicks=clicks, robots=robots
        )
    found = click_reports.of(mailing)
    assert found
    return [(bar.clicks, bar.robots) for bar in found.bars]


def test_bars_are_hours_then_days_then_months_and_none_is_left_out(mailing: Mailing) -> None:
    assert hours(mailing) == []
    assert hours(mailing, (0, 3, 1)) == [(3, 1)]
    assert hours(mailing, (0, 3, 0), (3, 1, 2)) == [(3, 0), (0, 0), (0, 0), (1, 2)]
    days = hours(mailing, (0, 3, 0), (1, 1, 0), (24 * 5, 2, 1))
    assert days == [(4, 0), (0, 0), (0, 0), (0, 0), (0, 0), (2, 1)]
    months = hours(mailing, (0, 3, 0), (24 * 70, 2, 0), (24 * 70 + 1, 0, 4))
    assert months == [(3, 0), (0, 0), (0, 0), (2, 4)]


def test_bars_stand_on_the_ground_and_within_the_chart(mailing: Mailing) -> None:
    hours(mailing, *((n, n % 5, n % 3) for n in range(40)))
    found = click_reports.of(mailing)
    assert found
    for bar in found.bars:
        assert bar.y + bar.height == click_reports.HEIGHT
        assert bar.robots_y >= 0
        assert bar.robots_y + bar.robots_height == bar.y
        assert (bar.height > 0, bar.robots_height > 0) == (bar.clicks > 0, bar.robots > 0)
    highest = max(bar.height + bar.robots_height for bar in found.bars)
    assert highest >= click_reports.HEIGHT - 3 * click_reports.LEAST


def test_a_single_click_beside_thousands_is_seen(mailing: Mailing) -> None:
    hours(mailing, (0, 50_000, 0), (1, 1, 1))
    found = click_reports.of(mailing)
    assert found
    assert found.bars[1].height == found.bars[1].robots_height == click_reports.LEAST


def test_bars_keep_their_day_where_the_clock_is_put_back(mailing: Mailing) -> None:
    with timezone.override("Europe/Berlin"):
        start = datetime(2026, 10, 23, 22, tzinfo=UTC)  # midnight there
        ClickHour.objects.all().delete()
        for n in range(24 * 4):
            ClickHour.objects.create(mailing=mailing, hour=start + timedelta(hours=n), clicks=1)
        found = click_reports.of(mailing)
    assert found
    assert [bar.clicks for bar in found.bars] == [24, 25, 24, 23]


def test_reports_read_only_sums(mailing: Mailing, django_assert_num_queries: Any) -> None:
    row = Mailing.objects.select_related("counters").get(pk=mailing.pk)
    with django_assert_num_queries(2):
        click_reports.of(row)
    assert aggregate.aggregate_due() is False
    assert Click.objects.count() == 5
    assert Counters.objects.count() == 1
    assert Link.objects.count() == 2
