"""Makes a backup: copies the database at one moment, then writes the file with the copy and the
keys.
"""

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.db import connection

from smsmail.version import VERSION

from . import BackupError, container, keys, postgresql, sqlite

FORMAT = 1


def make(target: Path, passphrase: str) -> dict[str, Any]:
    """Make the backup and return its manifest. Raises BackupError; then there is no file."""
    if target.exists():
        raise BackupError(f"{target} exists already. Choose another name.")
    if not target.parent.is_dir():
        raise BackupError(f"There is no folder {target.parent}.")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
            copy = Path(folder) / "database"
            manifest = _copied(copy)
            container.write(target, manifest, passphrase, _pieces(copy))
    except (OSError, sqlite3.Error) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise BackupError(f"The backup could not be written to {target.parent}: {said}.") from error
    return manifest


def _copied(copy: Path) -> dict[str, Any]:
    made_at = datetime.now(UTC)
    if connection.vendor == "postgresql":
        migrations, counts = postgresql.dump(copy)
    else:
        sqlite.dump(copy)
        migrations, counts = sqlite.facts(copy)
    return {
        "product": "smsmail",
        "format": FORMAT,
        "made_at": made_at.isoformat(timespec="seconds"),
        "version": version(),
        "database": connection.vendor,
        "migrations": migrations,
        "counts": counts,
        "size": copy.stat().st_size,
        "sha256": sha256_of(copy),
    }


def version() -> str:
    """Return the versions of smsmail and of Django."""
    return f"{VERSION} (Django {django.get_version()})"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pieces(copy: Path) -> Iterator[bytes]:
    """The keys come first."""
    yield json.dumps(keys.current()).encode()
    with copy.open("rb") as file:
        yield from container.in_pieces(file)
