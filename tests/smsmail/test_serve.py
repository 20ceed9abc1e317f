"""`manage.py serve`, which `make run` starts: one command up, one Ctrl-C down, nothing left behind."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.processes import MANAGE, ROOT, Running, free_port, of_session, wait_until

SERVE = (*MANAGE, "serve")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty one, whatever the database of this run: serve is for the embedded shape."""
    names = ("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY", "FIELD_KEYS", "HOST")
    return dict.fromkeys(names, "") | {
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "LANGUAGE_CODE": "en",
    }


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    """smsmail in the embedded shape, started for the first time and answering."""
    started = Running(SERVE, environment, tmp_path / "first.log")
    try:
        wait_until(lambda: answers(environment), 60, "an answer of the web server")
        yield started
    finally:
        started.kill()


def answers(environment: dict[str, str]) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"http://127.0.0.1:{environment['PORT']}/health/", timeout=5).ok
    return False


def test_a_first_start_tells_the_address_and_who_may_sign_in(
    served: Running, environment: dict[str, str]
) -> None:
    output = served.output

    assert f"http://127.0.0.1:{environment['PORT']}/" in output
    assert output.count("@") >= 3  # an owner, a manager, a student
    assert "Traceback" not in output


def test_ctrl_c_ends_everything_and_a_second_start_keeps_the_data(
    served: Running, environment: dict[str, str], tmp_path: Path
) -> None:
    parts = of_session(served.process.pid)
    database = tmp_path / "data" / "smsmail.sqlite3"

    assert len(parts) >= 4  # itself, web, its worker process, the worker
    assert served.end(signal.SIGINT) == 0
    assert of_session(served.process.pid) == []
    size = database.stat().st_size

    again = Running(SERVE, environment, tmp_path / "second.log")
    try:
        wait_until(lambda: answers(environment), 30, "an answer of the web server")
        assert "as you left it" in again.output
        assert "First start" not in again.output
        assert "owner@example.com" in again.output
        assert database.stat().st_size == size
        assert again.end(signal.SIGTERM) == 0
    finally:
        again.kill()


def test_nothing_is_left_when_it_is_killed(served: Running) -> None:
    served.process.kill()

    wait_until(lambda: not of_session(served.process.pid), 15, "the children's end")


@pytest.mark.parametrize("part", ["granian", "runworker"])
def test_when_a_part_dies_everything_ends(served: Running, part: str) -> None:
    parts = of_session(served.process.pid)
    victim = next(
        pid for pid in parts if part in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    )

    os.kill(victim, signal.SIGKILL)

    assert served.process.wait(20) == 1
    assert "ended by itself" in served.output
    assert of_session(served.process.pid) == []


def test_a_taken_port_is_a_sentence_not_a_traceback(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environment["PORT"]))):
        ended = subprocess.run(
            SERVE,
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == 1
    assert f"Cannot listen on 127.0.0.1 port {environment['PORT']}" in ended.stderr
    assert "make run" in ended.stderr
    assert "Traceback" not in ended.stderr
