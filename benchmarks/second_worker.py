"""Goal of a second worker: how much faster a mailing is handed over by two processes than by one. Run as a program,
it is one of these processes.
"""

import json
import subprocess
import sys
import time
from typing import Any

import django

django.setup()  # for the program; the process that starts it has done this already

from django.db import connection  # noqa: E402

from benchmarks import pipeline, rows  # noqa: E402 - models need Django to be set up
from benchmarks.cost import postgresql_cpu  # noqa: E402
from benchmarks.goals import Measured  # noqa: E402
from benchmarks.options import size  # noqa: E402
from smsmail.jobs import collector  # noqa: E402


def added() -> Measured:
    """One mailing is handed over by one process, the next by two."""
    people = size(20_000, 200_000)
    rows.school(people)
    one, one_cpu = _handed_over(1)
    two, two_cpu = _handed_over(2)
    print(f"{people / one:,.0f} messages/s by one process, {people / two:,.0f} by two")
    return Measured(
        100 * (one / two - 1),
        {
            "messages/s one": people / one,
            "messages/s two": people / two,
            "us one, with PostgreSQL": one_cpu / people * 1e6,
            "us two, with PostgreSQL": two_cpu / people * 1e6,
            "by CPU alone, %": 100 * (2 * one_cpu / two_cpu - 1),
        },
    )


def _handed_over(workers: int) -> tuple[float, float]:
    """Return the seconds until the last process has finished, and the CPU of all and of PostgreSQL."""
    pipeline.launch(rows.draft(f"By {workers}"))
    pipeline.prepare_all()
    command = [sys.executable, "-m", "benchmarks.second_worker"]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    for process in processes:
        _line(process.stdout)  # it is ready
    database, began = postgresql_cpu(), time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(_line(process.stdout)) for process in processes]
    wall, database = time.monotonic() - began, postgresql_cpu() - database
    for process in processes:
        process.wait(30)
    return wall, database + sum(told)


def _line(stream: Any) -> str:
    line = str(stream.readline())
    if not line:
        raise RuntimeError("a worker process ended")
    return line


def main() -> None:
    connection.ensure_connection()
    collector.tune()  # as every worker does
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    pipeline.hand_over_all()
    print(json.dumps(time.process_time() - began), flush=True)


if __name__ == "__main__":
    main()
