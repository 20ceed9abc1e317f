"""`manage.py backup` and `restore`: each way in which a file must not be believed, and that nothing is changed
then. What happens to people who got an SMS meanwhile is in tests/crash/test_restored.py.
"""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from smsmail import running
from smsmail.backup import BackupError, container, making
from tests.processes import ROOT, free_port

PHRASE = "made-up passphrase"
FIRST = """
from tests import people
people.olga(); people.students(30)
people.simulator()
"""
COUNT = "from users.models import User; print(User.objects.count())"
HELD = "from mailings.models import Epoch; print(Epoch.objects.get().held)"


class School:
    """An installation of its own: a folder and a database."""

    def __init__(self, folder: Path, database_url: str = "", **more: str) -> None:
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
            **more,
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


@pytest.fixture
def own_database() -> Any:
    """'' on SQLite; else databases on the server of the test run, gone afterwards."""
    made: list[str] = []

    def make() -> str:
        if not settings.DATABASE_URL:
            return ""
        name = f"backup_{os.getpid()}_{len(made)}_{free_port()}"
        with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"')
        made.append(name)
        return settings.DATABASE_URL.rsplit("/", 1)[0] + f"/{name}"

    yield make
    for name in made:
        with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def make_school(tmp_path: Path, own_database: Callable[[], str]) -> Callable[..., School]:
    def make(name: str, **more: str) -> School:
        folder = tmp_path / name
        folder.mkdir()
        return School(folder, own_database(), **more)

    return make


@pytest.fixture
def school(make_school: Callable[..., School]) -> School:
    made = make_school("school")
    made.does("migrate", "-v", "0")
    made.shell(FIRST + "print(0)")
    return made


def test_a_school_moves_to_another_machine(
    school: School, make_school: Callable[..., School], tmp_path: Path
) -> None:
    file = tmp_path / "school.backup"
    said = school.does("backup", str(file))
    assert "31 people" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"student1@example.com" not in file.read_bytes()
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["school.backup"]

    other = make_school("other")
    said = other.does("restore", str(file), "--yes")
    assert "The counters equal the rows." in said
    assert other.shell(COUNT) == "31"
    assert other.shell(HELD) == "True"
    # The credentials can be read: the keys have come too.
    code = "from integrations.models import Account; print(Account.objects.get().credentials)"
    assert other.shell(code) == "{'on': 'yes'}"
    if not settings.DATABASE_URL:
        assert (other.folder / "secret.key").read_text() == (
            school.folder / "secret.key"
        ).read_text()
        assert stat.S_IMODE((other.folder / "secret.key").stat().st_mode) == 0o600


def test_what_came_after_the_backup_is_gone_after_it_is_put_back(
    school: School, tmp_path: Path
) -> None:
    file = tmp_path / "school.backup"
    school.does("backup", str(file))
    school.shell("from tests import people; people.maria(); print(0)")
    assert school.shell(COUNT) == "32"
    school.does("restore", str(file), "--yes")
    assert school.shell(COUNT) == "31"
    assert school.shell("from mailings import epoch; print(epoch.is_held())") == "True"


def test_where_keys_come_from_the_environment_a_file_says_what_they_were(
    school: School, make_school: Callable[..., School], tmp_path: Path
) -> None:
    file = tmp_path / "school.backup"
    school.does("backup", str(file))
    other = make_school("other", SECRET_KEY="another made-up secret key", FIELD_KEYS=FERNET)
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


def test_a_file_that_is_not_whole_changes_nothing(school: School, tmp_path: Path) -> None:
    """Each sentence once by the real command; the database and the keys stay as they are."""
    good = tmp_path / "good.backup"
    school.does("backup", str(good))
    school.shell("from tests import people; people.maria(); print(0)")
    for name, content in damaged(good.read_bytes()).items():
        file = tmp_path / "bad.backup"
        file.write_bytes(content)
        try:
            list(container.pieces_of(file, PHRASE))
        except BackupError as error:
            said = str(error)
        else:
            said = ""
        if name in {"a newer schema", "another kind of database", "cut off", "one bit another"}:
            said = school.refuses("restore", str(file), "--yes")
        assert WORDS[name] in said, name
    assert school.shell(COUNT) == "32"
    assert school.shell(HELD) == "False"
    leftovers = [each.name for each in school.folder.iterdir() if each.name.startswith(".")]
    assert not leftovers


def test_a_wrong_passphrase_is_said_to_be_one(school: School, tmp_path: Path) -> None:
    file = tmp_path / "school.backup"
    school.does("backup", str(file))
    said = school.refuses("restore", str(file), "--yes", BACKUP_PASSPHRASE="another passphrase")
    assert "The passphrase is wrong" in said
    assert school.shell(HELD) == "False"


def test_it_asks_for_no_passphrase_on_the_command_line(school: School, tmp_path: Path) -> None:
    file, phrase = tmp_path / "school.backup", tmp_path / "phrase"
    assert "no terminal" in school.refuses("backup", str(file), BACKUP_PASSPHRASE="")
    assert "12 characters" in school.refuses("backup", str(file), BACKUP_PASSPHRASE="short")
    missing = school.refuses("backup", str(file), "--passphrase-file", str(phrase))
    assert "cannot be read" in missing
    assert not file.exists()
    phrase.write_text(f"{PHRASE}\n")
    school.does("backup", str(file), "--passphrase-file", str(phrase), BACKUP_PASSPHRASE="")
    assert "no terminal" in school.refuses("restore", str(file))
    assert school.shell(HELD) == "False"


def test_it_never_writes_over_a_file(school: School, tmp_path: Path) -> None:
    file = tmp_path / "school.backup"
    file.write_text("something dear")
    assert "exists already" in school.refuses("backup", str(file))
    assert file.read_text() == "something dear"
    assert "no folder" in school.refuses("backup", str(tmp_path / "nowhere" / "school.backup"))


def test_it_is_not_put_back_under_whoever_works(
    school: School, tmp_path: Path, settings: Any
) -> None:
    file = tmp_path / "school.backup"
    school.does("backup", str(file))
    settings.STATE_DIR = school.folder
    running.say_so()
    try:
        assert "smsmail is running here" in school.refuses("restore", str(file), "--yes")
    finally:
        os.close(running._held.pop())
    school.does("restore", str(file), "--yes")


def test_a_worker_elsewhere_is_seen_by_its_epoch(school: School, tmp_path: Path) -> None:
    """The number moves on while restore looks."""
    file = tmp_path / "school.backup"
    school.does("backup", str(file))
    moving = (
        "import time; from mailings import epoch\n"
        "for _ in range(80): epoch.advance_due(); time.sleep(0.25)"
    )
    with subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", moving],
        cwd=ROOT,
        env=school.environment,
    ) as worker:
        try:
            import time

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


@pytest.mark.skipif(bool(settings.DATABASE_URL), reason="of SQLite")
def test_a_database_that_is_none_any_more_is_set_aside(school: School, tmp_path: Path) -> None:
    file = tmp_path / "school.backup"
    school.does("backup", str(file))
    school.database.write_bytes(b"x" * 8192)
    for end in ("-wal", "-shm"):
        school.database.with_name(school.database.name + end).unlink(missing_ok=True)
    school.does("restore", str(file), "--yes")
    assert school.shell(COUNT) == "31"
    [aside] = school.folder.glob("smsmail.sqlite3.damaged-*")
    assert aside.read_bytes() == b"x" * 8192
    with sqlite3.connect(school.database) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
