"""A worker's clock is set wrong in the middle of a mailing and right again, in real processes.

Source: chaos run of smsmail (schedule 2): the worker's clock a day fast for 40 seconds, and
902 of 2,500 people waited until tomorrow; an hour fast, and they waited an hour. The judge is the journal
on the emulator's disk; "in time" is the time that the same mailing takes with right clocks, roughly.
"""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.crash.stage import Stage, kill
from tests.processes import wait_until

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RIGHT = timedelta()
TROUBLE = ["cut", "cut-after", "hang-after", "unread", "503"]


@pytest.mark.parametrize(
    ("service", "jump"),
    [
        pytest.param("smsc", DAY, marks=pytest.mark.slow),
        pytest.param("twilio", HOUR, marks=pytest.mark.slow),
        pytest.param("smsc", -DAY, marks=pytest.mark.slow),
    ],
)
def test_a_clock_that_jumps_and_comes_back_stops_nothing_and_doubles_nothing(
    tmp_path: Path, service: str, jump: timedelta
) -> None:
    with Stage(tmp_path, people=300, batch=20, service=service) as stage:
        stage.environment["CRASH_PACE"] = "50"  # or it would be over before anything happens
        stage.emulate(plan={"share": 0.05, "among": TROUBLE})
        stage.launch()
        stage.serve()
        stage.worker(clock="good")
        wrong = [stage.worker(clock="bad") for _ in range(2)]
        wait_until(lambda: sum(stage.taken().values()) > 40, 40, "the first batches")
        stage.set_clock("bad", jump)
        time.sleep(2)
        kill(wrong[0])  # with batches in hand that were claimed tomorrow
        time.sleep(2)
        assert sum(stage.taken().values()) < 270, "it was over before anything happened"
        stage.set_clock("bad", RIGHT)
        standing = stage.wait_for_end(60)
        stage.assert_each_once()
        stage.assert_balanced(standing)


@pytest.mark.slow
def test_all_clocks_of_the_machine_jump_and_come_back(tmp_path: Path) -> None:
    """Every worker has it, one is killed meanwhile, and another begins only afterwards."""
    with Stage(tmp_path, people=300, batch=20) as stage:
        stage.environment["CRASH_PACE"] = "50"
        stage.emulate(plan={"share": 0.05, "among": TROUBLE})
        stage.launch()
        stage.serve()
        crew = [stage.worker(clock="one") for _ in range(2)]
        wait_until(lambda: sum(stage.taken().values()) > 40, 40, "the first batches")
        stage.set_clock("one", DAY)
        time.sleep(4)
        for worker in crew:
            kill(worker)
        assert sum(stage.taken().values()) < 270, "it was over before anything happened"
        stage.set_clock("one", RIGHT)
        standing = stage.finish(60)
        stage.assert_each_once()
        stage.assert_balanced(standing)
