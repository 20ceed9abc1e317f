"""How often something was tried lately, counted in the cache: for what machines must not do for ever."""

from django.core.cache import cache


def tries(key: str, seconds: int) -> int:
    """This one included; counted anew after so many seconds."""
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key)
    except ValueError:  # it ended between the two
        return 1


def tried(key: str) -> int:
    """Without counting one more."""
    return int(cache.get(key, 0))
