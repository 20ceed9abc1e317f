"""Django's SQLite backend, with files that nobody else on the machine can read, because they hold phones."""

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
    """Set the mode, whatever the umask was, also for existing files. SQLite gives the files beside
    the database its mode. The database is never opened here: closing a file would release all locks
    that this process has on it.
    """
    if name == ":memory:" or name.startswith("file:"):
        return
    path = Path(name)
    if not path.exists():
        _make(path)
    for end in ("", "-wal", "-shm", "-journal"):
        private(path.with_name(path.name + end))


def _make(path: Path) -> None:
    """Create an empty file aside and link it: another process that starts at this moment sees it
    wholly or not at all.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):  # SQLite reports a problem with the folder better
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
