"""Measures what work costs: CPU of our processes and of PostgreSQL (all backends and background processes), WAL,
memory and wall-clock time. CPU counts, because a machine that does other work as well distorts it least. Linux
only, since it reads /proc.
"""

import gc
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What `count` messages took, in seconds, bytes and MB."""

    count: int
    wall: float
    ours: float  # CPU of our processes
    postgresql: float  # CPU
    wal: int = 0
    peak: float = 0.0  # MB that this process held at most
    grown: float = 0.0  # MB of them that it did not hold before

    @property
    def rate(self) -> float:
        return self.count / self.wall

    @property
    def us(self) -> float:
        """Microseconds of CPU for each message, ours and PostgreSQL's."""
        return (self.ours + self.postgresql) / self.count * 1e6

    @property
    def ours_us(self) -> float:
        return self.ours / self.count * 1e6

    @property
    def postgresql_us(self) -> float:
        return self.postgresql / self.count * 1e6

    def __add__(self, other: "Cost") -> "Cost":
        """Another step for the same messages."""
        return Cost(
            self.count,
            self.wall + other.wall,
            self.ours + other.ours,
            self.postgresql + other.postgresql,
            self.wal + other.wal,
            max(self.peak, other.peak),
            self.grown + other.grown,
        )


def measured(count: int, do: Callable[[], object], others: Sequence[int] = ()) -> Cost:
    """Run it in this process. `others`: ids of processes that take part in the work; the CPU of their
    children is counted too.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before, wal, cpu = memory("VmRSS"), written(), postgresql_cpu()
    ours = time.process_time() + sum(map(cpu_of, others))
    began = time.perf_counter()
    do()
    wall = time.perf_counter() - began
    ours = time.process_time() + sum(map(cpu_of, others)) - ours
    peak = memory("VmHWM")
    return Cost(
        count, wall, ours, postgresql_cpu() - cpu, written() - wal, peak, max(0.0, peak - before)
    )


def postgresql_cpu() -> float:
    """Return the CPU seconds of the whole cluster so far; 0 on SQLite."""
    postmaster = os.environ.get("BENCH_POSTMASTER")
    return cpu_of(int(postmaster)) if postmaster else 0.0


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process, of all that descend from it, and of those that have ended."""
    return sum(_family(pid).values()) * TICK


def largest(pid: int) -> float:
    """Return the MB that a process, or one that descends from it, has held at most."""
    return max(memory("VmHWM", one) for one in _family(pid))


def _family(pid: int) -> dict[int, int]:
    """Return the CPU ticks of a process and of each that descends from it, ended children included."""
    ticks: dict[int, int] = {}
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        one = int(stat.parent.name)
        children[int(fields[1])].append(one)
        ticks[one] = sum(map(int, fields[11:15]))  # its own and those of its ended children
    family, look = {}, [pid]
    while look:
        one = look.pop()
        family[one] = ticks.get(one, 0)
        look += children[one]
    return family


def answer(do: Callable[[], object], times: int) -> tuple[float, float]:
    """Ask several times. Return the mean of CPU seconds, ours and PostgreSQL's (in ticks of 10 ms, so the
    mean is exact to 10 ms / times), and the least of wall-clock seconds.
    """
    walls = []
    database, ours = postgresql_cpu(), 0.0
    for _ in range(times):
        began, began_cpu = time.perf_counter(), time.process_time()
        do()
        walls.append(time.perf_counter() - began)
        ours += time.process_time() - began_cpu
    return (ours + postgresql_cpu() - database) / times, min(walls)


def memory(what: str, pid: int | str = "self") -> float:
    """Return MB: VmRSS is what a process holds now, VmHWM what it held at most."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended meanwhile
        return 0.0
    return next((int(each.split()[1]) for each in lines if each.startswith(f"{what}:")), 0) / 1024


def written() -> int:
    """Return the bytes of WAL that PostgreSQL has written so far; 0 on SQLite."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'")
        return int(cursor.fetchone()[0])


def show(title: str, lines: Sequence[tuple[str, Cost]]) -> None:
    """Print a table of costs."""
    print(f"\n{title}\n")
    print(f"{'':44}{'/s':>10}{'ours us':>10}{'pg us':>10}{'WAL B':>8}{'peak MB':>9}{'grown':>7}")
    for name, cost in lines:
        wal = f"{cost.wal / cost.count:8,.0f}"
        print(
            f"{name:44}{cost.rate:10,.0f}{cost.ours_us:10,.1f}{cost.postgresql_us:10,.1f}"
            f"{wal}{cost.peak:9.0f}{cost.grown:7.0f}",
            flush=True,
        )
