"""Nobody works: heartbeats of the clock's jobs, the banner of the staff's pages, and
/health/ready/. With real processes: test_standstill.py.
"""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from integrations.models import Account, Receipt
from mailings.models import Mailing
from mailings.sending import prepare
from smsmail.jobs import heartbeat, watchdog
from smsmail.jobs.periodic import BY_NAME, PERIODIC_JOBS, Job
from smsmail.models import Heartbeat
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

As = Callable[[User], Client]
MINUTE = timedelta(minutes=1)
NOTHING_SENT = "Nothing is being sent"
NOT_DONE = "Part of the work is not being done"


@pytest.fixture
def english(owner: User, manager: User, employee: User, student: User) -> None:
    User.objects.update(language="en")
    factories.working()


@pytest.fixture(autouse=True)
def nothing_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process remembers of heartbeats is of other tests."""
    monkeypatch.setattr(heartbeat, "_written", {})
    monkeypatch.setattr(heartbeat, "_failed", {})


def seen(ago: timedelta, *jobs: str) -> None:
    rows = Heartbeat.objects.filter(job__in=jobs) if jobs else Heartbeat.objects.all()
    rows.update(beat_at=Now() - ago)


def ready() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/health/ready/")
    return answer.status_code, answer.json()


def page(client: Client, address: str = "/") -> str:
    """What its banner says; '' when there is none."""
    return banner_in(client.get(address).content.decode())


def banner_in(html: str) -> str:
    found = html.partition('<div class="banner bad" role="alert">')[2]
    found = found.partition("</div>\n</div>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


# --- heartbeats ---------------------------------------------------------------------------------
def beats() -> bool:
    return False


def fails() -> bool:
    raise ValueError("+79980000001 is strange")


def job(what: str) -> Job:
    return Job("start", f"tests.smsmail.jobs.test_watchdog.{what}", 1)


def test_a_job_leaves_a_heartbeat_every_few_seconds_at_most(
    django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job("beats").run_watched()
    row = Heartbeat.objects.get()
    assert (row.job, row.failures, row.error) == ("start", 0, "")
    assert row.ok_at is not None
    with django_assert_num_queries(0):
        for _ in range(100):
            job("beats").run_watched()
    monkeypatch.setattr(heartbeat, "period", lambda: 0.0)
    with django_assert_num_queries(1):
        job("beats").run_watched()


def test_failures_are_counted_by_their_class_and_the_next_success_ends_them() -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="strange"):
            job("fails").run_watched()
    row = Heartbeat.objects.get()
    assert (row.failures, row.error) == (1, "ValueError")  # two more are written when it is time
    assert row.failing_since is not None
    heartbeat._written.clear()
    with pytest.raises(ValueError, match="strange"):
        job("fails").run_watched()
    row.refresh_from_db()
    assert row.failures == 4
    assert "7998" not in str(Heartbeat.objects.values())
    job("beats").run_watched()  # at once, whatever the time
    row.refresh_from_db()
    assert (row.failures, row.error) == (0, "")
    assert Heartbeat.objects.filter(failing_since=None).exists()


def test_a_heartbeat_that_cannot_be_written_does_not_harm_the_job(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise OSError("+79980000001")

    monkeypatch.setattr(heartbeat, "_upsert", away)
    assert job("beats").run_watched() is False
    assert "no heartbeat of start: OSError" in caplog.text
    assert "7998" not in caplog.text


# --- what is read from them -----------------------------------------------------------------------
def test_while_everybody_works_there_is_no_banner_and_all_is_ready(english: None, as_: As) -> None:
    assert ready() == (
        200,
        {
            "database": "ok",
            "jobs": dict.fromkeys((each.name for each in PERIODIC_JOBS), "ok"),
            "oldest_due_seconds": {},
            "reasons": [],
        },
    )
    assert page(as_(factories.person("vera", role="owner", language="en"))) == ""


def test_nobody_works_the_owner_sees_the_command_and_managers_whom_to_tell(
    english: None, as_: As, owner: User, manager: User, employee: User, student: User, settings: Any
) -> None:
    seen(timedelta(days=1))
    settings.EMBEDDED = True
    for address in ("/", "/people/", "/mailings/", "/settings/integrations/", "/me/", "/nothing/"):
        told = page(as_(owner), address)
        assert NOTHING_SENT in told, address
        assert "no worker has run since" in told
        assert "make run" in told
    settings.EMBEDDED = False
    assert "docker compose up -d" in page(as_(owner))
    told = page(as_(manager))
    assert NOTHING_SENT in told
    assert "Tell the owner of the account" in told
    assert "docker compose" not in told
    assert NOTHING_SENT in page(as_(employee), "/me/")
    assert page(as_(student), "/me/") == ""
    User.objects.update(language="ru")
    assert "Ничего не отправляется" in page(as_(owner))
    status, told_all = ready()
    assert status == 503
    assert set(told_all["jobs"].values()) == {"silent"}
    assert told_all["reasons"][0].startswith("no worker has done start since 20")


def test_a_banner_needs_no_more_than_one_question(
    english: None, as_: As, owner: User, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        watchdog.state_of_work()


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_each_job_may_be_silent_for_a_while_and_no_longer(name: str, english: None) -> None:
    limit = timedelta(seconds=BY_NAME[name].silent_after)
    seen(limit - timedelta(seconds=5), name)
    assert ready()[0] == 200
    seen(limit + timedelta(seconds=5), name)
    status, told = ready()
    assert (status, told["jobs"][name]) == (503, "silent")
    assert len(told["reasons"]) == 1


def test_what_is_often_done_may_be_silent_for_little_more_than_a_minute() -> None:
    often = [each for each in PERIODIC_JOBS if each.every < 60 and not each.asks]
    assert max(each.silent_after for each in often) <= 70


def test_only_the_senders_are_away(english: None, as_: As, manager: User) -> None:
    seen(5 * MINUTE, "hand_over", "reconcile", "recall", "refresh_balances")
    told = page(as_(manager))
    assert NOTHING_SENT in told
    assert "handing messages over to the SMS service" in told
    assert "counting clicks" not in told


def test_only_receipts_are_not_taken_in(english: None, as_: As, manager: User) -> None:
    seen(5 * MINUTE, "process_receipts")
    told = page(as_(manager))
    assert NOTHING_SENT not in told
    assert NOT_DONE in told
    assert "taking in delivery receipts" in told


def test_a_job_that_fails_time_after_time(
    english: None, as_: As, owner: User, manager: User
) -> None:
    rows = Heartbeat.objects.filter(job="prepare")
    rows.update(failures=2, error="OperationalError", failing_since=timezone.now())
    assert ready()[0] == 200  # a moment without the database is over by itself
    rows.update(failures=3)
    told = page(as_(owner))
    assert NOTHING_SENT in told
    assert "drawing up lists of recipients" in told
    assert "OperationalError" in told
    assert "Tell the owner" in page(as_(manager))
    status, told_all = ready()
    assert (status, told_all["jobs"]["prepare"]) == (503, "failing")


@pytest.mark.parametrize("ahead", [timedelta(minutes=2), timedelta(hours=1), timedelta(days=400)])
def test_a_heartbeat_from_the_future_proves_nothing(english: None, ahead: timedelta) -> None:
    """The clock was set back since, or stood wrong for a moment."""
    seen(-ahead, "hand_over")
    assert ready()[0] == 503
    heartbeat._write("hand_over", ok=True)  # whoever lives writes by the clock of now
    assert ready()[0] == 200


def test_before_a_first_heartbeat_a_new_process_waits_a_minute(
    english: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Heartbeat.objects.all().delete()
    assert ready()[0] == 200
    monkeypatch.setattr(watchdog, "STARTED", time.monotonic() - 7200)
    status, told = ready()
    assert (status, set(told["jobs"].values())) == (503, {"ok", "silent"}) or told["reasons"]
    assert "no worker does start" in told["reasons"]


def test_what_has_been_due_for_a_minute_and_was_never_seen_to_be_done(
    english: None, as_: As, owner: User
) -> None:
    """No worker was ever started, and the page was started a moment ago."""
    factories.students(3)
    factories.simulator()
    mailing = mailing_factories.launched(owner)
    while prepare.prepare_some(mailing.pk):
        pass
    mailing.batches.update(not_before=timezone.now() - 2 * MINUTE)
    assert ready()[0] == 200
    Heartbeat.objects.all().delete()
    status, told = ready()
    assert status == 503
    assert told["oldest_due_seconds"]["hand_over"] >= 119
    assert "no worker does hand_over" in told["reasons"]
    assert NOTHING_SENT in page(as_(owner), f"/mailings/{mailing.pk}/")


def test_a_mailing_that_should_have_begun_although_the_job_runs(english: None, owner: User) -> None:
    mailing = mailing_factories.draft(state=Mailing.State.SCHEDULED)
    Mailing.objects.filter(pk=mailing.pk).update(leaves_at=timezone.now() - 2 * MINUTE)
    status, told = ready()
    assert (status, told["jobs"]["start"]) == (503, "waiting")


def test_receipts_may_come_faster_than_they_are_processed_but_not_for_long(english: None) -> None:
    factories.simulator()
    receipt = Receipt.objects.create(account=Account.objects.get())
    Receipt.objects.update(received_at=timezone.now() - 2 * MINUTE)
    status, told = ready()
    assert (status, told["oldest_due_seconds"]["process_receipts"] >= 119) == (200, True)
    Receipt.objects.update(received_at=timezone.now() - 11 * MINUTE)
    assert ready()[0] == 503
    receipt.delete()
    assert ready()[0] == 200


def test_no_sentence_says_that_it_goes_by_itself_while_nobody_works(
    english: None, as_: As, owner: User
) -> None:
    factories.students(3)
    factories.simulator()
    seen(timedelta(days=1))
    draft = mailing_factories.draft()
    told = as_(owner).post(f"/mailings/{draft.pk}/launch/", follow=True).content.decode()
    assert "Launched. But nothing is being sent now" in told
    assert "it goes on by itself" not in told
    assert "sending begins at once" not in told
    live = page(as_(owner), f"/mailings/{draft.pk}/live/?state=preparing")
    assert NOTHING_SENT in live
