"""A launch too big for one person: asked for, confirmed by another, taken back; never by oneself."""

import re
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from integrations.models import Account
from mailings.audience import audience, funnel
from mailings.errors import CannotLaunch
from mailings.lifecycle import approval, transitions
from mailings.lifecycle.approval import NotAwaiting
from mailings.models import Counters, Mailing, Message, Policy
from mailings.sending import prepare
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, Group, Segment, User
from users.rights import Right

As = Callable[[User], Client]
State = Mailing.State


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> Any:
    settings.LANGUAGE_CODE = "en"
    with translation.override("en"):
        yield


@pytest.fixture
def account(db: None) -> Account:
    return factories.simulator(price="2")


@pytest.fixture
def five(account: Account) -> list[User]:
    """Students; a launch to more than three needs a second person."""
    mailing_factories.policy(two_people_above=3)
    return factories.students(5)


@pytest.fixture
def asked(five: list[User], manager: User, owner: User) -> Mailing:
    """By Maria."""
    return mailing_factories.launched(manager)


def confirm(mailing: Mailing, by: User) -> None:
    transitions.launch(mailing, by, confirms=mailing.asked_at)


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def whats(mailing: Mailing) -> list[str]:
    rows = AuditEvent.objects.filter(target=f"mailing {mailing.pk}").order_by("id")
    return list(rows.values_list("what", flat=True))


# --- asking -----------------------------------------------------------------------------------
def test_a_big_launch_waits_and_nothing_is_prepared(asked: Mailing, manager: User) -> None:
    assert (asked.state, asked.asked_by) == (State.AWAITING, manager)
    assert asked.asked_at is not None
    assert (asked.launched_at, asked.launched_by) == (None, None)
    assert (asked.cursor, asked.ceiling) == (0, 0)
    assert not Counters.objects.exists()
    assert not prepare.prepare_due()
    assert not Message.objects.exists()
    assert whats(asked) == ["asked"]


@pytest.mark.parametrize(
    ("limit", "state"),
    [
        (None, State.PREPARING),
        (5, State.PREPARING),
        (4, State.AWAITING),
        (0, State.AWAITING),
    ],
)
def test_only_above_the_limit(five: list[User], owner: User, limit: int, state: State) -> None:
    Policy.objects.update(two_people_above=limit)
    assert mailing_factories.launched(owner).state == state


def test_it_is_the_number_who_will_get_it_that_counts(five: list[User], owner: User) -> None:
    """Not all who are chosen: two have forbidden SMS, and the owner has no phone."""
    User.objects.filter(id__in=[each.id for each in five[:2]]).update(sms_forbidden=True)
    assert mailing_factories.launched(owner).state == State.PREPARING


def test_what_cannot_go_is_not_asked_for_either(five: list[User], owner: User) -> None:
    draft = mailing_factories.draft(text="{nonsense")
    with pytest.raises(CannotLaunch):
        transitions.launch(draft, owner)
    draft.refresh_from_db()
    assert (draft.state, draft.asked_at) == (State.DRAFT, None)


# --- confirming -------------------------------------------------------------------------------
def test_another_person_launches_it(asked: Mailing, manager: User, owner: User) -> None:
    confirm(asked, owner)
    assert (asked.state, asked.launched_by, asked.asked_by) == (State.PREPARING, owner, manager)
    assert asked.ceiling == audience.newest()
    while prepare.prepare_some(asked.id):
        pass
    assert mailing_factories.statuses(asked) == {"waiting": 5, "skipped": 2}
    assert whats(asked) == ["asked", "launched"]


def test_whoever_asked_never_confirms(asked: Mailing, manager: User) -> None:
    for _again in range(2):
        with pytest.raises(CannotLaunch, match="somebody else must confirm"):
            confirm(asked, manager)
        with pytest.raises(CannotLaunch, match="somebody else must confirm"):
            transitions.launch(asked, manager)
    asked.refresh_from_db()
    assert asked.state == State.AWAITING


@pytest.mark.parametrize("limit", [None, 1000])
def test_nor_when_the_limit_is_raised_meanwhile(
    asked: Mailing, manager: User, owner: User, limit: int | None
) -> None:
    Policy.objects.update(two_people_above=limit)
    with pytest.raises(CannotLaunch):
        confirm(asked, manager)
    confirm(asked, owner)
    assert asked.state == State.PREPARING


def test_nor_when_people_have_gone_meanwhile(asked: Mailing, manager: User) -> None:
    User.objects.filter(phone__endswith="0").update(sms_forbidden=True)
    User.objects.filter(phone__endswith="1").update(sms_forbidden=True)
    with pytest.raises(CannotLaunch):
        confirm(asked, manager)


def test_more_people_than_when_it_was_asked_for_are_confirmed_too(
    asked: Mailing, owner: User
) -> None:
    factories.students(4, start=50)
    confirm(asked, owner)
    assert asked.state == State.PREPARING


