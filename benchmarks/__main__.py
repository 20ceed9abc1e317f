"""`python -m benchmarks` measures the goals of speed, prints them, and writes results.json and the table of
README.md. Each part is a process of its own with a new database on a PostgreSQL of our own, so that what one does
neither warms nor spoils another, and a part that fails does not stop the others.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from cryptography.fernet import Fernet

from benchmarks import results
from benchmarks.cluster import Cluster, NoPostgresql, cluster
from benchmarks.goals import GOALS, Goal
from benchmarks.processes import free_port, service

ROOT = Path(__file__).parent.parent
PARTS = tuple(dict.fromkeys(goal.part for goal in GOALS))
PATIENCE = {False: 1200, True: 3 * 3600}  # seconds for one part: of a quick run, of a full one


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=", description="smsmail's speed, as ratios inside one run"
    )
    parser.add_argument("what", nargs="*", help=f"full, or parts: {', '.join(PARTS)}")
    parser.add_argument(
        "--people",
        type=int,
        help="how many, instead of the usual number; nothing is written down then",
    )
    given = parser.parse_args()
    if unknown := set(given.what) - {*PARTS, "full"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; parts: {', '.join(PARTS)}")
    # Also then, what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    full = "full" in given.what
    named = [part for part in PARTS if part in given.what]
    wanted = chosen(named, full=full, sized=bool(given.people))
    try:
        lines = run(wanted, full=full, people=given.people)
    except NoPostgresql:
        print("PostgreSQL's programs are not here. Debian, Ubuntu: apt install postgresql")
        return 2
    if given.people:
        print("\nNot written down: another size than usual.")
    asked = [goal for goal in GOALS if goal.part in (named or PARTS)]
    results.show(lines, [goal for goal in asked if goal not in wanted])
    print(f"\nLoad on the machine: {os.getloadavg()[0]:.1f} over {os.cpu_count()} cores.")
    return 0


def chosen(named: Sequence[str], *, full: bool, sized: bool) -> list[Goal]:
    """Return the goals to measure. What needs millions is measured in a full run, or if its part is named
    with a size.
    """
    goals = [goal for goal in GOALS if goal.part in (named or PARTS)]
    if full:
        return goals
    if named:
        return [goal for goal in goals if sized or not goal.full]
    return [goal for goal in goals if not (goal.full or goal.asked)]


def run(wanted: Sequence[Goal], *, full: bool, people: int | None) -> list[results.Result]:
    lines = []
    with cluster() as server:
        for part in dict.fromkeys(goal.part for goal in wanted):
            print(f"\n=== {part}", flush=True)
            goals = [goal for goal in wanted if goal.part == part]
            lines += measure(server, part, goals, full=full, people=people)
            if not people:
                results.keep(lines)  # now, because a full run takes long and may be stopped
    return lines


def measure(
    server: Cluster, part: str, goals: Sequence[Goal], *, full: bool, people: int | None
) -> list[results.Result]:
    began, load = time.monotonic(), os.getloadavg()[0]
    command = [sys.executable, "-m", "benchmarks.part", part]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(server.database(f"bench_{part}"))
        sms = stack.enter_context(service())
        command += ["--found", str(folder / "found")]
        command += ["--full"] if any(goal.full for goal in goals) else []
        environment = _settings(folder) | {
            "DATABASE_URL": address,
            "SMSC_URL": sms.url,
            "PUBLIC_URL": f"http://127.0.0.1:{free_port()}",  # the web server's, if a part starts it
            "BENCH_JOURNAL": str(sms.journal),
            "BENCH_POSTMASTER": str(server.postmaster),
            "BENCH_FULL": "1" if full else "",
            "BENCH_PEOPLE": str(people or ""),
        }
        ended = _call(command, environment, PATIENCE[full or bool(people)])
        found = _found(folder / "found")
    print(f"    {part}: {time.monotonic() - began:.0f} s{ended}", flush=True)
    about = {
        "run": "full" if full else "quick",
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "load": round(load, 1),
        "cores": os.cpu_count(),
    }
    return [results.result(goal, found.get(goal.name), **about) for goal in goals]


def _call(command: Sequence[str], environment: dict[str, str], patience: float) -> str:
    """Run it in a process group of its own, of which nothing is left; return how it ended, if not well."""
    process = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT, process_group=0)
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        return f", given up after {patience} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f", ended with {code}" if code else ""


def _settings(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of the caller's shell or .env is used."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    names = [line.partition("=")[0] for line in lines if line[:1].isupper()]
    empty = dict.fromkeys(names, "") | {f"{name}_FILE": "" for name in names}
    return empty | {
        "DATA_DIR": str(folder),
        "SECRET_KEY": f"a-made-up-key-of-this-run-{Fernet.generate_key().decode()}",
        "FIELD_KEYS": Fernet.generate_key().decode(),
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        "PYTHONWARNINGS": "ignore",
    }


def _found(file: Path) -> dict[str, results.Result]:
    lines = file.read_text().splitlines() if file.exists() else []
    return {told["name"]: told for told in map(json.loads, lines)}


if __name__ == "__main__":
    sys.exit(main())
