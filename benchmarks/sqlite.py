"""Goal of the embedded shape: the same pipeline on SQLite and on PostgreSQL, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile

from benchmarks.cost import Cost, show
from benchmarks.goals import Measured
from benchmarks.options import size


def beside_postgresql() -> Measured:
    people = size(20_000, 200_000)
    with tempfile.TemporaryDirectory() as folder:
        embedded = _costs(people, {"DATABASE_URL": "", "DATA_DIR": folder, "BENCH_POSTMASTER": ""})
        served = _costs(people, {})
    show("On SQLite", list(embedded.items()))
    show("On PostgreSQL", list(served.items()))
    ours, theirs = embedded["all but their arrival"], served["all but their arrival"]
    return Measured(
        100 * theirs.us / ours.us,
        {
            "us SQLite": ours.us,
            "us PostgreSQL": theirs.us,
            "by wall, %": 100 * ours.rate / theirs.rate,
            "messages/s on SQLite": ours.rate,
        },
    )


def _costs(people: int, environment: dict[str, str]) -> dict[str, Cost]:
    command = [sys.executable, "-m", "benchmarks.pipeline", str(people)]
    done = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return {name: Cost(**told) for name, told in json.loads(done.stdout).items()}