def test_what_was_taken_back_and_asked_for_again_is_confirmed_anew(
    asked: Mailing, manager: User, owner: User
) -> None:
    """Olga has read a text that is no longer the text."""
    read = asked.asked_at
    approval.send_back(asked, manager)
    Mailing.objects.update(text="Another")
    transitions.launch(asked, manager)
    with pytest.raises(CannotLaunch, match="Look at it once more"):
        transitions.launch(asked, owner, confirms=read)
    with pytest.raises(CannotLaunch, match="Look at it once more"):
        transitions.launch(asked, owner)
    asked.refresh_from_db()
    assert asked.state == State.AWAITING


def test_a_confirmation_of_a_draft_is_none(asked: Mailing, manager: User, owner: User) -> None:
    read = asked.asked_at
    approval.send_back(asked, manager)
    with pytest.raises(CannotLaunch, match="taken back"):
        transitions.launch(asked, owner, confirms=read)


def test_it_is_checked_again_when_it_is_confirmed(asked: Mailing, owner: User) -> None:
    User.objects.update(sms_forbidden=True)
    with pytest.raises(CannotLaunch, match="Nobody"):
        confirm(asked, owner)
    asked.refresh_from_db()
    assert (asked.state, asked.launched_at) == (State.AWAITING, None)


def test_the_rule_is_the_one_that_was_asked_for(
    five: list[User], manager: User, owner: User
) -> None:
    def rule(city: str) -> dict[str, Any]:
        return {"version": 1, "any": [{"field": "city", "op": "is", "value": city}]}

    User.objects.filter(phone__startswith="+").update(city="Kazan")
    segment = Segment.objects.create(name="Kazan", rule=rule("Kazan"))
    mailing = mailing_factories.launched(manager, everyone=False, segment=segment)
    Segment.objects.update(rule=rule("Tver"))
    factories.students(1, start=90, city="Tver")
    mailing = Mailing.objects.get()
    assert funnel.count(mailing).will_receive == 5

    confirm(mailing, owner)

    assert mailing.rule == rule("Kazan")
    while prepare.prepare_some(mailing.id):
        pass
    assert mailing_factories.statuses(mailing) == {"waiting": 5}


def test_a_draft_again_it_follows_its_segment(five: list[User], manager: User) -> None:
    rule = {"version": 1, "any": [{"field": "phone", "op": "present"}]}
    segment = Segment.objects.create(name="With a phone", rule=rule)
    mailing = mailing_factories.launched(manager, everyone=False, segment=segment)
    assert mailing.rule is not None
    approval.send_back(mailing, manager)
    assert mailing.rule is None


# --- taking back ------------------------------------------------------------------------------
@pytest.mark.parametrize(("who", "what"), [("maria", "withdrawn"), ("olga", "sent_back")])
def test_it_becomes_a_draft_again(
    asked: Mailing, manager: User, owner: User, who: str, what: str
) -> None:
    approval.send_back(asked, {"maria": manager, "olga": owner}[who])
    assert (asked.state, asked.asked_at, asked.asked_by) == (State.DRAFT, None, None)
    assert whats(asked) == ["asked", what]
    with pytest.raises(NotAwaiting):
        approval.send_back(asked, manager)
    transitions.launch(asked, owner)  # the other may ask now
    assert (asked.state, asked.asked_by) == (State.AWAITING, owner)
    confirm(asked, manager)
    assert asked.launched_by == manager


def test_one_confirmed_and_made_a_draft_again_is_asked_for_anew(
    as_: As, asked: Mailing, manager: User, owner: User
) -> None:
    """Who asked the first time is still written there: it lets nobody through."""
    confirm(asked, owner)
    Counters.objects.all().delete()
    Mailing.objects.update(state=State.DRAFT, launched_at=None, launched_by=None, rule=None)
    with pytest.raises(CannotLaunch):
        confirm(asked, owner)
    question = as_(owner).get(reverse("mailing-launch", args=[asked.pk]))
    assert "Ask for the launch" in text_of(question)
    transitions.launch(asked, owner)
    assert (asked.state, asked.asked_by) == (State.AWAITING, owner)


# --- at once ----------------------------------------------------------------------------------
def at_once(*calls: Callable[[], None]) -> list[str]:
    """Each in a thread with a connection of its own, all let go together; what came of each."""
    all_ready = threading.Barrier(len(calls), timeout=20)
    results: list[str] = []

    def run(call: Callable[[], None]) -> None:
        try:
            all_ready.wait()
            call()
            results.append("done")
        except (CannotLaunch, NotAwaiting):
            results.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return sorted(results)


def big_draft() -> Mailing:
    factories.simulator()
    mailing_factories.policy(two_people_above=3)
    factories.students(5)
    return mailing_factories.draft()


