"""`manage.py runworker`: a thread for every job, which survives the job's troubles."""

import logging
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from django.db import connection

from smsmail.jobs.periodic import Job
from smsmail.logs import Formatter
from smsmail.management.commands.runworker import LONGEST_PAUSE, pause_after, repeat
from tests.processes import MANAGE, running, wait_until

PHONE = "+79980000001"
calls: list[float] = []
stop = threading.Event()


@pytest.fixture(autouse=True)
def no_calls_yet() -> None:
    calls.clear()
    stop.clear()


def work_for_three_slices() -> bool:
    """Stops the thread when it is asked for a fifth time."""
    calls.append(time.monotonic())
    if len(calls) == 5:
        stop.set()
    return len(calls) < 3


def stumble_over_a_person() -> bool:
    calls.append(time.monotonic())
    if len(calls) == 2:
        stop.set()
    raise ValueError(f"{PHONE} is strange")


def lose_the_connection() -> bool:
    """The first time, as when the database server has been restarted."""
    calls.append(time.monotonic())
    if len(calls) == 1:
        connection.ensure_connection()
        connection.connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    stop.set()
    return False


def run(path: str, every: float = 0.2) -> None:
    job = Job("made_up", f"tests.smsmail.jobs.test_runworker.{path}", every)
    thread = threading.Thread(target=repeat, args=(job, stop), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_job_goes_on_at_once_while_work_is_left_and_then_waits_for_its_time() -> None:
    run("work_for_three_slices")

    pauses = [later - earlier for earlier, later in pairwise(calls)]
    assert max(pauses[:2]) < 0.1
    assert min(pauses[2:]) >= 0.2


def test_a_failing_job_is_logged_without_the_persons_data_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.handler.setFormatter(Formatter("%(levelname)s %(message)s"))

    run("stumble_over_a_person")

    assert len(calls) == 2
    assert "ERROR made_up failed" in caplog.text
    assert "stumble_over_a_person" in caplog.text
    assert "builtins.ValueError" in caplog.text
    assert PHONE not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_lost_database_connection_is_made_anew(caplog: pytest.LogCaptureFixture) -> None:
    run("lose_the_connection")

    assert len(calls) == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_pauses_after_failures_grow_to_half_a_minute() -> None:
    often, seldom = Job("often", "", 1), Job("seldom", "", 600)

    assert [pause_after(count, often) for count in range(1, 5)] == [1, 2, 4, 8]
    assert pause_after(1000, often) == LONGEST_PAUSE == 30
    assert pause_after(1, seldom) == 600


def test_it_ends_soon_when_asked_to(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "", "REDIS_URL": "", "DATA_DIR": str(tmp_path / "data")}

    with running((*MANAGE, "runworker"), environment, tmp_path / "log") as worker:
        wait_until(lambda: "jobs by the clock" in worker.output, 20, "its first line")

        assert worker.end(signal.SIGTERM, within=5) == 0
