"""Copies the SQLite database at one moment, while others write; puts a copy back in its place."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from . import BackupError

PATIENCE = 20.0  # seconds to wait for somebody who is writing


def dump(to: Path) -> None:
    """Write the copy. Raises BackupError or OSError."""
    source = Path(settings.DATABASES["default"]["NAME"])
    if not source.exists():
        raise BackupError(f"There is no database at {source}.")
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with _open(source) as live, _open(to) as copy:
            live.backup(copy)  # in one step; readers do not block writers
            copy.execute("PRAGMA journal_mode=DELETE")
            _check(copy)
    except sqlite3.Error as error:
        raise BackupError(f"The database cannot be copied: {error}.") from error


def restore(copy: Path) -> None:
    """Replace the present database, wholly or not at all; a file that is no longer a database is
    kept beside it. Raises BackupError.
    """
    target = Path(settings.DATABASES["default"]["NAME"])
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _open(copy) as source:
        try:
            _check(source)
            if not target.exists():
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            _replace(source, target)
        except sqlite3.Error as error:
            raise BackupError(f"The database cannot be replaced: {error}.") from error


def facts(copy: Path) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Return its migrations and the row counts of its main tables."""
    with _open(copy) as database:
        migrations: dict[str, list[str]] = {}
        rows = database.execute("SELECT app, name FROM django_migrations ORDER BY id")
        for app, name in rows:
            migrations.setdefault(app, []).append(name)
        counts = {
            word: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
            for word, table in COUNTED.items()
        }
    return migrations, counts


COUNTED = {"people": "users_user", "mailings": "mailings_mailing", "messages": "mailings_message"}


def _replace(source: sqlite3.Connection, target: Path) -> None:
    try:
        with _open(target) as live:
            live.execute("PRAGMA synchronous=FULL")
            source.backup(live)
    except sqlite3.DatabaseError as error:
        # Locked or disk full: the file itself may be good.
        if isinstance(error, sqlite3.OperationalError):
            raise
        _set_aside(target)
        with _open(target) as live:
            source.backup(live)


def _set_aside(target: Path) -> None:
    stamp = f"damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for end in ("", "-wal", "-shm"):
        part = target.with_name(target.name + end)
        if part.exists():
            part.rename(part.with_name(f"{target.name}.{stamp}{end}"))
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _check(database: sqlite3.Connection) -> None:
    """Require an intact database, because a backup that cannot be restored is worthless."""
    (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise BackupError(f"The database is damaged: {said}.")


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
