"""Measures what an idle embedded worker costs (goal G15): its share of a core, and its queries a minute.

`python -m benchmarks.idle` does it for the database of DATABASE_URL, or for a new SQLite file.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTLES = 75.0  # seconds until a worker that found nothing has come to rest (smsmail/jobs/pace.py)


@dataclass(frozen=True, slots=True)
class Idle:
    """What the worker did while there was nothing to do."""

    share: float  # CPU seconds of the process a second: 0.005 is 0.5 % of a core
    queries: float  # a minute
    switches: float  # how often a second one of its threads gave up the core to wait


def measure(seconds: float = 60.0, settles: float = SETTLES) -> Idle:
    """Start a worker on the migrated database of this environment and watch it for so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder) / "queries"
        command = [sys.executable, "-m", "benchmarks.idle", "--worker", str(counted)]
        worker = subprocess.Popen(command)
        try:
            time.sleep(settles)
            before, switched = cpu(worker.pid), switches(worker.pid)
            began = time.monotonic()
            time.sleep(seconds)
            spent, waited = cpu(worker.pid) - before, switches(worker.pid) - switched
            ended = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
            moments = json.loads(counted.read_text())
        finally:
            worker.kill()
            worker.wait()
    took = ended - began
    queries = sum(began <= moment <= ended for moment in moments)
    return Idle(spent / took, queries * 60 / took, waited / took)


def cpu(pid: int) -> float:
    """The CPU seconds that all threads of the process have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def switches(pid: int) -> int:
    """How often the threads of the process have waited for something so far."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                found += int(line.split()[1])
    return found


def worker(counted: Path) -> None:
    """Run the embedded worker, and write down in the end when each of its queries was made."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db.backends.signals import connection_created

    moments: list[float] = []

    def count(execute: Any, *args: Any) -> Any:
        moments.append(time.monotonic())
        return execute(*args)

    def watch(connection: Any, **_kwargs: Any) -> None:
        if count not in connection.execute_wrappers:
            connection.execute_wrappers.append(count)

    connection_created.connect(watch)
    call_command("runworker")
    counted.write_text(json.dumps(moments))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    if sys.argv[1:2] == ["--worker"]:
        worker(Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATA_DIR", folder)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0, skip_checks=True)
        call_command("demo_school", verbosity=0)
        found = measure()
    print(f"an idle worker: {found.share:.2%} of a core, {found.queries:.0f} queries a minute,")
    print(f"{found.switches:.0f} waits a second")


if __name__ == "__main__":
    main()
