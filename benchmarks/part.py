"""A program: measures the goals of one part in this process, with a database of its own, and writes what it found
as lines of JSON. A goal that fails is written down with its error, and the others go on.
"""

import argparse
import json
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from benchmarks.goals import GOALS


def main() -> None:
    parser = argparse.ArgumentParser(description="One part of the benchmark")
    parser.add_argument("part")
    parser.add_argument("--found", type=Path, required=True, help="the file to write")
    parser.add_argument("--full", action="store_true", help="also what needs millions")
    given = parser.parse_args()

    import django
    from django.core.management import call_command

    django.setup()
    from smsmail.jobs import collector

    collector.tune()  # as every worker does
    call_command("migrate", verbosity=0, skip_checks=True)
    with given.found.open("a") as found:
        for goal in GOALS:
            if goal.part != given.part or (goal.full and not given.full):
                continue
            began = time.monotonic()
            told: dict[str, object] = {"name": goal.name}
            try:
                told |= asdict(goal.measure())
            except Exception as error:  # noqa: BLE001 - shown, and the other goals are measured
                traceback.print_exc()
                told |= {"error": f"{type(error).__name__}: {error}"[:300]}
            told["seconds"] = round(time.monotonic() - began, 1)
            found.write(json.dumps(told) + "\n")
            found.flush()


if __name__ == "__main__":
    main()
