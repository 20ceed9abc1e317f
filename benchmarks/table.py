"""Runs the three ways one after the other and prints a table with the goals."""

import os

from benchmarks import bare, pipeline, plain
from benchmarks.timing import Step


def fill_and_print(*, people: int, plain_people: int) -> None:
    ours = pipeline.run(people)
    copied, updated = bare.run()
    sent, received = plain.run(plain_people, pipeline.TEXT)
    bare_both = together(copied, updated)
    both = together(ours.prepare, ours.hand_over)

    print(f"\n{people} recipients through the SMSC emulator; the plain way {plain_people}\n")
    print(f"{'':44}{'messages/s':>12}{'a CPU s':>10}{'peak MB':>10}{'grown MB':>10}")
    for name, step in (
        ("prepare", ours.prepare),
        ("hand over", ours.hand_over),
        ("prepare and hand over", both),
        ("process receipts", ours.process),
        ("plain: row, task and request for each", sent),
        ("plain: receipts, get and save", received),
        ("bare: COPY", copied),
        ("bare: UPDATE", updated),
        ("bare: COPY and UPDATE", bare_both),
    ):
        waited = step.cpu < step.seconds / 20  # it waited for the database all the time
        of_cpu = "-" if waited else f"{step.rate_of_cpu:,.0f}"
        print(f"{name:44}{step.rate:12,.0f}{of_cpu:>10}{step.peak:10.0f}{step.grown:10.0f}")
    print("\na CPU s: messages for each second of this process's CPU; it has no part in what")
    print("PostgreSQL, the emulator and the plain way's worker do in theirs. Load on the machine:")
    print(f"{os.getloadavg()[0]:.1f} over {os.cpu_count()} cores (ours included).")
    print(f"\n{'ratio':44}{'here':>12}{'goal':>10}")
    compare("G1  prepare and hand over / plain", both.rate / sent.rate, 100)
    compare("G2  prepare and hand over / bare", both.rate / bare_both.rate, 0.5)
    compare("G6  prepare / bare COPY", ours.prepare.rate / copied.rate, 0.45)
    compare("G8  process receipts / plain", ours.process.rate / received.rate, 50)
    print(f"{'G7  memory grown while preparing, MB':44}{ours.prepare.grown:12.0f}{'<= 64':>10}")


def together(first: Step, second: Step) -> Step:
    """Add up two steps for the same messages."""
    return Step(
        first.messages,
        first.seconds + second.seconds,
        first.cpu + second.cpu,
        max(first.peak, second.peak),
        first.grown + second.grown,
    )


def compare(name: str, ratio: float, goal: float) -> None:
    print(f"{name:44}{ratio:12.2f}{f'>= {goal:g}':>10}")
