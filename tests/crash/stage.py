"""The stage of the crash suite: a database, the SMSC emulator, the web server and workers, each a
process of its own that can be killed. The judge is the emulator's journal, on disk.
"""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from tests.crash import wrong_clock
from tests.emulators import journal
from tests.emulators.smsc_format import digits
from tests.processes import AGAIN, ROOT, free_port, wait_until

# Short, in the same order as in production; mailings.checks proves the order at every start.
DEADLINES = {
    "LEASE": "6",
    "TASK_LIMIT": "4",
    "BATCH_DEADLINE": "2",
    "READ_TIMEOUT": "1",
    "CONNECT_TIMEOUT": "1",
    "LOOK_UP_PAUSE": "1",
    "PROVIDER_COOLDOWN": "1",
    "LOOK_UP_AFTER": "4",
    "RECEIPT_WAIT": "10",  # phones on 06 never get a receipt
}


class Stage:
    """`with Stage(path) as stage:` leaves no process and no database behind."""

    def __init__(
        self,
        path: Path,
        *,
        people: int,
        batch: int,
        service: str = "smsc",
        database_url: str = "",
        redis_url: str = "",
    ) -> None:
        self.path = path
        self.people = people
        self.service = service
        self.processes: list[subprocess.Popen[str]] = []
        self.database = ""
        self.web_port = free_port()
        self.journal = path / "journal"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "REDIS_URL"},
            **DEADLINES,
            "DATA_DIR": str(path),
            "STATE_DIR": str(path),
            "DATABASE_URL": database_url or self._own_database(),
            "REDIS_URL": redis_url,
            "SECRET_KEY": settings.SECRET_KEY,
            "FIELD_KEYS": ",".join(settings.FIELD_KEYS),
            "DJANGO_SETTINGS_MODULE": "smsmail.settings",
            "PUBLIC_URL": f"http://127.0.0.1:{self.web_port}",
            "TIME_ZONE": _zone_at_noon(),
            "LOG_LEVEL": "WARNING",
            "CRASH_BATCH": str(batch),
            "CRASH_CHUNK": str(batch * 5),
        }

    def __enter__(self) -> "Stage":
        self.web: subprocess.Popen[str] | None = None
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            kill(process)
        if self.database:
            with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
                server.execute(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')

    # --- what runs -----------------------------------------------------------------------------

    def emulate(self, *, plan: dict[str, Any] | None = None, **manner: Any) -> None:
        """The provider; it tells the web server what became of messages, some of it twice."""
        manner = {"delay": 0.3, "jitter": 1.0, "twice": 0.2, "steps": True, "tries": 60, **manner}
        webhook = f"http://127.0.0.1:{self.web_port}/hooks/smsc/made-up-key/?charset=utf-8&fmt=3"
        # The other two are told where to call with each message.
        callback = [f"--callback={webhook}"] if self.service == "smsc" else []
        emulator = self.start(
            f"tests.emulators.{self.service}",
            f"--journal={self.journal}",
            *callback,
            f"--manner={json.dumps(manner)}",
            f"--plan={json.dumps(plan or {})}",
            stdout=subprocess.PIPE,
        )
        assert emulator.stdout is not None
        self.environment[f"{self.service.upper()}_URL"] = emulator.stdout.readline().strip()

    def serve(self, *, whole: bool = False) -> None:
        """whole: with the part that reads bodies and gathers receipts, as in production."""
        wsgi = ["--interface=wsgi", "--blocking-threads=4", "smsmail.wsgi:application"]
        asgi = ["--interface=asginl", "smsmail.asgi:application"]
        self.web = self.start(
            "granian",
            f"--port={self.web_port}",
            "--log-level=warning",
            *(asgi if whole else wsgi),
        )
        wait_until(lambda: reachable(self.web_port), 30, "the web server")

    def worker(self, at: str = "", clock: str = "") -> subprocess.Popen[str]:
        """at: where it kills itself. clock: the name of a clock that set_clock() sets."""
        path = str(self.path / clock) if clock else ""
        return self.start("tests.crash.worker", CRASH_AT=at, CRASH_CLOCK=path)

    def set_clock(self, name: str, ahead: timedelta) -> None:
        """Of the workers that were started with it; 0 is right."""
        wrong_clock.put(self.path / name, ahead.total_seconds())

    def celery_worker(self, queue: str) -> subprocess.Popen[str]:
        return self.start("tests.crash.worker", queue, before=AGAIN)

    def celery_beat(self, schedule: str) -> None:
        self.start("celery", "-A", "smsmail", "beat", f"--schedule={schedule}", before=AGAIN)

    def start(
        self,
        module: str,
        *arguments: str,
        stdout: int | None = None,
        before: Sequence[str] = (),
        **environment: str,
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            stdout=stdout,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    # --- what happens --------------------------------------------------------------------------

    def launch(self) -> None:
        self._scene("launch", str(self.people), self.service)

    def watch(self) -> None:
        self._scene("watch", str(self.people), self.service)

    def stop_watching(self) -> None:
        self._scene("stop")

    def close_unknown(self) -> None:
        """The person's word about messages that nobody can be asked about."""
        self._scene("close_unknown")

    def change_login(self, name: str) -> None:
        self._scene("login", name)

    def launch_twins(self) -> None:
        self._scene("twins", str(self.people), self.service)

    def declared(self) -> dict[str, int]:
        """Phone -> how many messages to it are said to have gone."""
        return self._scene("declared")

    def receipts(self) -> list[str]:
        """The bodies of the receipts that are stored and not processed."""
        bodies: list[str] = self._scene("receipts")["bodies"]
        return bodies

    def look(self) -> dict[str, Any]:
        return self._scene("look")

    def kill_at_random(self, workers: int, seconds: float, seed: int) -> int:
        """Keep so many workers alive and kill one after the other; returns how many were killed."""
        dice = random.Random(seed)
        end = time.monotonic() + seconds
        crew = [self.worker() for _ in range(workers)]
        killed = 0
        time.sleep(1.5)  # until the first of them works
        while time.monotonic() < end:
            time.sleep(dice.uniform(0.2, 0.9))
            victim = dice.randrange(len(crew))
            kill(crew[victim])
            killed += 1
            crew[victim] = self.worker()
        for process in crew:
            kill(process)
        return killed

    def finish(self, seconds: float = 60) -> dict[str, Any]:
        """A healthy worker brings it to the end."""
        self.worker()
        return self.wait_for_end(seconds)

    def wait_until_only_unknown(self, seconds: float) -> dict[str, Any]:
        """Nothing waits, nothing is under way, and no receipt is missing any more."""
        end = time.monotonic() + seconds
        while (standing := self.look())["rows"].keys() & {"waiting", "accepted"}:
            assert time.monotonic() < end, f"not within {seconds} s: {standing}"
            time.sleep(1)
        time.sleep(6)  # the lease: batches of the last ones killed
        return self.look()

    def wait_for_end(self, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while (standing := self.look())["state"] != "done":
            assert time.monotonic() < end, f"not done in {seconds} s: {standing}"
            time.sleep(1)
        return standing

    # --- what is judged ------------------------------------------------------------------------

    def taken(self) -> Counter[str]:
        """Phone -> how often the provider took a message for it."""
        return Counter(
            digits(phone)
            for entry in journal.read(self.journal)
            for phone in [*(phone for phone, _text in entry.get("messages", ())), entry.get("to")]
            if phone
        )

    def expected(self) -> set[str]:
        """Everybody but those whose numbers the emulator refuses at once."""
        refused = {"00", "07", "08"} if self.service == "twilio" else {"00"}
        phones = {f"7998{number:07}" for number in range(self.people)}
        return {phone for phone in phones if phone[-2:] not in refused}

    def assert_none_twice(self) -> None:
        twice = [phone for phone, times in self.taken().items() if times > 1]
        assert not twice, f"{len(twice)} people got it twice"

    def assert_each_once(self) -> None:
        self.assert_none_twice()
        missed = self.expected() - self.taken().keys()
        assert not missed, f"{len(missed)} people were missed"
        assert self.taken().keys() == self.expected()

    def assert_balanced(self, standing: dict[str, Any]) -> None:
        assert standing["counters"] == standing["rows"]
        assert sum(standing["rows"].values()) == self.people + 1  # the owner has no phone
        assert not standing["rows"].keys() & {"waiting", "accepted", "unknown"}

    def _scene(self, *arguments: str) -> dict[str, Any]:
        return self.run("tests.crash.scene", *arguments)

    def run(self, module: str, *arguments: str) -> dict[str, Any]:
        """A module of the stage's, to its end: what it prints last."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{module} {arguments}: {done.stderr}"
        standing: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return standing

    def _own_database(self) -> str:
        """'' for SQLite; else a fresh database on the server of the test run."""
        if not settings.DATABASE_URL:
            return ""
        self.database = f"crash_{secrets.token_hex(6)}"
        with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{self.database}"')
        return settings.DATABASE_URL.rsplit("/", 1)[0] + f"/{self.database}"


def _zone_at_noon() -> str:
    """A service that puts messages off at night is believed by day: now, wherever that is."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9 for it and all its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
