"""The pages of a mailing on entry: before its launch, while it watches, and its end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from mailings.lifecycle import on_entry as watch
from mailings.lifecycle import transitions
from mailings.models import Arrival, Counters, Mailing
from tests import factories
from tests.mailings import mailing_factories
from tests.mailings.reports.test_views import text_of
from users.models import Group, Segment, User
from users.rights import Right

As = Callable[[User], Client]
State = Mailing.State
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(db: None, settings: Any) -> Any:
    settings.LANGUAGE_CODE = "en"
    factories.simulator()
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def look() -> None:
    while watch.watch_due():
        pass


# --- before the launch ------------------------------------------------------------------------
def test_a_draft_on_entry_fetches_the_last_thirty_days_and_others_do_not(
    as_: As, manager: User
) -> None:
    client = as_(manager)
    usual = mailing_factories.draft()
    on_entry = mailing_factories.draft(when=Mailing.When.ON_ENTRY)
    assert "foresight" not in client.get(f"/mailings/{usual.pk}/").content.decode()
    page = client.get(f"/mailings/{on_entry.pk}/").content.decode()
    assert f'hx-get="/mailings/{on_entry.pk}/foresight/"' in page
    assert f'href="/mailings/{on_entry.pk}/would-get/"' in page


def test_the_last_thirty_days_in_words_bars_and_numbers(as_: As, manager: User) -> None:
    factories.students(2, date_joined=NOON - timedelta(days=1))
    factories.students(1, start=5, date_joined=NOON - timedelta(days=3))
    draft = mailing_factories.draft(when=Mailing.When.ON_ENTRY)
    answer = as_(manager).get(f"/mailings/{draft.pk}/foresight/")
    page = text_of(answer)
    assert "It would have gone to 3 people, at most 2 a day." in page
    assert "Under the rule now, with a phone that can get it: 3 people." in page
    assert "Feb. 28, 2026 2" in page
    assert answer.content.decode().count("<rect") == 2
    assert "no date says" not in page


def test_people_of_whom_no_date_is_known_are_told_apart(as_: As, manager: User) -> None:
    factories.students(3, date_joined=NOON - timedelta(days=300), city="Kazan")
    rule = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Kazan"}]}
    segment = Segment.objects.create(name="Kazan", rule=rule)
    draft = mailing_factories.draft(when=Mailing.When.ON_ENTRY, everyone=False, segment=segment)
    page = text_of(as_(manager).get(f"/mailings/{draft.pk}/foresight/"))
    assert "It would have gone to 0 people. Under the rule now" in page
    assert "Of 3 people no date says when they came under the rule" in page


def test_a_rule_that_cannot_be_read_is_told_on_each_page(as_: As, manager: User) -> None:
    segment = Segment.objects.create(name="Broken", rule={"version": 1, "all": []})
    draft = mailing_factories.draft(when=Mailing.When.ON_ENTRY, everyone=False, segment=segment)
    client = as_(manager)
    for address in ("", "foresight/", "would-get/?q=maria"):
        page = text_of(client.get(f"/mailings/{draft.pk}/{address}"))
        assert "The rule cannot be read" in page


def test_it_may_be_launched_with_nobody_under_the_rule_yet(owner: User) -> None:
    group = Group.objects.create(name="Course")
    draft = mailing_factories.draft(when=Mailing.When.ON_ENTRY, everyone=False)
    draft.groups.set([group])
    transitions.launch(draft, owner)
    assert draft.launched_at is not None


# --- one person ---------------------------------------------------------------------------------
def test_somebody_is_looked_up_and_told_yes_or_no(as_: As, manager: User) -> None:
    factories.person("vera", phone="+79980000011", city="Kazan")
    factories.person("veronika", phone="+79980000012", city="Omsk")
    factories.person("verochka", city="Kazan")
    rule = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Kazan"}]}
    segment = Segment.objects.create(name="Kazan", rule=rule)
    draft = mailing_factories.draft(when=Mailing.When.ON_ENTRY, everyone=False, segment=segment)
    client = as_(manager)
    page = text_of(client.get(f"/mailings/{draft.pk}/would-get/?q=ver"))
    assert "Verochka No No phone" in page
    assert "Veronika No Is not under the rule. What does not hold: City is “Kazan”" in page
    assert "Vera Yes Would get it if the mailing were launched now." in page
    assert "Nobody found" in text_of(client.get(f"/mailings/{draft.pk}/would-get/?q=nobody"))
    assert "Look somebody up" in text_of(client.get(f"/mailings/{draft.pk}/would-get/"))


@pytest.mark.parametrize("q", ["%00", "%", "'", "x" * 5000, "+7 (998)"])
def test_nonsense_finds_nobody(as_: As, manager: User, q: str) -> None:
    draft = mailing_factories.draft()
    assert as_(manager).get(f"/mailings/{draft.pk}/would-get/", {"q": q}).status_code == 200


def test_many_of_one_name_are_not_all_asked_about(as_: As, manager: User) -> None:
    factories.students(9)
    draft = mailing_factories.draft()
    page = text_of(as_(manager).get(f"/mailings/{draft.pk}/would-get/?q=student"))
    assert page.count("Would get it if") == 5
    assert "There are more with these words" in page


def test_who_may_not_see_people_cannot_look_them_up(as_: As) -> None:
    reader = factories.person("pyotr", role="employee", rights=[str(Right.SEE_MAILINGS)])
    mailing = mailing_factories.watching(everyone=True)
    client = as_(reader)
    assert client.get(f"/mailings/{mailing.pk}/would-get/").status_code == 403
    assert "would-get" not in client.get(f"/mailings/{mailing.pk}/").content.decode()


# --- while it watches -----------------------------------------------------------------------------
def test_it_shows_since_when_and_how_many_came(as_: As, manager: User, clock: Any) -> None:
    factories.students(3)
    mailing = mailing_factories.watching(everyone=True)
    look()
    Arrival.objects.filter(user__email="student0@example.com").update(at=NOON - timedelta(days=6))
    Arrival.objects.filter(user__email="student1@example.com").update(at=NOON - timedelta(days=8))
    client = as_(manager)
    page = text_of(client.get(f"/mailings/{mailing.pk}/"))
    assert "Watching since 03/01/2026 3 p.m. Last looked 03/01/2026 3 p.m." in page
    assert "Came today 2 Came in 7 days 3" in page  # Maria has no phone, and came too
    assert "It looks at the rule once a minute" in page
    assert "Only those who come from now on" not in page
    for address in ("/", "/mailings/", "/mailings/?state=running"):
        assert "Watching the rule since 03/01/2026" in text_of(client.get(address))


def test_who_was_there_before_is_no_arrival(as_: As, manager: User) -> None:
    factories.students(3)
    mailing = mailing_factories.watching(everyone=True, present_too=False)
    look()
    page = text_of(as_(manager).get(f"/mailings/{mailing.pk}/"))
    assert "Came today 0 Came in 7 days 0" in page
    assert "Only those who come from now on" in page


def test_before_the_first_look_it_says_nothing_wrong(as_: As, manager: User) -> None:
    mailing = mailing_factories.watching(everyone=True)
    assert "Watching since — Last looked —" in text_of(as_(manager).get(f"/mailings/{mailing.pk}/"))


def test_a_broken_rule_says_what_is_broken_and_where_to_put_it_right(
    as_: As, manager: User
) -> None:
    group = Group.objects.create(name="Course")
    condition = {"field": "group", "op": "in", "value": str(group.pk)}
    segment = Segment.objects.create(name="Course", rule={"version": 1, "all": [condition]})
    mailing = mailing_factories.watching(segment=segment)
    group.delete()
    look()
    answer = as_(manager).get(f"/mailings/{mailing.pk}/")
    page = text_of(answer)
    assert "Paused by itself: The rule can no longer be read" in page
    assert "What was chosen here is no longer there" in page
    assert "Put it right, then go on" in page
    assert "While it is paused nobody is taken in" in page
    assert f'href="/segments/{segment.pk}/edit/"' in answer.content.decode()


def test_the_page_of_one_that_watches_asks_every_ten_seconds(as_: As, manager: User) -> None:
    mailing = mailing_factories.watching(everyone=True)
    assert 'hx-trigger="every 10s"' in as_(manager).get(f"/mailings/{mailing.pk}/").content.decode()


def test_who_changes_a_segment_is_told_which_mailings_follow(
    as_: As, manager: User, owner: User
) -> None:
    rule = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Kazan"}]}
    inner = Segment.objects.create(name="Inner", rule=rule)
    around = Segment.objects.create(
        name="Around", rule={"version": 1, "all": [{"segment": inner.pk}]}
    )
    client = as_(manager)
    mailing_factories.draft(segment=around, everyone=False, when=Mailing.When.ON_ENTRY)
    mailing_factories.draft(segment=inner, everyone=False, state=State.SENDING)
    assert "this segment" not in text_of(client.get(f"/segments/{inner.pk}/edit/"))
    mailing = mailing_factories.watching(name="Welcome", segment=around)
    for segment in (inner, around):
        page = text_of(client.get(f"/segments/{segment.pk}/edit/"))
        assert "A mailing watches this segment Welcome: within a minute" in page
    transitions.stop_watching(mailing, owner)
    assert "this segment" not in text_of(client.get(f"/segments/{inner.pk}/edit/"))
    assert client.get("/segments/new/").status_code == 200


# --- its end --------------------------------------------------------------------------------------
def test_stopping_asks_first_and_then_it_takes_nobody_new(as_: As, manager: User) -> None:
    factories.students(2)
    mailing = mailing_factories.watching(everyone=True)
    look()
    client = as_(manager)
    assert (
        f"/mailings/{mailing.pk}/stop-watching/"
        in client.get(f"/mailings/{mailing.pk}/").content.decode()
    )
    asked = text_of(client.get(f"/mailings/{mailing.pk}/stop-watching/"))
    assert "Still to be handed over 2" in asked
    mailing.refresh_from_db()
    assert mailing.state == State.WATCHING
    page = text_of(client.post(f"/mailings/{mailing.pk}/stop-watching/", follow=True))
    assert "It watches no more" in page
    assert "Watching stopped: nobody new is taken" in page
    assert "Came today" not in page
    mailing.refresh_from_db()
    assert mailing.state == State.SENDING
    again = text_of(client.post(f"/mailings/{mailing.pk}/stop-watching/", follow=True))
    assert "It watches no more. Look at the page again." in again


def test_cancelling_tells_of_stopping(as_: As, manager: User) -> None:
    mailing = mailing_factories.watching(everyone=True)
    page = text_of(as_(manager).get(f"/mailings/{mailing.pk}/cancel/"))
    assert "stop watching instead" in page
    one_time = mailing_factories.draft(state=State.PAUSED, launched_at=NOON, prepared_at=NOON)
    Counters.objects.create(mailing=one_time)
    page = text_of(as_(manager).get(f"/mailings/{one_time.pk}/cancel/"))
    assert "stop watching instead" not in page
