"""`manage.py backup` and `restore`: each way in which a file must not be believed, and that nothing is changed
then. What happens to people who got an SMS meanwhile is in tests/crash/test_restored.py.
"""

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from smsmail.backup import BackupError, container, making, sqlite
from smsmail.jobs import running
from tests.processes import ROOT

PHRASE = "made-up passphrase"
FIRST = """
from tests import factories
factories.owner(); factories.students(30)
factories.simulator()
"""


class School:
    """An installation of its own: a folder and a database."""

    said = ""  # by the command that made its backup

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.folder = folder
        self.database = folder / "smsmail.sqlite3"
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": "",
            "DATA_DIR": str(folder),
            "STATE_DIR": "",
            "SECRET_KEY": "",
            "SECRET_KEY_FALLBACKS": "",
            "FIELD_KEYS": "",
            "BACKUP_PASSPHRASE": PHRASE,
            "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        }
        if database_url:
            self.environment |= {
                "SECRET_KEY": "made-up secret key of the school",
                "FIELD_KEYS": settings.FIELD_KEYS[0],
            }

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def does(self, *arguments: str, **environment: str) -> str:
        done = self.manage(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refuses(self, *arguments: str, **environment: str) -> str:
        """The sentence, and no traceback."""
        done = self.manage(*arguments, **environment)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr

    def shell(self, code: str) -> str:
        return self.does("shell", "-v", "0", "-c", code).splitlines()[-1:][0]

    @property
    def people(self) -> int:
        return int(self._value("SELECT count(*) FROM users_user"))

    @property
    def is_held(self) -> bool:
        return bool(self._value("SELECT held FROM mailings_epoch"))

    def grow(self) -> None:
        """Something happens after the backup."""
        self._value("DELETE FROM users_user WHERE email = 'student7@example.com'", change=True)

    def _value(self, query: str, *, change: bool = False) -> Any:
        """Without a process of its own, which takes a second."""
        url = self.environment["DATABASE_URL"]
        with psycopg.connect(url) if url else sqlite3.connect(self.database) as there:
            answer = there.execute(query)
            found: tuple[Any, ...] = (None,) if change else answer.fetchone() or (None,)
            return found[0]


@contextlib.contextmanager
def database(template: str = "") -> Iterator[str]:
    """Its address: '' for SQLite; else one on the server of the test run, gone afterwards."""
    if not settings.DATABASE_URL:
        yield ""
        return
    name = f"backup_{secrets.token_hex(6)}"
    like = f' TEMPLATE "{template.rsplit("/", 1)[1]}"' if template else ""
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"{like}')
        try:
            yield settings.DATABASE_URL.rsplit("/", 1)[0] + f"/{name}"
        finally:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """Made once, with a backup of it; the tests get copies."""
    folder = tmp_path_factory.mktemp("first")
    with database() as url:
        made = School(folder, url)
        made.does("migrate", "-v", "0")
        made.shell(FIRST + "print(0)")
        made.said = made.does("backup", str(folder / "school.backup"))
        yield made


@pytest.fixture
def school(first: School, tmp_path: Path) -> Iterator[School]:
    folder = tmp_path / "school"
    shutil.copytree(first.folder, folder)
    (folder / "school.backup").rename(tmp_path / "school.backup")
    with database(first.environment["DATABASE_URL"]) as url:
        yield School(folder, url)


@pytest.fixture
def file(school: School, tmp_path: Path) -> Path:
    """The school's backup."""
    return tmp_path / "school.backup"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[School]:
    """Another machine, with nothing on it."""
    folder = tmp_path / "other"
    folder.mkdir()
    with database() as url:
        yield School(folder, url)


def test_a_school_moves_to_another_machine(
    first: School, school: School, other: School, file: Path
) -> None:
    assert "31 people" in first.said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"student1@example.com" not in file.read_bytes()
    leftovers = [each.name for each in first.folder.iterdir() if each.name.startswith(".")]
    assert not leftovers
    said = other.does("restore", str(file), "--yes")
    assert "The counters equal the rows." in said
    assert other.people == 31
    assert other.is_held
    # The credentials can be read: the keys have come too.
    code = "from integrations.models import Account; print(Account.objects.get().credentials)"
    assert other.shell(code) == "{'on': 'yes'}"
    if not settings.DATABASE_URL:
        assert (other.folder / "secret.key").read_text() == (
            school.folder / "secret.key"
        ).read_text()
        assert stat.S_IMODE((other.folder / "secret.key").stat().st_mode) == 0o600


def test_what_came_after_the_backup_is_gone_after_it_is_put_back(
    school: School, file: Path, tmp_path: Path
) -> None:
    school.grow()
    assert school.people == 30
    school.does("restore", str(file), "--yes")
    assert school.people == 31
    assert school.is_held


def test_where_keys_come_from_the_environment_a_file_says_what_they_were(
    file: Path, other: School, tmp_path: Path
) -> None:
    other.environment |= {"SECRET_KEY": "another made-up secret key", "FIELD_KEYS": FERNET}
    said = other.does("restore", str(file), "--yes")
    written = tmp_path / "school.backup.keys.env"
    assert str(written) in said
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in written.read_text().splitlines())
    assert lines["FIELD_KEYS"] != FERNET
    other.environment |= lines
    code = "from integrations.models import Account; print(Account.objects.get().credentials)"
    assert other.shell(code) == "{'on': 'yes'}"


