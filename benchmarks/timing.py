"""One step timed: seconds, and the most memory this process held meanwhile."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    messages: int
    seconds: float
    peak: float = 0.0  # MB of this process
    grown: float = 0.0  # MB of them that it did not hold before

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


def timed(messages: int, do: Callable[[], None]) -> Step:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = _memory("VmRSS")
    began = time.perf_counter()
    do()
    seconds = time.perf_counter() - began
    peak = _memory("VmHWM")
    return Step(messages, seconds, peak, peak - before)


def _memory(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024
