"""The keys without which a database is useless: links, sessions and credentials depend on them."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from smsmail.environment import secret

Keys = dict[str, list[str]]


def current() -> Keys:
    """Return the keys by the names of their settings, the one in use first."""
    return {
        "SECRET_KEY": [settings.SECRET_KEY],
        "SECRET_KEY_FALLBACKS": list(settings.SECRET_KEY_FALLBACKS),
        "FIELD_KEYS": list(settings.FIELD_KEYS),
    }


def put_back(keys: Keys, beside: Path) -> list[str]:
    """Write the keys where settings.py reads them. Returns sentences on what remains to be done by
    hand. Raises OSError.
    """
    if keys == current():
        return []
    if _are_kept_in_files(keys):
        _keep(settings.DATA_DIR / "secret.key", keys["SECRET_KEY"][0])
        _keep(settings.DATA_DIR / "field.key", keys["FIELD_KEYS"][0])
        return []
    target = beside.with_name(f"{beside.name}.keys.env")
    lines = [f"{name}={','.join(values)}\n" for name, values in keys.items()]
    _write(target, "".join(lines))
    return [
        f"The keys of the backup differ from those set here. They are in {target}.",
        "Put its lines into .env (or wherever the environment is set) in place of those there, "
        "delete the file, and only then start smsmail.",
    ]


def read(piece: bytes, parse: Any) -> Keys:
    told = parse(piece)
    return {name: [str(each) for each in told[name]] for name in current()}


def _are_kept_in_files(keys: Keys) -> bool:
    """True on SQLite unless the environment sets keys; a file holds a single key."""
    said = secret("SECRET_KEY") or secret("FIELD_KEYS") or secret("SECRET_KEY_FALLBACKS")
    one_of_each = len(keys["FIELD_KEYS"]) == 1 and not keys["SECRET_KEY_FALLBACKS"]
    return bool(settings.EMBEDDED and not said and one_of_each)


def _keep(path: Path, key: str) -> None:
    """Write the key; the previous file stays beside it, because its key may still be needed."""
    if path.exists():
        if path.read_text().strip() == key:
            return
        path.rename(path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%d-%H%M%S}"))
    _write(path, key)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
