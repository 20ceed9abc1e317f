"""Clicks into figures: each counted once, people apart from robots, whoever is killed or comes twice."""

import random
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from mailings.models import Click, ClickHour, Counters, Link, Mailing, Message
from mailings.reports import recount
from mailings.tracking import aggregate, classify
from smsmail.models import SetAside
from tests.mailings.tracking.test_classify import PEOPLE, PREVIEWS, ROBOTS

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 10, tzinfo=UTC)


def mailing_of(messages: int, links: int = 2) -> Mailing:
    mailing = Mailing.objects.create(name="Webinar")
    Counters.objects.create(mailing=mailing, delivered=messages)
    for position in range(links):
        Link.objects.create(mailing=mailing, position=position, url=f"https://a.ru/{position}")
    Message.objects.bulk_create(
        Message(mailing=mailing, key=f"{n}", status="delivered") for n in range(messages)
    )
    return mailing


def click(message: Message, position: int = 0, agent: str = PEOPLE[0], **fields: Any) -> Click:
    fields = {"at": NOON, "kind": classify.kind_of("GET", agent, "")} | fields
    return Click.objects.create(
        message=message,
        mailing_id=message.mailing_id,
        position=position,
        method="GET",
        user_agent=agent,
        **fields,
    )


def figures(mailing: Mailing) -> dict[str, int]:
    counters = Counters.objects.get(mailing=mailing)
    return {name: getattr(counters, name) for name in ("clicks", "clicked", "robots")}


def of_links(mailing: Mailing) -> list[tuple[int, int, int]]:
    rows = mailing.links.order_by("position")
    return [(each.clicks, each.clicked, each.robots) for each in rows]


def process_all() -> None:
    while aggregate.aggregate_due():
        pass


def test_clicks_are_counted_by_message_link_hour_and_mailing() -> None:
    mailing = mailing_of(3)
    first, second, third = mailing.messages.order_by("id")
    click(first)
    click(first, at=NOON - timedelta(minutes=5))
    click(first, 1, at=NOON + timedelta(hours=1))
    click(second, 1, at=NOON + timedelta(hours=1))
    click(second, agent=PREVIEWS[0])
    click(third, agent=ROBOTS[0])
    process_all()
    assert figures(mailing) == {"clicks": 4, "clicked": 2, "robots": 2}
    assert of_links(mailing) == [(2, 1, 2), (2, 2, 0)]
    hours = ClickHour.objects.order_by("hour").values_list("hour", "clicks", "robots")
    assert [(at.hour, *counts) for at, *counts in hours] == [(12, 2, 2), (13, 2, 0)]
    firsts = mailing.messages.order_by("id").values_list("first_click_at", flat=True)
    assert list(firsts) == [NOON - timedelta(minutes=5), NOON + timedelta(hours=1), None]
    assert not Click.objects.filter(processed_at__isnull=True).exists()
    assert recount.compare() == []


def test_clicks_in_later_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "AT_ONCE", 1)
    mailing = mailing_of(1)
    message = mailing.messages.get()
    click(message, at=NOON)
    click(message, at=NOON - timedelta(hours=2))  # written down late
    click(message, 1, at=NOON + timedelta(hours=2))
    click(message, agent=PREVIEWS[0], at=NOON - timedelta(days=1))
    process_all()
    assert figures(mailing) == {"clicks": 3, "clicked": 1, "robots": 1}
    assert of_links(mailing) == [(2, 1, 1), (1, 1, 0)]
    message.refresh_from_db()
    assert message.first_click_at == NOON - timedelta(hours=2)
    assert recount.compare() == []


def test_a_process_without_clicks_changes_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert aggregate.aggregate_due() is False