FERNET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def damaged(content: bytes) -> dict[str, bytes]:
    """What becomes of files on their way."""
    lines = content.split(b"\n", 2)
    manifest = json.loads(lines[1])
    newer = manifest | {"migrations": manifest["migrations"] | {"mailings": ["9999_from_tomorrow"]}}
    kind = {"sqlite": "postgresql", "postgresql": "sqlite"}[manifest["database"]]

    def with_manifest(changed: dict[str, Any]) -> bytes:
        return b"\n".join([lines[0], json.dumps(changed).encode(), lines[2]])

    middle = len(content) // 2
    swapped = bytearray(content)
    swapped[middle] ^= 1
    return {
        "nothing": b"",
        "something else": b"PK\x03\x04 not of smsmail",
        "of a later format": content.replace(b"smsmail-backup 1", b"smsmail-backup 2", 1),
        "only the manifest": b"\n".join(lines[:2]) + b"\n",
        "half a manifest": content[:40],
        "no JSON": lines[0] + b"\n{{{\n" + lines[2],
        "cut off": content[:-100],
        "cut off in the middle": content[:middle],
        "one bit another": bytes(swapped),
        "something behind": content + b"more",
        "other counts": with_manifest(manifest | {"counts": {"people": 1}}),
        "a dear passphrase": with_manifest(
            manifest | {"sealed": manifest["sealed"] | {"cost": 2**40}}
        ),
        "no salt": with_manifest(manifest | {"sealed": {"cost": 2}}),
        "a newer schema": with_manifest(newer),
        "another kind of database": with_manifest(manifest | {"database": kind}),
    }


WORDS = {
    "nothing": "none of smsmail",
    "something else": "none of smsmail",
    "of a later format": "of a newer smsmail",
    "only the manifest": "cut off",
    "half a manifest": "damaged or was changed",
    "no JSON": "damaged or was changed",
    "cut off": "cut off",
    "cut off in the middle": "cut off",
    "one bit another": "damaged or was changed",
    "something behind": "damaged or was changed",
    "other counts": "damaged or was changed",
    "a dear passphrase": "damaged or was changed",
    "no salt": "damaged or was changed",
    "a newer schema": "9999_from_tomorrow",
    "another kind of database": "Set DATABASE_URL",
}


