"""Goal of doing nothing: what the embedded worker costs while there is nothing to do."""

import time

from benchmarks.cost import cpu_of, postgresql_cpu
from benchmarks.goals import Measured
from benchmarks.options import FULL
from benchmarks.processes import embedded_worker

WARM_UP = 4  # seconds: imports, and the first round of every job
SECONDS = 60 if FULL else 15


def worker() -> Measured:
    with embedded_worker() as (pid,):
        time.sleep(WARM_UP)
        while cpu_of(pid) < 1:  # still importing, on a loaded machine
            time.sleep(1)
        time.sleep(WARM_UP)
        ours, database, began = cpu_of(pid), postgresql_cpu(), time.monotonic()
        time.sleep(SECONDS)
        wall = time.monotonic() - began
        ours, database = cpu_of(pid) - ours, postgresql_cpu() - database
    return Measured(
        100 * ours / wall, {"% PostgreSQL meanwhile": 100 * database / wall, "seconds": wall}
    )
