"""A copy of the database made at a third of a mailing and put back at its end: it sends nothing by itself,
asks the service what went since, and after the owner's word nobody has got it twice.

Source: chaos.md, "a backup put back doubles everybody sent since" (seen: 1,030 of 3,000 people twice).
"""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.crash.stage import Stage, kill
from tests.processes import ROOT, wait_until

PEOPLE = 240
BATCH = 10


class ByHand:
    """A file copied, or pg_dump and psql: smsmail is not told of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.copy = stage.path / "copy"

    def make(self) -> None:
        if self.stage.database:
            self._postgres("pg_dump", f"--file={self.copy}", "--no-owner")
            return
        with sqlite3.connect(self.stage.path / "smsmail.sqlite3") as live:
            live.backup(sqlite3.connect(self.copy))

    def put_back(self) -> None:
        if self.stage.database:
            url = self.stage.environment["DATABASE_URL"]
            with psycopg.connect(url, autocommit=True) as server:
                server.execute("DROP SCHEMA public CASCADE")
                server.execute("CREATE SCHEMA public")
            self._postgres("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={self.copy}")
            return
        for end in ("-wal", "-shm"):
            (self.stage.path / f"smsmail.sqlite3{end}").unlink(missing_ok=True)
        shutil.copy(self.copy, self.stage.path / "smsmail.sqlite3")

    def _postgres(self, program: str, *arguments: str) -> None:
        url = self.stage.environment["DATABASE_URL"]
        done = [program, f"--dbname={url}", *arguments]
        subprocess.run(done, check=True, stdout=subprocess.DEVNULL)


class ByCommand:
    """`manage.py backup` while workers are sending, and `manage.py restore`."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.file = str(stage.path / "school.backup")
        stage.environment["BACKUP_PASSPHRASE"] = "made-up passphrase"
        # The command takes some seconds to start: it must not be over before the copy is made.
        stage.environment |= {"CRASH_PAUSE": "1.2", "CRASH_CHUNK": str(BATCH)}

    def make(self) -> None:
        manage(self.stage, "backup", self.file)

    def put_back(self) -> None:
        said = manage(self.stage, "restore", self.file, "--yes")
        assert "The counters equal the rows." in said


def manage(stage: Stage, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=stage.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


Way = Callable[[Stage], ByHand | ByCommand]


@pytest.mark.parametrize(
    ("service", "way"),
    [
        pytest.param("smsc", ByHand, marks=pytest.mark.only_postgresql),
        pytest.param("smsc", ByCommand, marks=pytest.mark.slow),
        pytest.param("twilio", ByHand, marks=pytest.mark.slow),
    ],
)
def test_nobody_gets_it_twice_after_a_copy_is_put_back(
    tmp_path: Path, service: str, way: Way
) -> None:
    with Stage(tmp_path, people=PEOPLE, batch=BATCH, service=service) as stage:
        taken = turned_back(stage, way(stage), first=PEOPLE // 3)
        found = wait_until_asked(stage)
        assert stage.taken() == taken, "something was sent before anybody decided"
        assert found["held"]
        # Of the others receipts have told, which come in meanwhile.
        assert found["entered"] + found["unclaimed"] > 0
        assert not found["cannot_tell"]
        copies(stage, "decide", "go")
        standing = stage.wait_for_end(60)
        stage.assert_each_once()
        stage.assert_balanced(standing)
        assert standing["differences"] == 0


@pytest.mark.slow
def test_what_cannot_be_asked_about_waits_for_a_person(tmp_path: Path) -> None:
    with Stage(tmp_path, people=PEOPLE, batch=BATCH, service="seventech") as stage:
        taken = turned_back(stage, ByHand(stage), first=PEOPLE // 3)
        found = wait_until_asked(stage)
        assert found["cannot_tell"] == ["SevenTech"]
        assert found["left"] > 0
        time.sleep(8)  # longer than every pause and the lease
        assert stage.taken() == taken, "something was sent before anybody decided"
        copies(stage, "decide", "cancel")
        wait_until(lambda: not copies(stage, "look")["left"], 20)
        time.sleep(3)
        assert stage.taken() == taken
        stage.assert_none_twice()
        standing = stage.look()
        assert standing["counters"] == standing["rows"]
        # What was in hand when the copy was made and no receipt tells of is a person's question.
        assert not standing["rows"].keys() & {"waiting", "accepted"}


def turned_back(stage: Stage, way: ByHand | ByCommand, *, first: int) -> Counter[str]:
    """Send, copy on the way, send on, end everything, put back, start again: whom the service has."""
    # Slow enough for a copy on the way; and the list is not drawn up to its end by then.
    stage.emulate(plan={"share": 1, "among": ["slow-after"], "slow": 0.5}, delay=0.2, jitter=0.5)
    stage.environment.setdefault("CRASH_PAUSE", "2.0")
    stage.launch()
    stage.serve()
    worker = stage.worker()
    wait_until(lambda: sum(stage.taken().values()) >= first, 40, "the first third")
    way.make()
    wait_until(lambda: sum(stage.taken().values()) >= first * 2.4, 60, "the rest")
    kill(worker)
    assert stage.web is not None
    kill(stage.web)
    time.sleep(1.5)  # what the service had in hand
    taken = stage.taken()
    way.put_back()
    stage.serve()
    stage.worker()
    return taken


def wait_until_asked(stage: Stage) -> dict[str, Any]:
    wait_until(lambda: copies(stage, "look")["asked"], 60, "the services are asked")
    return copies(stage, "look")


def copies(stage: Stage, *what: str) -> dict[str, Any]:
    return stage.run("tests.crash.copies", *what)
