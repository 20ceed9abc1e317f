"""kill -9 for whoever counts clicks, at every named point, and for the web server while people click:
what was answered is written down, and what is written down is counted once.
"""

import http.client
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mailings.text import tokens
from mailings.text.tokens import Purpose
from tests.crash.stage import Stage, kill
from tests.mailings.tracking.test_classify import PEOPLE

PHONE = {"User-Agent": PEOPLE[0], "Accept-Language": "ru"}
POINTS = (
    "mailings.sending.bulk:set_first_clicks:after",  # messages are marked
    "mailings.sending.ledger:count_clicks:after",  # and the mailing's figures
    "mailings.tracking.aggregate:_process:after",  # all of the batch, not committed
    "mailings.tracking.aggregate:aggregate_due:after",  # committed
)


@pytest.mark.only_postgresql
def test_no_click_is_lost_or_counted_twice(tmp_path: Path) -> None:
    with Stage(tmp_path, people=60, batch=20) as stage:
        stage.emulate()
        stage.launch()
        stage.serve()
        worker = stage.worker()
        first, last = stage.wait_for_end(60)["messages"]
        kill(worker)
        people = People(stage, first, last)
        for point in POINTS:
            people.click(40)
            try:
                stage.worker(point).wait(40)
            except subprocess.TimeoutExpired:
                pytest.fail(f"nobody came to {point}")
            assert stage.look()["differences"] == 0
        for _ in range(3):
            clicking = threading.Thread(target=people.click, args=(60,))
            clicking.start()
            time.sleep(0.1)
            assert stage.web is not None
            kill(stage.web)
            clicking.join()
            stage.serve()
        people.click(15)
        stage.worker()
        standing = counted(stage)
        assert people.answered > 175
        assert standing["clicks"]["rows"] == standing["clicks"]["counted"]
        assert 0 <= standing["clicks"]["rows"] - people.answered <= people.unsure
        assert standing["differences"] == 0


class People:
    """They click on links of the mailing, and know which clicks were answered."""

    def __init__(self, stage: Stage, first: int, last: int) -> None:
        self.stage = stage
        self.messages = (first, last)
        self.dice = random.Random(3)
        self.answered = 0
        self.unsure = 0  # the server died meanwhile

    def click(self, times: int) -> None:
        for _ in range(times):
            token = tokens.make(self.dice.randint(*self.messages), 0, Purpose.CLICK)
            web = http.client.HTTPConnection("127.0.0.1", self.stage.web_port, timeout=10)
            try:
                web.request("GET", f"/r/{token}", headers=PHONE)
                answer = web.getresponse()
            except (OSError, http.client.HTTPException):
                self.unsure += 1
            else:
                assert (answer.status, answer.headers["Location"]) == (302, "https://school.ru/")
                self.answered += 1
            finally:
                web.close()


def counted(stage: Stage) -> dict[str, Any]:
    end = time.monotonic() + 40
    while (standing := stage.look())["clicks"]["unfolded"]:
        assert time.monotonic() < end, standing
        time.sleep(0.5)
    return standing
