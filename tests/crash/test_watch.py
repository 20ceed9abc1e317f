"""kill -9 while a watching mailing takes people in: arrivals, messages, batches and counters are one."""

import subprocess
from pathlib import Path

import pytest

from tests.crash.stage import Stage
from tests.processes import wait_until

# In the order in which a look reaches them; chunk after chunk.
POINTS = (
    "mailings.lifecycle.on_entry:_begun:fruitful",  # the first look begun, nobody taken in
    "mailings.audience.audience:newcomers:fruitful",  # found, nothing written
    "mailings.audience.audience:still_new:fruitful",  # under the lock
    "mailings.sending.prepare:enter:before",  # arrivals written, no messages, not committed
    "mailings.sending.prepare:enter:after",  # messages too, not committed
    "mailings.lifecycle.on_entry:_take_in:fruitful",  # committed
)


@pytest.mark.only_postgresql
def test_killed_at_every_point_each_is_taken_in_once(tmp_path: Path) -> None:
    with Stage(tmp_path, people=400, batch=10) as stage:
        stage.emulate()
        stage.watch()
        stage.serve()
        for point in POINTS:
            try:
                stage.worker(point).wait(40)
            except subprocess.TimeoutExpired:
                pytest.fail(f"nobody came to {point}")
        stage.worker()
        wait_until(lambda: sum(stage.look()["rows"].values()) == stage.people + 1, 60)
        stage.stop_watching()
        standing = stage.wait_for_end(60)
        stage.assert_each_once()
        stage.assert_balanced(standing)
