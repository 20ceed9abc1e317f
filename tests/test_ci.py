"""The stages of .ci/run are those that the workflow calls, and a word that is none fails with their list."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
NIGHTLY = {"crash", "coverage"}
STAGES = {"lint", "sqlite", "postgresql", "browser", "all"} | NIGHTLY


def workflow() -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())[
        "jobs"
    ]
    return jobs


@pytest.mark.parametrize("words", [["nonsense"], ["first_start"], ["lint", "sqlite"], [""]])
def test_what_is_no_stage_fails_with_the_list(words: list[str]) -> None:
    ended = subprocess.run(
        [ROOT / ".ci" / "run", *words], capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2
    assert set(ended.stderr.rpartition(":")[2].split()) == STAGES


def test_each_stage_has_its_function() -> None:
    functions = set(
        re.findall(r"^stage_(\w+)\(\)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    )
    assert functions >= STAGES


def test_the_workflow_runs_every_stage() -> None:
    called = {each["stage"] for each in workflow()["check"]["strategy"]["matrix"]["include"]}
    assert called == STAGES - NIGHTLY - {"all"}
    assert set(workflow()["nightly"]["strategy"]["matrix"]["stage"]) == NIGHTLY


def test_pre_commit_runs_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    programs = re.findall(r"@(\.venv/bin/[\w-]+)", lint)
    assert [hook["entry"].split()[0] for hook in hooks if hook["id"] != "node"] == programs
