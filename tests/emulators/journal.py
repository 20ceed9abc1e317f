"""What an emulated provider accepted, on disk before it answers: the judge of every crash test.

One JSON line per request, flushed and synced. A line torn by a kill was never answered: dropped.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any


class Journal:
    """Append-only; without a path it lives in memory only (tests that kill nothing)."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[dict[str, Any]] = read(path) if path else []
        self._lock = threading.Lock()
        self._file = None
        if path:
            self._file = path.open("ab")
            self._file.truncate(_whole(path))

    def write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self.entries.append(entry)
            if self._file:
                self._file.write(line)
                self._file.flush()
                os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file:
            self._file.close()


def read(path: Path) -> list[dict[str, Any]]:
    """Every whole line; [] when there is no journal yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes()[: _whole(path)].splitlines()]


def _whole(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
