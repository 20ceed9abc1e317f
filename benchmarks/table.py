"""Runs the three ways one after the other and prints them as a table, beside the goals."""

from django.core.management import call_command

from . import bare, pipeline, plain
from .timing import Step


def fill_and_print(*, people: int, plain_people: int) -> None:
    call_command("migrate", verbosity=0, skip_checks=True)
    ours = pipeline.run(people)
    copied, updated = bare.run()
    sent, received = plain.run(plain_people, pipeline.TEXT)
    bare_both = together(copied, updated)
    both = together(ours.prepare, ours.hand_over)

    print(f"\n{people} recipients through the SMSC emulator; the plain way {plain_people}\n")
    print(f"{'':44}{'messages/s':>12}{'peak MB':>10}{'grown MB':>10}")
    for name, step in (
        ("prepare", ours.prepare),
        ("hand over", ours.hand_over),
        ("prepare and hand over", both),
        ("fold receipts", ours.fold),
        ("plain: row, task and request for each", sent),
        ("plain: receipts, get and save", received),
        ("bare: COPY", copied),
        ("bare: UPDATE", updated),
        ("bare: COPY and UPDATE", bare_both),
    ):
        memory = f"{step.peak:10.0f}{step.grown:10.0f}" if step.peak else ""
        print(f"{name:44}{step.rate:12,.0f}{memory}")
    print(f"\n{'ratio':44}{'here':>12}{'goal':>10}")
    compare("G1  prepare and hand over / plain", both.rate / sent.rate, 100)
    compare("G2  prepare and hand over / bare", both.rate / bare_both.rate, 0.5)
    compare("G6  prepare / bare COPY", ours.prepare.rate / copied.rate, 0.45)
    compare("G8  fold receipts / plain", ours.fold.rate / received.rate, 50)
    print(f"{'G7  memory grown while preparing, MB':44}{ours.prepare.grown:12.0f}{'<= 64':>10}")


def together(first: Step, second: Step) -> Step:
    """Both steps for the same messages."""
    return Step(
        first.messages,
        first.seconds + second.seconds,
        max(first.peak, second.peak),
        first.grown + second.grown,
    )


def compare(name: str, ratio: float, goal: float) -> None:
    print(f"{name:44}{ratio:12.2f}{f'>= {goal:g}':>10}")
