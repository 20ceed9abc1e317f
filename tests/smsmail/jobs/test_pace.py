"""A worker rests while there is nothing to do: a wake-up brings a job at once, and a lost one a little later.

The clocks and looks of the workers here are an hour long, where something else must bring the job.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from smsmail.jobs import due_times, pace, periodic, wake_up
from smsmail.jobs.pace import Paces
from smsmail.jobs.periodic import Job
from smsmail.management.commands.runworker import repeat
from smsmail.models import SetAside
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

NEVER = 3600.0
calls: list[float] = []


def work() -> bool:
    calls.append(time.monotonic())
    return False


JOB = Job("made_up", f"{__name__}.work", 0.05)


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """One job, which has something to do when a row of SetAside says so."""
    calls.clear()
    monkeypatch.setattr(due_times, "_expected", [])
    monkeypatch.setattr(due_times, "_statement", None)
    rows = SetAside.objects.filter(job=JOB.name).order_by("next_try_at")
    due_times.expect(JOB.name, lambda: rows.values_list("next_try_at", flat=True)[:1])
    monkeypatch.setitem(periodic.BY_NAME, JOB.name, JOB)
    for name, seconds in (("LOOK", NEVER), ("LATER_LOOK", NEVER), ("RESTS_AT_MOST", NEVER)):
        monkeypatch.setattr(pace, name, seconds)
    monkeypatch.setattr(pace, "STAYS", 0.3)
    settings.SILENT_AFTER = 2 * NEVER


@contextmanager
def at_rest() -> Iterator[None]:
    """A worker with the one job, which has nothing to do for long enough."""
    stop = threading.Event()
    paces = Paces([JOB])
    threads = [
        threading.Thread(target=repeat, args=(JOB, stop, paces.of[JOB.name].rest)),
        threading.Thread(target=paces.look_out, args=(stop,)),
    ]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: calls and calls[-1] < time.monotonic() - 1, 20, "it rests")
        yield
    finally:
        stop.set()
        paces.wake_all()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()


def something_to_do(at: datetime | None = None) -> None:
    now = timezone.now()
    SetAside.objects.create(
        job=JOB.name, kind="thing", item_id=1, first_at=now, next_try_at=at or now
    )


def runs_again() -> None:
    before = len(calls)
    wait_until(lambda: len(calls) > before, 20, "it runs again")


def test_a_job_without_anything_to_do_rests() -> None:
    with at_rest():
        pass  # at_rest() has seen it


def test_a_nudge_brings_a_resting_job_at_once() -> None:
    with at_rest():
        periodic.nudge(JOB.name)
        runs_again()


def test_a_nudge_of_a_transaction_that_is_rolled_back_wakes_nobody() -> None:
    with at_rest():
        before = len(calls)
        with transaction.atomic():
            periodic.nudge(JOB.name)
            transaction.set_rollback(True)
        time.sleep(1)
        assert len(calls) == before


def test_what_another_process_commits_brings_a_resting_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nudge reaches the workers of other processes; on SQLite the commit alone does."""
    for name in ("answer_to", "no_longer"):  # as if the nudge came from a web process
        monkeypatch.setattr(wake_up, name, lambda _ring: None)
    with at_rest():
        something_to_do()
        if connection.vendor == "postgresql":
            periodic.nudge(JOB.name)
        runs_again()


def test_a_job_with_something_to_do_goes_by_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LOOK", 0.1)
    with at_rest():
        something_to_do()
        runs_again()
        before = len(calls)
        wait_until(lambda: len(calls) > before + 20, 20, "twenty more times")


def test_without_any_wake_up_the_next_look_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """NOTIFY is lost, and nobody notices a commit."""

    class Deaf:
        def wait(self, seconds: float, stop: threading.Event) -> set[str]:
            stop.wait(seconds)
            return set()

    monkeypatch.setattr(wake_up, "listener", Deaf)
    monkeypatch.setattr(pace, "LOOK", 0.5)
    with at_rest():
        something_to_do()
        runs_again()


def test_what_comes_due_later_is_brought_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    with at_rest():
        at = timezone.now() + timedelta(seconds=2)
        something_to_do(at)
        periodic.nudge(JOB.name)
        runs_again()
        wait_until(lambda: calls[-1] < time.monotonic() - 0.7, 20, "it rests again")
        assert timezone.now() < at
        runs_again()
        assert timezone.now() >= at


def test_a_job_that_is_never_due_runs_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its heartbeat is to show that it can; and its query may be mistaken."""
    monkeypatch.setattr(pace, "RESTS_AT_MOST", 2.0)
    with at_rest():
        runs_again()


def test_while_the_database_cannot_be_asked_jobs_go_by_their_clocks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pace, "LOOK", 0.1)
    with at_rest():

        def broken() -> None:
            raise ValueError("no such column")

        monkeypatch.setattr(due_times, "due_times", broken)
        if connection.vendor == "postgresql":
            periodic.nudge(JOB.name)
        else:
            something_to_do()
        wait_until(lambda: "the jobs go by the clock: ValueError" in caplog.text, 20)
        before = len(calls)
        wait_until(lambda: len(calls) > before + 20, 20, "twenty more times")
