"""The clock: its jobs exist, and a nudge costs its caller nothing, whatever the broker does."""

import socket
import subprocess
import sys

import pytest
from django.utils.module_loading import import_string

from mailings.tasks import TASKS
from smsmail.jobs.periodic import PERIODIC_JOBS, Job
from tests.processes import ROOT, free_port

NUDGE = """
import django; django.setup()
import time; from smsmail.jobs.periodic import nudge
begun = time.monotonic(); nudge("prepare"); nudge("hand_over"); print(time.monotonic() - begun)
"""


@pytest.mark.parametrize("job", PERIODIC_JOBS, ids=lambda job: job.name)
def test_every_job_is_a_function_that_exists(job: Job) -> None:
    assert callable(import_string(job.path))


def test_every_job_has_a_task() -> None:
    assert [task.name for task in TASKS] == [job.task for job in PERIODIC_JOBS]  # type: ignore[attr-defined]


def seconds_of_two_nudges(redis_url: str) -> tuple[float, str]:
    ended = subprocess.run(
        [sys.executable, "-c", NUDGE],
        cwd=ROOT,
        env={
            "PATH": "",
            "DJANGO_SETTINGS_MODULE": "smsmail.settings",
            "REDIS_URL": redis_url,
            "DATABASE_URL": "",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(ended.stdout), ended.stderr


def test_a_nudge_without_a_broker_does_nothing() -> None:
    seconds, log = seconds_of_two_nudges("")

    assert seconds < 0.1
    assert log == ""


def test_a_nudge_is_logged_and_over_soon_when_the_broker_is_away() -> None:
    seconds, log = seconds_of_two_nudges(f"redis://127.0.0.1:{free_port()}/0")

    assert seconds < 5
    assert log.count("the clock will come") == 2


def test_a_nudge_is_over_soon_when_the_broker_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        seconds, log = seconds_of_two_nudges(f"redis://127.0.0.1:{port}/0")

    assert seconds < 10
    assert log.count("the clock will come") == 2
