"""Django's cache, for counts and figures that are not essential: Redis or, without it, a folder that the
processes of one machine share. While the cache is away, nothing is found or stored, and nobody waits for
it or gets an error.

Both keep JSON, not Django's pickles, which would let whoever writes into the cache run code here. So a
value is made of numbers, texts, lists and dicts with texts as keys; a tuple comes back as a list.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
T = TypeVar("T")
AWAY = 5.0  # seconds during which a Redis that did not answer is not asked again


class Plain:
    """Serializes the values that Redis keeps."""

    def dumps(self, value: Any) -> str:
        return json.dumps(value)

    def loads(self, stored: bytes) -> Any:
        return json.loads(stored)


class Redis(RedisCache):
    """Django's Redis cache, without its errors."""

    _away_until = 0.0

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._tried(lambda: super(Redis, self).get(key, default, version), default)

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        return self._tried(lambda: super(Redis, self).get_many(keys, version), {})

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> None:
        self._tried(lambda: super(Redis, self).set(key, value, *args, **kwargs), None)

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        return self._tried(lambda: super(Redis, self).add(key, value, *args, **kwargs), False)

    def delete_many(self, keys: Any, version: int | None = None) -> None:
        self._tried(lambda: super(Redis, self).delete_many(keys, version), None)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Raises ValueError for a missing key, as any cache does, and also while Redis is away."""
        found = self._tried(lambda: super(Redis, self).incr(key, delta, version), None)
        if found is None:
            raise ValueError("not found")
        return found

    def _tried(self, ask: Callable[[], T], otherwise: T) -> T:
        if time.monotonic() < Redis._away_until:
            return otherwise
        try:
            return ask()
        except (RedisError, OSError) as error:
            Redis._away_until = time.monotonic() + AWAY
            logger.warning("Redis does not answer: %s", type(error).__name__)
            return otherwise


class Files(BaseCache):
    """A folder with one file for each entry, which only this user can read. Django's own file cache keeps
    pickles, and a page that meets a broken file in it ends in an error.
    """

    def __init__(self, folder: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._folder = Path(folder)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            until, value = json.loads(self._file(key, version).read_bytes())
            return value if until is None or time.time() < until else default
        except (OSError, ValueError, TypeError):  # not there, or not written by set()
            return default

    def set(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        written = json.dumps([self.get_backend_timeout(timeout), value])
        try:
            self._folder.parent.mkdir(mode=0o700, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if len(os.listdir(self._folder)) >= self._max_entries:
                self.clear()
            self._write(self._file(key, version), written)
        except OSError as error:
            logger.warning("The cache cannot be written: %s", error.strerror)

    def add(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Two processes that add a key at once may both hear True: nothing is counted by it
        (rate_limit.py has a table where there is no Redis).
        """
        if self.has_key(key, version):
            return False
        self.set(key, value, timeout, version)
        return True

    def delete(self, key: Any, version: int | None = None) -> bool:
        try:
            self._file(key, version).unlink()
        except OSError:
            return False
        return True

    def clear(self) -> None:
        with suppress(OSError):
            for name in os.listdir(self._folder):
                with suppress(OSError):  # another process was quicker
                    (self._folder / name).unlink()

    def _write(self, file: Path, written: str) -> None:
        """Aside, and then put in place: whoever reads meanwhile finds the old entry or the new one."""
        handle, draft = tempfile.mkstemp(dir=self._folder)  # 0600
        try:
            with os.fdopen(handle, "w") as opened:
                opened.write(written)
            os.replace(draft, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise

    def _file(self, key: Any, version: int | None) -> Path:
        whole = self.make_and_validate_key(key, version=version)
        return self._folder / sha256(whole.encode()).hexdigest()
