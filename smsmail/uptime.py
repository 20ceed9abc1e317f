"""Seconds since this machine was started, asleep or not: a clock that nobody can set."""

import time


def clock() -> float:
    """Seconds that also run while the machine is suspended, unlike time.monotonic() on Linux."""
    return (
        time.clock_gettime(time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic()
    )
