"""The counterpart of the database's epoch, in a small file beside the keys (STATE_DIR): a number that
only grows. A database that knows less than this file has been turned back. No database here.

Two records take turns, each with its checksum, and are written in place: a power cut spoils one of
them at most, and a full disk none.
"""

import contextlib
import fcntl
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

NAME = "epoch"
RECORD = 64  # bytes; far less than what a disk writes at once


@dataclass(frozen=True, slots=True)
class Noted:
    """What the file says: the number, and when it was written."""

    tick: int
    at: datetime


def path() -> Path:
    return Path(settings.STATE_DIR) / NAME


def read() -> Noted | None:
    """None when there is no such file, or nothing legible in it. Raises OSError."""
    try:
        with path().open("rb") as file:
            return _newest(file.read(2 * RECORD))
    except FileNotFoundError:
        return None


def create(tick: int, at: datetime) -> None:
    """A new file, whole or not at all; one that is there already, and legible, stays. Raises OSError."""
    if read() is not None:
        return
    folder = path().parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f".{NAME}.{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(_record(tick, at) * 2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path())
    _sync_folder(folder)


def note(tick: int, at: datetime) -> None:
    """Keep the number, on disk before this returns, unless the file knows a greater one. OSError
    when it cannot be kept, also when there is no file.
    """
    with _locked() as descriptor:
        held = os.pread(descriptor, 2 * RECORD, 0)
        newest = _newest(held)
        if newest is not None and newest.tick >= tick:
            return
        # Over the older one: the newer record is whole, whatever happens to this one.
        at_first = newest is None or _parsed(held[:RECORD]) != newest
        os.pwrite(descriptor, _record(tick, at), 0 if at_first else RECORD)
        os.fsync(descriptor)


def is_open() -> bool:
    """May this process write to the file? By its permissions: this is asked every second."""
    return os.access(path(), os.R_OK | os.W_OK)


def can_be_written() -> bool:
    """By trying: permissions do not tell of a broken disk."""
    try:
        with _locked() as descriptor:
            held = os.pread(descriptor, 2 * RECORD, 0)
            os.pwrite(descriptor, held, 0)
            os.fsync(descriptor)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _locked() -> Iterator[int]:
    """Held by one thread of one process on this machine at a time."""
    descriptor = os.open(path(), os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _record(tick: int, at: datetime) -> bytes:
    said = f"{tick:020} {int(at.timestamp() * 1_000_000):020}"
    return f"{said} {zlib.crc32(said.encode()):08x}".ljust(RECORD - 1).encode() + b"\n"


def _parsed(record: bytes) -> Noted | None:
    try:
        tick, micros, checksum = record.decode("ascii").split()
        if int(checksum, 16) != zlib.crc32(f"{tick} {micros}".encode()):
            return None
        return Noted(int(tick), datetime.fromtimestamp(int(micros) / 1_000_000, UTC))
    except ValueError:
        return None


def _newest(held: bytes) -> Noted | None:
    records = [_parsed(held[:RECORD]), _parsed(held[RECORD : 2 * RECORD])]
    return max((each for each in records if each), key=lambda each: each.tick, default=None)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
