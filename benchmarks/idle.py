"""Goal of doing nothing: what the embedded worker costs while there is nothing to do."""

import time

from benchmarks.cost import cpu_of, postgresql_cpu
from benchmarks.goals import Measured
from benchmarks.processes import embedded_worker

SETTLES = 75  # seconds until a worker that found nothing has come to rest (smsmail/jobs/pace.py)
SECONDS = 60


def worker() -> Measured:
    with embedded_worker() as (pid,):
        time.sleep(SETTLES)
        ours, database, began = cpu_of(pid), postgresql_cpu(), time.monotonic()
        time.sleep(SECONDS)
        wall = time.monotonic() - began
        ours, database = cpu_of(pid) - ours, postgresql_cpu() - database
    return Measured(
        100 * ours / wall, {"% PostgreSQL meanwhile": 100 * database / wall, "seconds": wall}
    )
