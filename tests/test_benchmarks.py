"""The benchmark measures what its page says: each goal has a function, the SMS service of the benchmark understands
our requests, and what fails is shown.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from benchmarks import results
from benchmarks.cost import cpu_of
from benchmarks.goals import GOALS, Goal
from benchmarks.processes import Service, ended, service
from integrations.providers.contract import Credentials, Outcome, Sms
from integrations.providers.smsc.service import Smsc
from smsmail.uptime import clock

HERE = Path(results.__file__).parent
HOW = (HERE / "README.md").read_text().partition("## How each is measured")[2]


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.name)
def test_every_goal_has_a_function_and_a_place_on_the_page(goal: Goal) -> None:
    module, _, function = goal.function.partition(".")
    tree = ast.parse((HERE / f"{module}.py").read_text())
    assert function in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    paragraph = HOW.partition(f"**{goal.part}** (")[2].partition("\n**")[0]
    assert goal.name.partition(" ")[0] in paragraph


def test_no_two_goals_have_one_name() -> None:
    names = [goal.name for goal in GOALS]
    assert len(names) == len(set(names))


@pytest.fixture
def sms_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service() as running:
        urls = django_settings.PROVIDER_URLS | {"smsc": running.url}
        monkeypatch.setattr(django_settings, "PROVIDER_URLS", urls)
        yield running


def test_its_service_takes_each_message_of_a_batch_once(sms_service: Service) -> None:
    texts = ["Hello", "Phones: +79980000009:no\n+79980000008:neither", "Скидка 5 % & more = yes"]
    messages = [
        Sms(key=number, phone=f"+7998000000{number}", text=text)
        for number, text in enumerate(texts)
    ]
    provider = Smsc(Credentials(values={"login": "school", "password": "made-up"}))
    results = provider.send("a-reference", messages, clock() + 30)
    assert [result.outcome for result in results] == [Outcome.TAKEN] * 3
    assert [result.provider_id for result in results] == ["a-reference"] * 3
    assert sms_service.told()["messages"] == 3
    journal = sms_service.journal.read_text()
    assert journal.count("\n") == 1
    assert "Hello" in journal


def test_a_goal_that_fails_is_shown_and_not_met() -> None:
    goal = GOALS[0]
    failed = results.result(goal, {"name": goal.name, "error": "OSError: no", "seconds": 1})
    assert (failed["value"], failed["met"], failed["error"]) == (None, False, "OSError: no")
    assert results.result(goal, None)["error"]
    told = {"name": goal.name, "value": goal.goal, "beside": {}, "seconds": 1}
    assert results.result(goal, told)["met"] is True


def test_the_cpu_of_a_process_includes_its_ended_children() -> None:
    spin = "import time\nwhile time.process_time() < 1: pass"
    program = (
        "import subprocess, sys, time\n"
        f"subprocess.run([sys.executable, '-c', {spin!r}])\n"
        "print('done', flush=True)\ntime.sleep(60)"
    )
    command = [sys.executable, "-c", program]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        assert cpu_of(process.pid) >= 1
