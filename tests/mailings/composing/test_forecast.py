"""What the pages say about when a mailing leaves: the form, what a launch would come to, the clock."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone, translation

from integrations.models import Account
from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from mailings.audience import funnel
from mailings.audience.spec import AudienceSpec
from mailings.composing import forecast
from mailings.lifecycle import recall, start, transitions
from mailings.models import Mailing, Policy
from mailings.sending import claim, prepare
from tests import factories
from tests.mailings import mailing_factories
from tests.mailings.reports.test_views import text_of
from users.models import User

As = Callable[[User], Client]
State = Mailing.State
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # 15:00 in Moscow
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


@pytest.fixture
def manager(clock: Any, db: None) -> User:
    factories.simulator()
    factories.students(3)
    mailing_factories.policy(countdown=60)
    return factories.manager(language="en")


def posted(as_: As, by: User, **typed: str) -> Any:
    form = {"name": "Webinar", "text": "At six", "recipients": "everyone", **typed}
    return as_(by).post("/mailings/new/", {name: each for name, each in form.items() if each})


def planned(day: str = "2026-11-20", at: str = "20:00") -> dict[str, str]:
    return {"planned": "on", "starts_on": day, "starts_time": at}


# --- the form --------------------------------------------------------------------------------
def test_the_time_is_that_of_the_clocks_where_the_reader_is(as_: As, manager: User) -> None:
    posted(as_, manager, **planned())
    assert Mailing.objects.get().starts_at == NOON + 5 * HOUR  # Moscow
    User.objects.filter(pk=manager.pk).update(time_zone="Asia/Omsk")
    draft = Mailing.objects.get()
    page = as_(User.objects.get(pk=manager.pk)).get(f"/mailings/{draft.pk}/edit/").content.decode()
    assert 'value="23:00"' in page
    assert "Asia/Omsk, UTC+6" in page


def test_everything_about_when_is_kept(as_: As, manager: User) -> None:
    posted(
        as_,
        manager,
        **planned(),
        when="on_entry",
        hand_over="hold",
        valid_minutes="90",
        first="percent",
        error_limit="12",
        urgent="on",
    )
    draft = Mailing.objects.get()
    assert (draft.when, draft.hand_over, draft.valid_minutes) == ("on_entry", "hold", 90)
    assert (draft.first_percent, draft.first_wave, draft.error_limit) == (1, 0, 12)
    assert draft.urgent


def test_a_form_that_says_nothing_about_when_means_right_after_the_launch(
    as_: As, manager: User
) -> None:
    posted(as_, manager)
    draft = Mailing.objects.get()
    assert (draft.when, draft.starts_at, draft.hand_over) == ("at_launch", None, "early")
    assert (draft.valid_minutes, draft.first_wave, draft.error_limit) == (None, 0, 5)
    assert not draft.urgent


def test_unticked_the_time_is_gone(as_: As, manager: User) -> None:
    posted(as_, manager, **planned(), first="many")
    draft = Mailing.objects.get()
    assert (draft.first_wave, draft.starts_at) == (50, NOON + 5 * HOUR)
    as_(manager).post(
        f"/mailings/{draft.pk}/edit/",
        {"name": "Webinar", "text": "At six", "recipients": "everyone", "first": ""},
    )
    draft.refresh_from_db()
    assert (draft.first_wave, draft.starts_at) == (0, None)


@pytest.mark.parametrize(
    ("typed", "zone", "words"),
    [
        (planned(at="15:00"), "", "This time has passed."),
        (planned(day="2026-11-19"), "", "This time has passed."),
        (planned(day=""), "", "Choose the date."),
        (planned(at=""), "", "Choose the time."),
        (planned(at="25:00"), "", "Enter a valid time."),
        (planned(day="nonsense"), "", "Enter a valid date."),
        (planned(day="0001-01-01", at="00:30"), "Asia/Tokyo", "There is no such date."),
        (planned("2027-03-28", "02:30"), "Europe/Berlin", "never show 02:30. Choose 03:30."),
        (planned("2027-10-31", "02:30"), "Europe/Berlin", "show 02:30 twice"),
        ({"valid_minutes": "0"}, "", "greater than or equal to 5"),
        ({"when": "never"}, "", "Select a valid choice"),
        ({"error_limit": "100"}, "", "less than or equal to 99"),
    ],
)
def test_what_cannot_be_is_refused_beside_the_field_and_nothing_is_lost(
    as_: As, manager: User, typed: dict[str, str], zone: str, words: str
) -> None:
    manager.time_zone = zone
    manager.save()
    page = posted(as_, manager, **typed)
    assert page.status_code == 200
    assert words in text_of(page)
    assert "At six" in page.content.decode()
    assert not Mailing.objects.exists()


def test_a_draft_that_saves_itself_keeps_the_time_it_has_while_another_is_typed(
    as_: As, manager: User
) -> None:
    posted(as_, manager, **planned())
    draft = Mailing.objects.get()
    half = {"name": "Webinar", "recipients": "everyone", "text": "x", **planned(at="2")}
    answer = as_(manager).post(f"/mailings/{draft.pk}/autosave/", half)
    assert answer.json()["saved"]
    draft.refresh_from_db()
    assert (draft.text, draft.starts_at) == ("x", NOON + 5 * HOUR)


def test_two_who_change_the_time_do_not_lose_each_others(as_: As, manager: User) -> None:
    posted(as_, manager, **planned())
    draft = Mailing.objects.get()
    page = as_(manager).get(f"/mailings/{draft.pk}/edit/").content.decode()
    version = page.split('name="version" value="')[1].split('"')[0]
    Mailing.objects.update(starts_at=NOON + 9 * HOUR)
    form = {"name": "Webinar", "text": "x", "recipients": "everyone", "version": version}
    answer = as_(manager).post(f"/mailings/{draft.pk}/edit/", form | planned(at="21:00"))
    assert "this draft" in text_of(answer)


# --- before the launch -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "60 seconds remain in which one button takes everything back"),
        ({"starts_at": NOON + 5 * HOUR}, "by the clock of Europe/Moscow, UTC+3"),
        ({"starts_at": NOON + 5 * HOUR}, "The list is formed at Nov. 20, 2026, 5 p.m. and handed"),
        ({"starts_at": NOON + 5 * HOUR, "hand_over": "hold"}, "can be stopped to the last"),
        ({"starts_at": NOON + 2 * HOUR}, "Less than 3 hours are left"),
        ({"starts_at": NOON}, "The time set has passed"),
        ({"when": "on_entry"}, "To each person once, when they come under the rule"),
        ({"valid_minutes": 30}, "Of no use after 30 minutes"),
        ({"first_percent": 1}, "The first 1 % go alone"),
        ({"first_wave": 50, "error_limit": 7}, "no more than 7 % of them fail"),
        ({"urgent": True}, "quiet hours do not hold it"),
    ],
)
def test_the_draft_says_when(as_: As, manager: User, fields: dict[str, Any], words: str) -> None:
    draft = mailing_factories.draft(**fields)
    assert words in text_of(as_(manager).get(f"/mailings/{draft.pk}/"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "60 seconds remain in which one button takes everything back"),
        ({"starts_at": NOON + 5 * HOUR}, "by the clock of Europe/Moscow, UTC+3"),
        ({"starts_at": NOON + 2 * HOUR}, "Less than 3 hours are left"),
        ({"urgent": True}, "quiet hours do not hold it"),
    ],
)
def test_the_question_before_the_launch_says_it_in_short(
    as_: As, manager: User, fields: dict[str, Any], words: str
) -> None:
    page = text_of(as_(manager).get(f"/mailings/{mailing_factories.draft(**fields).pk}/launch/"))
    assert words in page
    assert "The list is formed" not in page


def test_in_good_time_nothing_is_warned_of(as_: As, manager: User) -> None:
    draft = mailing_factories.draft(starts_at=NOON + 3 * HOUR)
    assert "hours are left" not in text_of(as_(manager).get(f"/mailings/{draft.pk}/"))


def test_the_meter_says_it_while_one_types(as_: As, manager: User) -> None:
    typed = {"text": "x", "recipients": "everyone", **planned(at="16:00")}
    assert "Less than 3 hours are left" in text_of(as_(manager).post("/mailings/meter/", typed))


def test_it_says_when_the_service_takes_no_time(as_: As, clock: Any, manager: User) -> None:
    User.objects.update(language="en")
    factories.seventech()
    draft = mailing_factories.draft(starts_at=NOON + 5 * HOUR, valid_minutes=30)
    page = text_of(as_(manager).get(f"/mailings/{draft.pk}/"))
    assert "SevenTech takes no time for this." in page
    assert "SevenTech takes no lifetime" in page


def test_it_says_when_the_service_takes_no_lifetime_as_short(
    as_: As, clock: Any, manager: User
) -> None:
    User.objects.update(language="en")
    factories.smsc()
    draft = mailing_factories.draft(valid_minutes=30)
    page = text_of(as_(manager).get(f"/mailings/{draft.pk}/"))
    assert "SMSC takes no less than 60 minutes" in page


@pytest.fixture
def asleep(manager: User, clock: Any) -> User:
    """23:00 in Moscow, for three students there; one in London, one in Yekaterinburg by the phone."""
    Policy.objects.update(quiet_from=time(22), quiet_until=time(9))
    factories.person("liz", phone="+79980000011", time_zone="Europe/London")
    factories.person("ula", phone="+73432123456")
    clock.move_to(NOON + 8 * HOUR)
    return manager


def test_who_sleeps_is_counted_by_zone_and_who_is_guessed(as_: As, asleep: User) -> None:
    page = text_of(as_(asleep).get(f"/mailings/{mailing_factories.draft().pk}/launch/"))
    assert "Send to 5 people?" in page
    assert "Get it now 1" in page
    assert "Sleep, and get it at 11/21/2026 7 a.m. 1" in page
    assert "Sleep, and get it at 11/21/2026 9 a.m. 3" in page
    assert "For 3 people neither profile nor phone tells where" in page


def test_who_would_get_it_too_late_is_not_counted_among_those_who_do(as_: As, asleep: User) -> None:
    Account.objects.update(price="2.5")
    draft = mailing_factories.draft(valid_minutes=9 * 60)
    page = text_of(as_(asleep).get(f"/mailings/{draft.pk}/launch/"))
    assert "Send to 2 people?" in page
    assert "Price, about 5 ₽" in page
    assert "too late when they wake up 3" in page


def test_the_preview_agrees_with_what_preparation_does(asleep: User) -> None:
    draft = mailing_factories.draft(valid_minutes=9 * 60)
    spec = AudienceSpec.of(draft)
    told = forecast.Schedule(draft, spec, funnel.count(draft).will_receive)
    transitions.launch(draft, asleep, countdown=0)
    while prepare.prepare_some(draft.id):
        pass
    assert told.quiet is not None
    rows = draft.messages.all()
    assert rows.filter(reason=Reason.TOO_LATE).count() == told.quiet.too_late == 3
    now = rows.filter(status="waiting", batch__not_before__lte=timezone.now())
    assert now.count() == told.quiet.now == 1
    later = {each.at: each.people for each in told.quiet.later}
    (batch,) = draft.batches.filter(not_before__gt=timezone.now())
    assert later == {batch.not_before: batch.size}


def test_zones_of_many_people_take_a_few_queries(
    manager: User, django_assert_max_num_queries: Any
) -> None:
    zones = ["Europe/London", "Asia/Omsk", "", "Mars/Olympus"]
    for number, zone in enumerate(zones):
        factories.students(50, start=1000 * (number + 1), time_zone=zone)
    for number in range(30):
        factories.person(f"line{number}", phone=f"+7343212{number:04}")
        factories.person(f"kyiv{number}", phone=f"+38050123{number:04}")
    with django_assert_max_num_queries(8):
        found = forecast.people_by_zone(AudienceSpec.of(mailing_factories.draft()))
    assert found == {
        "Europe/London": 50,
        "Asia/Omsk": 50,
        "Asia/Yekaterinburg": 30,
        "Europe/Kyiv": 30,
        "": 3 + 100,
    }


# --- the clock -------------------------------------------------------------------------------
def page_of(as_: As, by: User, mailing: Mailing) -> str:
    return text_of(as_(by).get(f"/mailings/{mailing.pk}/"))


def test_the_countdown_and_its_button(as_: As, manager: User, clock: Any) -> None:
    mailing = mailing_factories.launched(manager)
    clock.move_to(NOON + 18 * timedelta(seconds=1))
    page = page_of(as_, manager, mailing)
    assert "Can be taken back until Nov. 20, 2026, 3:01 p.m." in page
    assert "Europe/Moscow, UTC+3" in page
    assert "43 seconds left" in page
    assert "As of now 3 people would get it." in page
    assert "Nothing has been handed over" in page
    answer = as_(manager).post(f"/mailings/{mailing.pk}/take-back/", follow=True)
    assert "It is a draft again" in text_of(answer)
    mailing.refresh_from_db()
    assert mailing.state == State.DRAFT
    again = as_(manager).post(f"/mailings/{mailing.pk}/take-back/", follow=True)
    assert "meanwhile" in text_of(again)


def test_a_page_left_open_learns_that_somebody_else_has_taken_it_back(
    as_: As, manager: User
) -> None:
    mailing = mailing_factories.launched(manager)
    transitions.take_back(mailing, manager)
    answer = as_(manager).get(f"/mailings/{mailing.pk}/live/?state=scheduled")
    assert (answer.status_code, answer["HX-Refresh"]) == (200, "true")


def test_before_a_time_set_it_counts_minutes(as_: As, manager: User) -> None:
    mailing = mailing_factories.launched(manager, starts_at=NOON + 5 * HOUR)
    page = page_of(as_, manager, mailing)
    assert "Can be taken back until Nov. 20, 2026, 5 p.m." in page
    assert "120 minutes left" in page
    assert "at Nov. 20, 2026, 8 p.m. it is sent there" in page
    assert "Can be taken back until" in text_of(as_(manager).get("/"))


def formed(mailing: Mailing) -> None:
    start.start_due()
    while prepare.prepare_some(mailing.id):
        pass


def test_held_here_it_can_be_stopped_until_the_minute(as_: As, manager: User, clock: Any) -> None:
    mailing = mailing_factories.launched(manager, starts_at=NOON + 5 * HOUR, hand_over="hold")
    assert "Until Nov. 20, 2026, 8 p.m. the messages wait here" in page_of(as_, manager, mailing)
    clock.move_to(NOON + 2 * HOUR)
    formed(mailing)
    page = page_of(as_, manager, mailing)
    assert "3 messages wait here: can be stopped until Nov. 20, 2026, 8 p.m." in page


@pytest.mark.django_db(transaction=True)
def test_what_is_handed_over_is_said_and_can_be_asked_back(
    as_: As, manager: User, clock: Any
) -> None:
    mailing = mailing_factories.launched(manager, starts_at=NOON + 5 * HOUR)
    clock.move_to(NOON + 2 * HOUR)
    formed(mailing)
    mailing_factories.sent(Outcome.TAKEN)
    page = page_of(as_, manager, mailing)
    assert "3 messages have been handed over and can no longer be stopped here" in page
    assert "Try to take back" in page
    address = f"/mailings/{mailing.pk}/recall/"
    assert "The service keeps until their time 3" in text_of(as_(manager).get(address))
    cancel = text_of(as_(manager).get(f"/mailings/{mailing.pk}/cancel/"))
    assert "Have already gone 0 The service keeps until their time 3" in cancel
    answer = as_(manager).post(address, follow=True)
    assert "asked to give back 3 messages" in text_of(answer)
    assert "About 3 more it is still being asked." in text_of(answer)
    again = as_(manager).post(address, follow=True)
    assert "The service has been asked already" in text_of(again)
    recall.recall_due()
    # The simulator never had them (they were recorded by hand): it gives none back.
    assert "3 messages it did not give back: they go, or have gone." in page_of(
        as_, manager, mailing
    )


def test_paused_before_its_list_was_formed_it_says_so(as_: As, manager: User) -> None:
    mailing = mailing_factories.launched(manager, starts_at=NOON + 5 * HOUR)
    transitions.pause(mailing, manager)
    page = page_of(as_, manager, mailing)
    assert "paused before its list was formed" in page
    assert "set for Nov. 20, 2026, 8 p.m." in page


def test_that_the_rest_waits_for_the_first_wave_is_said(as_: As, manager: User) -> None:
    mailing = mailing_factories.draft(first_wave=2)
    transitions.launch(mailing, manager, countdown=0)
    formed(mailing)
    assert "2 messages go first; the rest waits" in page_of(as_, manager, mailing)
    Mailing.objects.update(wave_passed_at=timezone.now())
    assert "go first" not in page_of(as_, manager, mailing)


def test_a_time_missed_is_told_on_the_page_and_the_dashboard(
    as_: As, manager: User, clock: Any
) -> None:
    mailing = mailing_factories.launched(manager, starts_at=NOON + 5 * HOUR)
    clock.move_to(NOON + 9 * HOUR)
    start.start_due()
    assert "Paused by itself: Its time was missed" in page_of(as_, manager, mailing)
    assert "Its time was missed" in text_of(as_(manager).get("/"))
    as_(manager).post(f"/mailings/{mailing.pk}/resume/")
    formed(mailing)
    assert claim.claim() is not None


def test_the_split_of_a_cancellation_names_what_waits_at_the_service(
    as_: As, manager: User, clock: Any
) -> None:
    mailing = mailing_factories.launched(manager, starts_at=NOON + 5 * HOUR)
    clock.move_to(NOON + 2 * HOUR)
    formed(mailing)
    mailing_factories.sent(Outcome.TAKEN)
    answer = text_of(as_(manager).post(f"/mailings/{mailing.pk}/cancel/", follow=True))
    assert "0 messages stopped, 0 had already gone." in answer
    assert "The service keeps 3 until the time set, and sends them then." in answer
