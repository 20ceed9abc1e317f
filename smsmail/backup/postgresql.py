"""Copies the PostgreSQL database at one moment with PostgreSQL's own programs, while others write; puts a
copy back in one transaction.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from . import BackupError
from .sqlite import COUNTED

# The longest wait for others who still use the database.
PATIENCE = "15s"
PLAIN = ("--no-owner", "--no-privileges")
FIRST = (
    f"SET lock_timeout = '{PATIENCE}'",
    "DROP SCHEMA IF EXISTS public CASCADE",
    "CREATE SCHEMA public",
)
# What pg_restore writes about the schema itself, which restore() creates; and a setting that
# servers older than the program do not know.
OWN_SCHEMA = re.compile(r"(SCHEMA - public|COMMENT - SCHEMA public|ACL - SCHEMA public)\b")
TOO_NEW = "SET transaction_timeout = 0;\n"


def dump(to: Path) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Write the copy and return its migrations and row counts, all of the same moment. Raises
    BackupError or OSError.
    """
    program = _program("pg_dump")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        migrations: dict[str, list[str]] = {}
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
        for app, name in cursor.fetchall():
            migrations.setdefault(app, []).append(name)
        counts = {}
        for word, table in COUNTED.items():
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
            counts[word] = cursor.fetchone()[0]
        os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _run(
            [program, "--format=custom", *PLAIN],
            [f"--snapshot={snapshot}", f"--file={to}"],
            "The database cannot be copied",
        )
    return migrations, counts


def restore(copy: Path) -> None:
    """Replace everything in the schema, or nothing. Raises BackupError or OSError."""
    psql, pg_restore = _program("psql"), _program("pg_restore")
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix=".restore-") as folder:
        script = Path(folder) / "script.sql"
        _write_script(pg_restore, copy, script)
        connection.close()
        _run(
            [psql, "--no-psqlrc", "--quiet", "--single-transaction", "--output=/dev/null"],
            ["--set=ON_ERROR_STOP=1", *(f"--command={each}" for each in FIRST), f"--file={script}"],
            "The database cannot be replaced; nothing was changed",
        )


def others() -> int:
    """Count the connections of other processes to this database: web servers and workers keep
    theirs open.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


def _write_script(pg_restore: str, copy: Path, script: Path) -> None:
    """Write the whole script first: if pg_restore stops half-way, that must not look like a
    complete script.
    """
    listed = _run([pg_restore], ["--list", str(copy)], "The copy cannot be read")
    chosen = script.with_suffix(".list")
    chosen.write_text(
        "".join(line for line in listed.splitlines(True) if not OWN_SCHEMA.search(line))
    )
    raw = script.with_suffix(".raw")
    for path in (raw, script):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    _run(
        [pg_restore, *PLAIN, f"--use-list={chosen}"],
        [f"--file={raw}", str(copy)],
        "The copy cannot be read",
    )
    with raw.open("rb") as lines, script.open("wb") as file:
        for number, line in enumerate(lines):
            if number > 50 or line != TOO_NEW.encode():
                file.write(line)
    raw.unlink()


def _program(name: str) -> str:
    """Find the newest version, because pg_dump refuses a server newer than itself. Raises
    BackupError if there is none.
    """
    there = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: int(path.parts[-3]) if path.parts[-3].isdecimal() else 0,
    )
    found = str(there[-1]) if there else shutil.which(name)
    if found is None:
        version = connection.pg_version // 10_000  # type: ignore[attr-defined]
        raise BackupError(
            f"{name} is not installed here. Install the programs of PostgreSQL {version} or newer "
            "(Debian, Ubuntu: apt install postgresql-client), or run this where they are."
        )
    return found


def _run(program: list[str], arguments: list[str], what: str) -> str:
    """Run the program and return its output. The password is passed in the environment, since
    others can read a command line. Raises BackupError.
    """
    done = subprocess.run(  # noqa: S603 - our own commands
        [*program, *arguments],
        env=os.environ | _way(),
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = [line for line in lines if re.search(r"error|fatal", line, re.IGNORECASE)] or lines
        raise BackupError(f"{what}: {said[0] if said else f'code {done.returncode}'}")
    return done.stdout


def _way() -> dict[str, str]:
    """Return the environment variables by which libpq finds the database, from Django's settings."""
    at: dict[str, Any] = settings.DATABASES["default"]
    options = at.get("OPTIONS", {})
    named = {
        "PGHOST": at.get("HOST"),
        "PGPORT": at.get("PORT"),
        "PGUSER": at.get("USER"),
        "PGPASSWORD": at.get("PASSWORD"),
        "PGDATABASE": connection.settings_dict["NAME"],
        "PGSSLMODE": options.get("sslmode"),
        "PGSSLROOTCERT": options.get("sslrootcert"),
        "PGCONNECT_TIMEOUT": "10",
        "PGOPTIONS": "-c client_min_messages=warning",
    }
    return {name: str(value) for name, value in named.items() if value}