def launching(mailing: Mailing, by: User, confirms: datetime | None = None) -> Callable[[], None]:
    return lambda: transitions.launch(Mailing.objects.get(id=mailing.id), by, confirms=confirms)


@pytest.mark.django_db(transaction=True)
def test_two_clicks_of_one_person_at_once_ask_once_and_confirm_nothing() -> None:
    manager, draft = factories.manager(), big_draft()
    assert at_once(launching(draft, manager), launching(draft, manager)) == ["done", "refused"]
    draft.refresh_from_db()
    assert (draft.state, whats(draft)) == (State.AWAITING, ["asked"])


@pytest.mark.django_db(transaction=True)
def test_two_people_who_launch_one_draft_at_once_ask_once_and_confirm_nothing() -> None:
    """Neither has seen that the other asked."""
    manager, owner, draft = factories.manager(), factories.owner(), big_draft()
    assert at_once(launching(draft, manager), launching(draft, owner)) == ["done", "refused"]
    draft.refresh_from_db()
    assert (draft.state, whats(draft)) == (State.AWAITING, ["asked"])


@pytest.mark.django_db(transaction=True)
def test_of_two_confirmations_at_once_one_launches_it() -> None:
    manager, owner, administrator = (
        factories.manager(),
        factories.owner(),
        factories.administrator(),
    )
    asked = big_draft()
    transitions.launch(asked, manager)
    at = asked.asked_at
    results = at_once(
        launching(asked, owner, at),
        launching(asked, administrator, at),
        launching(asked, manager, at),
    )
    assert results == ["done", "refused", "refused"]
    asked.refresh_from_db()
    assert asked.launched_by in {owner, administrator}
    assert Counters.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_confirmation_and_a_taking_back_at_once_are_one_of_them() -> None:
    manager, owner = factories.manager(), factories.owner()
    asked = big_draft()
    transitions.launch(asked, manager)

    def take_back() -> None:
        approval.send_back(Mailing.objects.get(id=asked.id), manager)

    assert at_once(launching(asked, owner, asked.asked_at), take_back) == ["done", "refused"]
    asked.refresh_from_db()
    launched = asked.state == State.PREPARING
    assert launched is (Counters.objects.count() == 1) is (asked.launched_by == owner)
    assert launched or (asked.state == State.DRAFT and asked.asked_at is None)


# --- pages ------------------------------------------------------------------------------------
def test_the_dialog_says_before_that_somebody_else_must_confirm(
    as_: As, five: list[User], manager: User, owner: User
) -> None:
    draft = mailing_factories.draft()
    address = reverse("mailing-launch", args=[draft.pk])
    question = text_of(as_(manager).get(address))
    assert "leaves only after somebody else has confirmed it" in question
    assert "May confirm: Olga." in question
    assert "Ask for the launch" in question
    page = text_of(as_(manager).post(address, follow=True))
    assert "It goes as soon as somebody else has confirmed it." in page
    draft.refresh_from_db()
    assert draft.state == State.AWAITING


def test_the_one_who_may_confirm_reads_three_real_messages(
    as_: As, asked: Mailing, owner: User, five: list[User]
) -> None:
    address = reverse("mailing-launch", args=[asked.pk])
    page = as_(owner).get(address)
    shown = page.context["samples"]
    assert len({each.person.pk for each in shown}) == 3
    assert {each.person for each in shown} <= set(five)
    for each in shown:
        assert each.body == f"Webinar at six, {each.person.first_name}"
        assert each.body in text_of(page)
    assert "Send to 5 people?" in text_of(page)
    as_(owner).post(address, {"confirms": page.context["mailing"].asked_at.isoformat()})
    asked.refresh_from_db()
    assert (asked.state, asked.launched_by) == (State.PREPARING, owner)


@pytest.mark.parametrize("confirms", ["", "nonsense", "0001-01-01T00:00:00+23:59", "2026-01-01"])
def test_nothing_is_confirmed_without_having_seen_it(
    as_: As, asked: Mailing, owner: User, confirms: str
) -> None:
    as_(owner).post(reverse("mailing-launch", args=[asked.pk]), {"confirms": confirms})
    asked.refresh_from_db()
    assert asked.state == State.AWAITING


def test_whoever_asked_gets_no_button_and_no_way(as_: As, asked: Mailing, manager: User) -> None:
    launch, mailing = (reverse(name, args=[asked.pk]) for name in ("mailing-launch", "mailing"))
    page = as_(manager).get(mailing)
    assert launch not in page.content.decode()
    assert "Take it back" in text_of(page)
    assert as_(manager).get(launch)["Location"] == mailing
    assert asked.asked_at is not None
    said = as_(manager).post(launch, {"confirms": asked.asked_at.isoformat()}, follow=True)
    assert "somebody else must confirm it" in text_of(said)
    asked.refresh_from_db()
    assert asked.state == State.AWAITING