def test_a_file_that_is_not_whole_changes_nothing(
    school: School, file: Path, tmp_path: Path
) -> None:
    """Each sentence once by the real command; the database and the keys stay as they are."""
    good = file
    school.grow()
    for name, content in damaged(good.read_bytes()).items():
        bad = tmp_path / "bad.backup"
        bad.write_bytes(content)
        try:
            list(container.pieces_of(bad, PHRASE))
        except BackupError as error:
            said = str(error)
        else:
            said = ""
        if name in {"a newer schema", "another kind of database", "cut off", "one bit another"}:
            said = school.refuses("restore", str(bad), "--yes")
        assert WORDS[name] in said, name
    assert school.people == 30
    assert not school.is_held
    leftovers = [each.name for each in school.folder.iterdir() if each.name.startswith(".")]
    assert not leftovers


def test_a_wrong_passphrase_is_said_to_be_one(school: School, file: Path, tmp_path: Path) -> None:
    said = school.refuses("restore", str(file), "--yes", BACKUP_PASSPHRASE="another passphrase")
    assert "The passphrase is wrong" in said
    assert not school.is_held


def test_it_asks_for_no_passphrase_on_the_command_line(school: School, tmp_path: Path) -> None:
    file, phrase = tmp_path / "another.backup", tmp_path / "phrase"
    assert "no terminal" in school.refuses("backup", str(file), BACKUP_PASSPHRASE="")
    assert "12 characters" in school.refuses("backup", str(file), BACKUP_PASSPHRASE="short")
    missing = school.refuses("backup", str(file), "--passphrase-file", str(phrase))
    assert "cannot be read" in missing
    assert not file.exists()
    phrase.write_text(f"{PHRASE}\n")
    school.does("backup", str(file), "--passphrase-file", str(phrase), BACKUP_PASSPHRASE="")
    assert "no terminal" in school.refuses("restore", str(file))
    assert not school.is_held


def test_it_never_writes_over_a_file(school: School, tmp_path: Path) -> None:
    file = tmp_path / "school.backup"
    file.write_text("something dear")
    assert "exists already" in school.refuses("backup", str(file))
    assert file.read_text() == "something dear"
    assert "no folder" in school.refuses("backup", str(tmp_path / "nowhere" / "school.backup"))


def test_it_is_not_put_back_under_whoever_works(
    school: School, file: Path, tmp_path: Path, settings: Any
) -> None:
    settings.STATE_DIR = school.folder
    running.say_so()
    try:
        assert "smsmail is running here" in school.refuses("restore", str(file), "--yes")
    finally:
        os.close(running._held.pop())
    school.does("restore", str(file), "--yes")


def test_a_worker_elsewhere_is_seen_by_its_epoch(
    school: School, file: Path, tmp_path: Path
) -> None:
    """The number moves on while restore looks."""
    moving = (
        "import time; from mailings.sending import epoch\n"
        "for _ in range(80): epoch.advance_due(); time.sleep(0.25)"
    )
    with subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", moving],
        cwd=ROOT,
        env=school.environment,
    ) as worker:
        try:
            time.sleep(4)
            said = school.refuses("restore", str(file), "--yes")
        finally:
            worker.kill()
    assert "worker is running somewhere" in said or "in use" in said


def test_no_room_for_it_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(copy: Path) -> dict[str, Any]:
        copy.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making, "_copied", full)
    with pytest.raises(BackupError, match="No space left on device"):
        making.make(tmp_path / "school.backup", PHRASE)
    assert not list(tmp_path.iterdir())


def test_a_database_that_is_none_any_more_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite: what is there may be the reason for putting a copy back."""
    copy, live = tmp_path / "copy", tmp_path / "smsmail.sqlite3"
    with sqlite3.connect(copy) as made:
        made.execute("CREATE TABLE people (name text)")
        made.execute("INSERT INTO people VALUES ('Olga')")
    made.close()
    live.write_bytes(b"x" * 8192)
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", live)
    sqlite.restore(copy)
    with sqlite3.connect(live) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT name FROM people").fetchone() == ("Olga",)
    [aside] = tmp_path.glob("smsmail.sqlite3.damaged-*")
    assert aside.read_bytes() == b"x" * 8192
