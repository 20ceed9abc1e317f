"""SQLite as Django knows it, with files that nobody else on the machine can read: phones stand in them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base

from smsmail.private import private


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        keep_private(str(conn_params["database"]))
        return super().get_new_connection(conn_params)


def keep_private(name: str) -> None:
    """Whatever the umask was, and for files from before. Those beside the database get its mode from
    SQLite. Never opened here: to close a file would let go of all locks that this process has on it.
    """
    if name == ":memory:" or name.startswith("file:"):
        return
    path = Path(name)
    if not path.exists():
        _make(path)
    for end in ("", "-wal", "-shm", "-journal"):
        private(path.with_name(path.name + end))


def _make(path: Path) -> None:
    """Empty, aside, and linked: whoever else starts at this moment sees it whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):  # what is wrong with the folder, SQLite says better
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