def test_one_click_sends_it_back_and_it_can_be_changed_again(
    as_: As, asked: Mailing, owner: User
) -> None:
    edit = reverse("mailing-edit", args=[asked.pk])
    assert edit not in as_(owner).get(reverse("mailing", args=[asked.pk])).content.decode()
    page = text_of(as_(owner).post(reverse("mailing-send-back", args=[asked.pk]), follow=True))
    assert "It is a draft again" in page
    assert "Not confirmed: sent back to the drafts" in page
    assert as_(owner).get(edit).status_code == 200
    again = text_of(as_(owner).post(reverse("mailing-send-back", args=[asked.pk]), follow=True))
    assert "no longer waits" in again


def test_while_it_waits_nothing_of_it_changes(as_: As, asked: Mailing, manager: User) -> None:
    typed = {"name": "Other", "text": "Other", "recipients": "everyone"}
    its_page = reverse("mailing", args=[asked.pk])
    assert as_(manager).get(f"/mailings/{asked.pk}/edit/")["Location"] == its_page
    assert as_(manager).post(f"/mailings/{asked.pk}/edit/", typed)["Location"] == its_page
    assert as_(manager).post(f"/mailings/{asked.pk}/autosave/", typed).json()["saved"] is False
    as_(manager).post(f"/mailings/{asked.pk}/delete/")
    stored = Mailing.objects.get()
    assert (stored.name, stored.text) == ("Webinar", "Webinar at six, {first_name|friend}")


@pytest.mark.parametrize(
    "name", ["recipients", "reasons", "cancel", "close-unknown", "send-again", "revoke-links"]
)
def test_pages_of_a_launched_mailing_are_not_there_yet(
    as_: As, asked: Mailing, owner: User, name: str
) -> None:
    assert as_(owner).get(reverse(f"mailing-{name}", args=[asked.pk])).status_code == 404


@pytest.mark.parametrize("name", ["pause", "resume"])
def test_nor_are_its_buttons(as_: As, asked: Mailing, owner: User, name: str) -> None:
    as_(owner).post(reverse(f"mailing-{name}", args=[asked.pk]))
    asked.refresh_from_db()
    assert asked.state == State.AWAITING


def test_it_is_seen_everywhere_with_who_asked(as_: As, asked: Mailing, owner: User) -> None:
    at = timezone.localtime(asked.asked_at)
    for address in ("/", "/mailings/", "/mailings/?state=awaiting"):
        page = text_of(as_(owner).get(address))
        assert "Waiting for a second person" in page
        assert f"asked for by Maria, {at:%m/%d/%Y}" in page, address
    assert not as_(owner).get("/mailings/?state=draft").context["page"].rows
    assert not as_(owner).get("/").context["recent"]
    its_page = text_of(as_(owner).get(reverse("mailing", args=[asked.pk])))
    assert "Maria asked to launch it" in its_page
    assert "Launch asked for: a second person must confirm it" in its_page
    confirm(asked, owner)
    its_page = text_of(as_(owner).get(reverse("mailing", args=[asked.pk])))
    assert "· Olga · asked for by Maria" in its_page


def test_when_the_one_who_asked_is_gone_another_confirms(
    as_: As, asked: Mailing, manager: User, owner: User
) -> None:
    User.objects.filter(pk=manager.pk).delete()
    page = as_(owner).get(reverse("mailing", args=[asked.pk]))
    assert "Its launch was asked for" in text_of(page)
    confirm(Mailing.objects.get(), owner)
    assert Mailing.objects.get().state == State.PREPARING


def test_whoever_may_only_write_sees_it_and_does_nothing(
    as_: As, asked: Mailing, employee: User
) -> None:
    employee.rights = [str(Right.SEE_MAILINGS), str(Right.EDIT_MAILINGS)]
    employee.save()
    page = as_(employee).get(reverse("mailing", args=[asked.pk])).content.decode()
    for name in ("mailing-launch", "mailing-send-back"):
        address = reverse(name, args=[asked.pk])
        assert address not in page
        assert as_(employee).post(address).status_code == 403


def test_messages_are_picked_among_those_who_get_it(five: list[User], owner: User) -> None:
    group = Group.objects.create(name="Two")
    for each in five[3:]:
        each.groups.add(group)
    draft = mailing_factories.draft(everyone=False)
    draft.groups.add(group)
    assert {each.person for each in approval.samples(draft)} == set(five[3:])
    User.objects.update(sms_forbidden=True)
    assert approval.samples(draft) == []


def test_other_messages_are_picked_another_time(account: Account, owner: User) -> None:
    factories.students(200)
    draft = mailing_factories.draft()
    picked = {each.person.pk for _look in range(5) for each in approval.samples(draft)}
    assert len(picked) > 3
