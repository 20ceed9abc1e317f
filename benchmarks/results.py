"""What was measured: results.json, the printed summary, and the table in README.md."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.goals import GOALS, Goal

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
README = HERE / "README.md"
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->"
FULL_ONLY = "full run only"

Result = dict[str, Any]


def result(goal: Goal, told: Result | None, **about: object) -> Result:
    """Return the line of results.json for what a part told; None if it did not come to this goal."""
    line: Result = {"name": goal.name, "words": goal.words, "value": None, "goal": goal.wanted}
    line |= {"met": False, "unit": goal.unit}
    if told is None:
        line["error"] = "the part ended before it"
    elif "error" in told:
        line["error"] = told["error"]
    else:
        value = float(told["value"])
        line |= {"value": _rounded(value), "met": goal.is_met(value)}
        line["beside"] = {
            words: _rounded(each) if isinstance(each, float | int) else each
            for words, each in told["beside"].items()
        }
    if told:
        line["seconds"] = told["seconds"]
    return line | about


def keep(lines: Sequence[Result]) -> None:
    """Put these results in the place of earlier ones of the same goals."""
    known = {line["name"]: line for line in json.loads(RESULTS.read_text())} if _there() else {}
    known |= {line["name"]: line for line in lines}
    kept = [known[goal.name] for goal in GOALS if goal.name in known]
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    _write_table(known)


def show(lines: Sequence[Result], left_out: Sequence[Goal]) -> None:
    """Print one line for each goal."""
    print(f"\n{'goal':13}{'':76}{'value':>10}{'goal':>13}  met")
    found = {line["name"]: line for line in lines}
    for goal in GOALS:
        line = found.get(goal.name)
        if line is None:
            if goal in left_out:
                why = FULL_ONLY if goal.full else f"not measured: ARGS={goal.part} or full"
                print(f"{goal.name:13}{goal.words:76}{'':10}{goal.wanted:>13}  {why}")
            continue
        value = "failed" if line["value"] is None else f"{line['value']:,g}"
        met = "yes" if line["met"] else "NO"
        print(f"{goal.name:13}{goal.words:76}{value:>10}{goal.wanted:>13}  {met}")
        if "error" in line:
            print(f"{'':13}{line['error']}")
        elif line["beside"]:
            told = ", ".join(f"{words} {_shown(each)}" for words, each in line["beside"].items())
            print(f"{'':13}{told}")


def _there() -> bool:
    return RESULTS.exists() and bool(RESULTS.read_text().strip())


def _write_table(known: dict[str, Result]) -> None:
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + "\n".join(_table(known)) + "\n" + END + after)


def _table(known: dict[str, Result]) -> list[str]:
    lines = ["", "| | what | goal | value | met | run | why |", "|---|---|---|---:|---|---|---|"]
    for goal in GOALS:
        line = known.get(goal.name, {})
        value = line.get("value")
        told = "not measured" if value is None else f"{value:,g} {goal.unit}".strip()
        if "error" in line:
            told = "failed"
        met = {True: "yes", False: "**no**"}.get(line.get("met", ""), "")
        run = f"{line['run']}, load {line['load']}" if line else ""
        lines.append(
            f"| {goal.name} | {goal.words} | {goal.wanted} | {told} | {met} | {run} | {goal.why} |"
        )
    return [*lines, ""]


def _rounded(value: float) -> float:
    """Three significant digits: the others are noise."""
    return float(f"{value:.3g}") if abs(value) < 1000 else round(float(value))


def _shown(each: object) -> str:
    return f"{each:,g}" if isinstance(each, float | int) else str(each)
