"""Times one step: wall-clock seconds, CPU seconds of this process (which other load does not
distort), and the most memory that this process held meanwhile. Linux only, since it reads /proc.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    messages: int
    seconds: float
    cpu: float
    peak: float = 0.0  # MB that this process held at most
    grown: float = 0.0  # MB of them that it did not hold before the step

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def rate_of_cpu(self) -> float:
        return self.messages / self.cpu


def timed(messages: int, do: Callable[[], None]) -> Step:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = _memory("VmRSS")
    began, began_cpu = time.perf_counter(), time.process_time()
    do()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak = _memory("VmHWM")
    return Step(messages, seconds, cpu, peak, peak - before)


def _memory(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024
