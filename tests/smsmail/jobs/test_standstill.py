"""Nobody works, with real processes: a worker that stands still, one that was never started."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from mailings.demo.school import PASSWORD, SIGN_INS
from smsmail.jobs.periodic import PERIODIC_JOBS
from smsmail.management.commands.serve import WEB
from tests.processes import MANAGE, Running, free_port, of_session, running, wait_until
from tests.smsmail.jobs.test_watchdog import banner_in


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    names = ("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY", "FIELD_KEYS", "HOST")
    return dict.fromkeys(names, "") | {
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "LANGUAGE_CODE": "en",
        "SILENT_AFTER": "6",
    }


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    with running((*MANAGE, "serve"), environment, tmp_path / "serve.log") as started:
        wait_until(lambda: asked(environment, "/health/")[0] == 200, 60, started.output)
        yield started


def asked(environment: dict[str, str], path: str) -> tuple[int, dict[str, Any]]:
    with contextlib.suppress(requests.ConnectionError):
        address = f"http://127.0.0.1:{environment['PORT']}{path}"
        answer = requests.get(address, timeout=10)
        return answer.status_code, answer.json()
    return 0, {}


def signed_in(environment: dict[str, str]) -> requests.Session:
    session = requests.Session()
    address = f"http://127.0.0.1:{environment['PORT']}/sign-in/"
    session.get(address, timeout=10)
    form = {"username": SIGN_INS[0], "password": PASSWORD}
    token = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
    assert session.post(address, form | token, timeout=10).ok
    return session


def banner(session: requests.Session, environment: dict[str, str]) -> bool:
    text = session.get(f"http://127.0.0.1:{environment['PORT']}/", timeout=10).text
    assert "page-head" in text
    return bool(banner_in(text))


def test_a_worker_that_stands_still_is_told_of_and_one_that_goes_on_too(
    served: Running, environment: dict[str, str]
) -> None:
    """serve ends when its worker dies; a frozen one, or one that hangs, is what nobody would notice."""
    [worker] = [
        pid
        for pid in of_session(served.process.pid)
        if "runworker" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    ]
    session = signed_in(environment)
    wait_until(
        lambda: len(asked(environment, "/health/ready/")[1]["jobs"]) == len(PERIODIC_JOBS), 10
    )
    time.sleep(7)  # longer than anything may be silent: what is ready now is so by heartbeats
    assert asked(environment, "/health/ready/")[0] == 200
    assert not banner(session, environment)

    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: asked(environment, "/health/ready/")[0] == 503, 30, "503")
    wait_until(lambda: len(asked(environment, "/health/ready/")[1]["reasons"]) >= 5, 15)
    assert banner(session, environment)
    assert asked(environment, "/health/")[0] == 200  # pages are served

    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: asked(environment, "/health/ready/")[0] == 200, 30, "200")
    assert not banner(session, environment)


def test_a_web_server_without_any_worker_says_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running((*MANAGE, "migrate", "-v", "0"), environment, tmp_path / "migrate.log") as made:
        assert made.process.wait(60) == 0
    port = environment["PORT"]
    command = list(WEB)
    command[command.index("--port") + 1] = port
    with running(command, environment, tmp_path / "web.log") as web:
        wait_until(lambda: asked(environment, "/health/")[0] == 200, 30, web.output)
        assert asked(environment, "/health/ready/")[0] == 200  # just started
        wait_until(lambda: asked(environment, "/health/ready/")[0] == 503, 20, "503")
        assert "no worker does hand_over" in asked(environment, "/health/ready/")[1]["reasons"]
        with running((*MANAGE, "runworker"), environment, tmp_path / "worker.log") as worker:
            wait_until(lambda: asked(environment, "/health/ready/")[0] == 200, 20, worker.output)
