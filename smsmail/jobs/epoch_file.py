"""A small file beside the keys (STATE_DIR) with a number that only grows, the counterpart of the database's
epoch. A database with a smaller number than this file was restored from an older copy. No database here.

Two records, each with a checksum, are overwritten in turn and in place: a power cut damages at most one of
them, and a full disk none.
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
RECORD = 64  # bytes; far fewer than a disk writes at once


@dataclass(frozen=True, slots=True)
class Noted:
    """The content of the file: the number, and when it was written."""

    tick: int
    at: datetime


def path() -> Path:
    return Path(settings.STATE_DIR) / NAME


def read() -> Noted | None:
    """Return None if the file does not exist or holds no valid record. Raises OSError."""
    try:
        with path().open("rb") as file:
            return _newest(file.read(2 * RECORD))
    except FileNotFoundError:
        return None


def create(tick: int, at: datetime) -> None:
    """Create the file wholly or not at all; an existing file with a valid record stays. Raises OSError."""
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
    """Write the number to disk before returning, unless the file holds a greater one. Raises
    OSError if it cannot be written, also if there is no file.
    """
    with _locked() as descriptor:
        held = os.pread(descriptor, 2 * RECORD, 0)
        newest = _newest(held)
        if newest is not None and newest.tick >= tick:
            return
        # Overwrite the older record: the newer one stays intact, whatever happens to this one.
        at_first = newest is None or _parsed(held[:RECORD]) != newest
        os.pwrite(descriptor, _record(tick, at), 0 if at_first else RECORD)
        os.fsync(descriptor)


def is_open() -> bool:
    """True if the file's permissions let this process write to it. No write is tried, because this
    runs every second.
    """
    return os.access(path(), os.R_OK | os.W_OK)


def can_be_written() -> bool:
    """True if a real write succeeds: permissions do not show a broken disk."""
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
    """Lock the file: one thread of one process on this machine at a time."""
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
