"""What the command line asked for. __main__.py puts it into the environment, which processes inherit."""

import os

FULL = os.environ.get("BENCH_FULL") == "1"
_PEOPLE = int(os.environ.get("BENCH_PEOPLE") or 0)


def size(quick: int, full: int) -> int:
    """Return the number of people of this run: what `--people` says, or the usual number."""
    return _PEOPLE or (full if FULL else quick)
