"""The backup file: a line of magic, a line of JSON that anybody can read (the manifest), then pieces
encrypted with AES-GCM under a key that scrypt derives from the passphrase. Pure: no database, no Django.

Each piece is bound to the manifest, its position and whether it is the last: a changed, swapped or truncated
file does not open.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from . import BackupError

MAGIC = b"smsmail-backup 1\n"
PIECE = 1024 * 1024  # bytes before encryption
LONGEST = PIECE + 16  # bytes after encryption
HEADER = 10_000_000  # the most bytes of a manifest
COST = 2**16  # cost of scrypt: 64 MB and 0.2 s for each guess
DEAREST = 2**20


def write(path: Path, manifest: dict[str, Any], passphrase: str, pieces: Iterable[bytes]) -> None:
    """Write the file under a temporary name, then link it: either the whole file exists or none.
    Raises OSError, also if the path exists.
    """
    salt = os.urandom(16)
    key = _key(passphrase, salt, COST)
    header = _header(manifest, salt, key)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(header)
            _seal(file, header, AESGCM(key), pieces)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename, this never replaces an existing file
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def manifest_of(path: Path) -> dict[str, Any]:
    """Return the part that anybody can read; trust it only once the pieces open. Raises
    BackupError.
    """
    with _opened(path) as file:
        return _read_header(file)[1]


def pieces_of(path: Path, passphrase: str) -> Iterator[bytes]:
    """Yield all pieces in order. Raises BackupError, possibly in the middle: earlier pieces prove
    nothing until the last one has come.
    """
    with _opened(path) as file:
        header, manifest = _read_header(file)
        sealed = manifest["sealed"]
        key = _key(passphrase, _bytes(sealed, "salt"), _cost(sealed))
        if not hmac.compare_digest(_check(key), _bytes(sealed, "check")):
            raise BackupError("The passphrase is wrong, or the beginning of the file was changed.")
        box = AESGCM(key)
        place, last = 0, False
        while not last:
            last, piece = _open(file, header, box, place)
            yield piece
            place += 1
        if file.read(1):
            raise _damaged()


def in_pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _header(manifest: dict[str, Any], salt: bytes, key: bytes) -> bytes:
    sealed = {"salt": _text(salt), "cost": COST, "check": _text(_check(key))}
    return MAGIC + json.dumps({**manifest, "sealed": sealed}).encode() + b"\n"


def _seal(file: BinaryIO, header: bytes, box: AESGCM, pieces: Iterable[bytes]) -> None:
    """Stay one piece behind, because only the end of the input shows which piece is the last."""
    place, held = 0, None
    for piece in pieces:
        if held is not None:
            _put(file, box.encrypt(_nonce(place), held, _bound(header, last=False)))
            place += 1
        held = piece
    _put(file, box.encrypt(_nonce(place), held or b"", _bound(header, last=True)))


def _put(file: BinaryIO, sealed: bytes) -> None:
    file.write(struct.pack(">I", len(sealed)) + sealed)


def _open(file: BinaryIO, header: bytes, box: AESGCM, place: int) -> tuple[bool, bytes]:
    prefix = file.read(4)
    length = struct.unpack(">I", prefix)[0] if len(prefix) == 4 else 0
    sealed = file.read(length) if 16 <= length <= LONGEST else b""
    if not sealed or len(sealed) < length:
        raise BackupError("The file is cut off before its end. Take another copy of it.")
    for last in (False, True):
        try:
            return last, box.decrypt(_nonce(place), sealed, _bound(header, last=last))
        except InvalidTag:
            continue
    raise _damaged()


def _damaged() -> BackupError:
    return BackupError("The file is damaged or was changed. Take another copy of it.")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}.") from error


def _read_header(file: BinaryIO) -> tuple[bytes, dict[str, Any]]:
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        kind = "of a newer smsmail" if magic.startswith(b"smsmail-backup ") else "none of smsmail"
        raise BackupError(f"This backup cannot be read here: it is {kind}.")
    line = file.readline(HEADER)
    try:
        manifest = json.loads(line)
        if not line.endswith(b"\n") or not isinstance(manifest["sealed"], dict):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged() from error
    return magic + line, manifest


def _key(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode())


def _check(key: bytes) -> bytes:
    return hmac.digest(key, b"is this the passphrase", "sha256")[:16]


def _cost(sealed: dict[str, Any]) -> int:
    cost = sealed.get("cost")
    if not isinstance(cost, int) or not 2 <= cost <= DEAREST or cost & (cost - 1):
        raise _damaged()
    return cost


def _nonce(place: int) -> bytes:
    """A counter suffices: the key belongs to this file only, so a nonce never repeats."""
    return struct.pack(">IQ", 0, place)


def _bound(header: bytes, *, last: bool) -> bytes:
    return hashlib.sha256(header).digest() + bytes([last])


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(sealed: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(sealed[name], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _damaged() from error
