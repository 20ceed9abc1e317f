"""Restores a backup: everything about the file is checked before anything is changed."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader

from . import BackupError, container, keys, postgresql, sqlite
from .making import FORMAT, sha256_of

KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Proved:
    """A backup that opens and is complete. Its copy of the database is in a temporary folder."""

    copy: Path
    keys: keys.Keys


def look(path: Path) -> dict[str, Any]:
    """Return the manifest of a backup that can be restored here. Raises BackupError."""
    manifest = container.manifest_of(path)
    if manifest.get("product") != "smsmail" or manifest.get("format") != FORMAT:
        raise BackupError("This backup cannot be read here: it was made by a newer smsmail.")
    theirs, ours = manifest.get("database"), connection.vendor
    if theirs != ours:
        raise BackupError(
            f"The backup is of {KINDS.get(str(theirs), 'another kind of database')}, and this smsmail "
            f"uses {KINDS[ours]}. Set DATABASE_URL as it was where the backup was made."
        )
    unknown = _unknown_migrations(manifest)
    if unknown:
        raise BackupError(
            f"The backup is of a newer smsmail ({manifest.get('version')}): its database has {unknown[0]}, "
            "which this code does not know. Update the code first."
        )
    return manifest


@contextmanager
def proved(path: Path, manifest: dict[str, Any], passphrase: str) -> Iterator[Proved]:
    """Decrypt the backup to its last piece, into a temporary folder. Raises BackupError."""
    try:
        with tempfile.TemporaryDirectory(dir=_room(path), prefix=".restore-") as folder:
            copy = Path(folder) / "database"
            pieces = container.pieces_of(path, passphrase)
            held = next(pieces)
            with copy.open("xb") as file:
                copy.chmod(0o600)
                for piece in pieces:
                    file.write(piece)
            if sha256_of(copy) != manifest.get("sha256"):
                raise BackupError("The file is damaged or was changed. Take another copy of it.")
            yield Proved(copy, keys.read(held, json.loads))
    except OSError as error:
        said = error.strerror or str(error)
        raise BackupError(
            f"The backup could not be unpacked: {said}. Nothing was changed."
        ) from error


def replace_database(copy: Path) -> None:
    """Raises BackupError; then the database is unchanged."""
    connections.close_all()
    if connection.vendor == "postgresql":
        postgresql.restore(copy)
    else:
        sqlite.restore(copy)


def _room(path: Path) -> Path:
    """Return the folder for the temporary copy: where the database is, since there must be space
    for it anyway.
    """
    if connection.vendor == "postgresql":
        return path.parent
    folder = Path(connection.settings_dict["NAME"]).parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _unknown_migrations(manifest: dict[str, Any]) -> list[str]:
    known = set(MigrationLoader(None).disk_migrations or ())
    applied = manifest.get("migrations")
    if not isinstance(applied, dict) or not applied:
        raise BackupError("The file is damaged or was changed. Take another copy of it.")
    return [f"{app}.{name}" for app in applied for name in applied[app] if (app, name) not in known]
