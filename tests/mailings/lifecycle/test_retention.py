"""Messages and clicks of mailings that ended long ago are removed if the owner wants it; the figures stay."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from mailings.audience import conditions
from mailings.lifecycle import retention
from mailings.models import Click, Counters, Mailing, Message
from mailings.notifications import editing
from mailings.notifications.send import Became, raise_event
from mailings.reports import recount
from mailings.sending import epoch
from mailings.tracking import aggregate
from smsmail.jobs.periodic import BY_NAME
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, Segment, User

pytestmark = pytest.mark.django_db

State = Mailing.State
As = Callable[[User], Client]


@pytest.fixture(autouse=True)
def kept_for_90_days(settings: Any) -> None:
    settings.KEEP_MESSAGES_DAYS = 90
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def ended(owner: User) -> Mailing:
    """Delivered to seven people, of whom one has clicked; it ended 100 days ago."""
    factories.students(7, digits="77")
    factories.simulator()
    return end(mailing_factories.prepared(owner, name="Old webinar"), days=100)


def end(mailing: Mailing, days: int) -> Mailing:
    sent = mailing_factories.sent()
    mailing_factories.reported(sent, "delivered")
    message = Message.objects.filter(mailing=mailing).earliest("id")
    Click.objects.create(message=message, mailing=mailing, position=0, kind="person", method="GET")
    aggregate.aggregate_due()
    mailing_factories.settle()
    Mailing.objects.filter(id=mailing.id).update(finished_at=timezone.now() - timedelta(days=days))
    mailing.refresh_from_db()
    assert mailing.state == State.DONE
    assert mailing.messages.count() == 8  # the owner has no phone
    return mailing


def forget() -> None:
    while BY_NAME["forget_messages"].run():
        pass


def is_kept(mailing: Mailing) -> bool:
    mailing.refresh_from_db()
    counts = mailing.messages.count(), Click.objects.filter(mailing=mailing).count()
    assert counts in {(8, 1), (0, 0)}
    assert (counts == (8, 1)) == (mailing.messages_removed_at is None)
    return counts == (8, 1)


def test_by_default_they_are_kept_for_ever(ended: Mailing, settings: Any) -> None:
    settings.KEEP_MESSAGES_DAYS = 0
    Mailing.objects.update(finished_at=timezone.now() - timedelta(days=9999))

    forget()

    assert is_kept(ended)


def test_they_are_removed_and_the_figures_stay(
    ended: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE", 3)
    before = Counters.objects.values().get(mailing=ended)
    assert (before["delivered"], before["clicked"]) == (7, 1)

    forget()

    assert not is_kept(ended)
    assert Counters.objects.values().get(mailing=ended) == before
    assert AuditEvent.objects.filter(what="messages_removed").count() == 1


def test_recount_neither_complains_of_it_nor_spoils_the_figures(
    ended: Mailing, capsys: pytest.CaptureFixture[str]
) -> None:
    forget()
    before = Counters.objects.values().get(mailing=ended)

    assert recount.compare() == []
    recount.repair(ended.id)
    call_command("recount", "--fix")

    assert Counters.objects.values().get(mailing=ended) == before
    assert "because their messages were removed: 1 mailings." in capsys.readouterr().out


def test_clicks_that_are_left_do_not_change_the_figures_when_judged_anew(ended: Mailing) -> None:
    """A redirect from memory may write one later."""
    message = ended.messages.earliest("id").id
    forget()
    robot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    Click.objects.create(
        message_id=message,
        mailing=ended,
        position=0,
        kind="person",
        method="GET",
        user_agent=robot,
        processed_at=timezone.now(),
    )
    before = Counters.objects.values().get(mailing=ended)

    call_command("reclassify_clicks")

    assert Counters.objects.values().get(mailing=ended) == before


def test_what_ended_later_or_has_not_ended_is_kept(ended: Mailing, owner: User) -> None:
    Mailing.objects.update(finished_at=timezone.now() - timedelta(days=89))
    forget()
    assert is_kept(ended)

    Mailing.objects.update(state=State.SETTLING, finished_at=timezone.now() - timedelta(days=99))
    forget()
    assert is_kept(ended)


def test_a_notification_is_kept_so_that_its_keys_still_count(
    ended: Mailing, owner: User, student: User
) -> None:
    paid = Mailing(event="paid", name="Paid", text="Paid", event_values=[])
    editing.add(paid, owner)
    editing.switch(paid, owner, on=True)
    raise_event("paid", student, key="order:15")
    editing.switch(paid, owner, on=False)
    mailing_factories.settle()
    Mailing.objects.update(finished_at=timezone.now() - timedelta(days=400))

    forget()

    assert paid.messages.count() == 1
    editing.switch(paid, owner, on=True)
    assert raise_event("paid", student, key="order:15").became != Became.SENT


RULE = {"field": "mailing", "op": "received"}
NOT_SENT = "had_none"


def test_a_mailing_that_a_segment_asks_about_is_kept(ended: Mailing) -> None:
    """Without its messages, "was not sent the old webinar" would be true of everybody."""
    asked = {"version": 1, "not": {**RULE, "value": str(ended.id)}}
    segment = Segment.objects.create(name="Not yet invited", rule=asked)
    forget()
    assert is_kept(ended)

    segment.delete()
    forget()
    assert not is_kept(ended)


def test_what_a_segment_looks_back_at_is_kept(ended: Mailing) -> None:
    asked = {"version": 1, "field": "lately", "op": NOT_SENT, "value": 100}
    segment = Segment.objects.create(name="Long silent", rule=asked)
    forget()
    assert is_kept(ended)

    Segment.objects.filter(id=segment.id).update(rule={**asked, "value": 98})
    forget()
    assert not is_kept(ended)


def test_a_mailing_without_messages_is_not_offered_to_rules(ended: Mailing) -> None:
    assert str(ended.id) in dict(conditions.mailings())

    forget()

    assert str(ended.id) not in dict(conditions.mailings())
    assert conditions.name_of(str(ended.id)) == "Old webinar"  # of rules that are written down


def test_a_restored_copy_removes_nothing(ended: Mailing) -> None:
    epoch.hold("command")

    forget()

    assert is_kept(ended)


def test_a_click_that_is_not_counted_yet_is_counted_first(ended: Mailing) -> None:
    Click.objects.update(processed_at=None)

    forget()

    assert Click.objects.filter(mailing=ended).count() == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "The list was removed"), ("ru", "Список удалён")],
)
def test_pages_say_so_in_words(
    ended: Mailing, manager: User, as_: As, language: str, words: str
) -> None:
    User.objects.filter(pk=manager.pk).update(language=language)
    manager.refresh_from_db()
    client = as_(manager)
    pages = [f"/mailings/{ended.id}/recipients/", f"/mailings/{ended.id}/reasons/"]
    for page in pages:
        assert words not in client.get(page).content.decode()

    forget()

    for page in pages:
        assert words in client.get(page).content.decode()
    said = {"en": "messages removed ", "ru": "сообщения удалены "}
    assert said[language] in client.get(f"/mailings/{ended.id}/").content.decode()


def test_a_person_is_told_for_how_long_messages_are_kept(
    ended: Mailing, as_: As, settings: Any
) -> None:
    person = User.objects.filter(role="student").earliest("id")
    page = as_(person).get("/me/messages/").content.decode()
    assert "kept for 90 days" in page

    settings.KEEP_MESSAGES_DAYS = 0
    assert "kept for" not in as_(person).get("/me/messages/").content.decode()
