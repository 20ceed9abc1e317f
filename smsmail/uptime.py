"""Seconds since this machine was booted, including time asleep: a clock that nobody can set."""

import time


def clock() -> float:
    """Return the seconds. Unlike time.monotonic() on Linux, they also count while the machine is
    suspended.
    """
    return (
        time.clock_gettime(time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic()
    )
