"""Redis as Django's cache, for counts and figures that are not essential. While Redis is away, nothing is
found or stored, and nobody waits for it or gets an error.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
T = TypeVar("T")
AWAY = 5.0  # seconds during which a Redis that did not answer is not asked again


class Plain:
    """Serializes numbers and texts as JSON. Django's pickles would let whoever writes to Redis run code
    here.
    """

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