def test_a_process_that_breaks_off_has_counted_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = mailing_of(1)
    click(mailing.messages.get())

    def broken(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(aggregate, "_write", broken)
        aggregate.aggregate_due()
    assert figures(mailing) == {"clicks": 0, "clicked": 0, "robots": 0}
    SetAside.objects.update(next_try_at=timezone.now())
    process_all()
    assert figures(mailing) == {"clicks": 1, "clicked": 1, "robots": 0}


def test_a_thousand_clicks_cost_as_many_questions_as_ten(
    django_assert_max_num_queries: Any,
) -> None:
    mailing = mailing_of(1000)
    for message in mailing.messages.all():
        click(message)
    with django_assert_max_num_queries(16):
        assert aggregate.aggregate_due() is True
    assert figures(mailing) == {"clicks": 1000, "clicked": 1000, "robots": 0}


def test_clicks_on_what_is_gone_break_nothing() -> None:
    mailing = mailing_of(1)
    message = mailing.messages.get()
    click(message)
    click(Message(pk=10**9, mailing=mailing))
    click(Message(pk=10**9 + 1, mailing_id=10**9))
    process_all()
    assert figures(mailing)["clicked"] == 1
    assert not Click.objects.filter(processed_at__isnull=True).exists()


@pytest.mark.django_db(transaction=True)
def test_many_workers_count_each_click_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "AT_ONCE", 7)
    dice = random.Random(5)
    mailings = [mailing_of(6), mailing_of(6)]
    messages = list(Message.objects.all())
    agents = [*PEOPLE[:3], PREVIEWS[0], ROBOTS[1]]
    for _ in range(300):
        at = NOON + timedelta(minutes=dice.randrange(300))
        click(dice.choice(messages), dice.randrange(2), dice.choice(agents), at=at)
    troubles: list[BaseException] = []

    def work() -> None:
        try:
            while Click.objects.filter(processed_at__isnull=True).exists():
                aggregate.aggregate_due()
        except BaseException as error:  # noqa: BLE001 - for the test to see
            troubles.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert recount.compare(Mailing.objects.all()) == []
    assert (
        sum(sum(figures(each)[name] for name in ("clicks", "robots")) for each in mailings) == 300
    )
    assert figures(mailings[0])["clicked"] == 6


# --- proof and repair -------------------------------------------------------------------------
def test_recount_sees_what_does_not_add_up_and_repairs_it() -> None:
    mailing = mailing_of(2)
    for message in mailing.messages.all():
        click(message)
        click(message, 1, agent=ROBOTS[1])
    process_all()
    assert recount.compare() == []
    Counters.objects.update(clicks=7, robots=0)
    Link.objects.filter(position=1).update(robots=9, clicked=3)
    ClickHour.objects.update(clicks=5)
    columns = {each.column for each in recount.compare()}
    assert columns == {
        *("clicks", "robots", "robots of link 1", "clicked of link 1"),
        *("clicks from 2026-11-24 12", "clicks by the hour"),
    }
    recount.repair(mailing.pk)
    assert recount.compare() == []
    ClickHour.objects.all().delete()
    assert {each.column for each in recount.compare()} == {
        "clicks by the hour",
        "robots by the hour",
    }
    recount.repair(mailing.pk)
    assert recount.compare() == []


def test_who_clicked_can_be_judged_anew() -> None:
    """Here: clicks judged by rules that took everybody for a person, or for a robot."""
    mailing, other = mailing_of(3), mailing_of(1)
    first, second, third = mailing.messages.order_by("id")
    click(first, agent=PREVIEWS[0], kind="person")
    click(first, at=NOON + timedelta(hours=1))
    click(second, agent=ROBOTS[1], kind="person")
    click(third, 1, kind="robot")
    click(other.messages.get())
    process_all()
    assert figures(mailing) == {"clicks": 3, "clicked": 2, "robots": 1}
    out = StringIO()
    call_command("reclassify_clicks", stdout=out)
    assert "Clicks of another class: 3." in out.getvalue()
    assert figures(mailing) == {"clicks": 2, "clicked": 2, "robots": 2}
    assert of_links(mailing) == [(1, 1, 2), (1, 1, 0)]
    firsts = mailing.messages.order_by("id").values_list("first_click_at", flat=True)
    assert list(firsts) == [NOON + timedelta(hours=1), None, NOON]
    assert recount.compare() == []
    call_command("reclassify_clicks", stdout=out)
    assert "Clicks of another class: 0." in out.getvalue()


def test_judging_anew_is_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = mailing_of(1)
    click(mailing.messages.get(), agent=PREVIEWS[0], kind="person")
    process_all()

    def broken(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(aggregate, "_count_links_and_hours_anew", broken)
        with pytest.raises(RuntimeError):
            aggregate.reclassify(mailing.pk)
    assert figures(mailing) == {"clicks": 1, "clicked": 1, "robots": 0}
    assert recount.compare() == []
