"""The same between real processes: the page is one, workers are two others, the service a fourth.

Source: as in test_ban_in_flight.py. The judge is the journal on the emulator's disk.
"""

import re
import time
from pathlib import Path

import requests

from tests import factories
from tests.crash.stage import Stage
from tests.emulators import journal
from tests.processes import wait_until

# Twenty at once, three waves in a batch, each answered after half a second.
SLOW = {"share": 1.0, "among": ["slow-after"], "slow": 0.5}


class Browser:
    """Somebody who is signed in at the stage's web server."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.session = requests.Session()
        self.post("/sign-in/", username="olga@example.com", password=factories.PASSWORD)

    def post(self, path: str, **fields: str) -> requests.Response:
        page = self.session.get(f"{self.address}/sign-in/" if not self.signed_in else self.address)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        answer = self.session.post(
            f"{self.address}{path}", data={"csrfmiddlewaretoken": token[1], **fields}, timeout=30
        )
        assert answer.status_code == 200
        return answer

    @property
    def signed_in(self) -> bool:
        return "sessionid" in self.session.cookies


def came(stage: Stage) -> dict[str, float]:
    return {entry["to"]: entry["at"] for entry in journal.read(stage.journal)}


def test_what_a_page_confirms_holds_for_the_workers_of_other_processes(tmp_path: Path) -> None:
    with Stage(tmp_path, people=240, batch=60, service="twilio") as stage:
        stage.emulate(plan=SLOW)
        stage.launch()
        stage.serve()
        browser = Browser(stage.environment["PUBLIC_URL"])
        for _ in range(2):
            stage.worker()
        wait_until(lambda: len(came(stage)) > 25, 60, "the first batches")
        # Those last prepared are last in their batches; five of them, one after the other.
        banned: dict[str, float] = {}
        for number in (59, 58, 119, 118, 239):
            browser.post(f"/people/{number + 1}/forbid/")
            banned[f"+7998{number:07}"] = time.time()
        browser.post("/mailings/1/pause/")
        paused = time.time()
        time.sleep(2)  # batches in the air come down
        when = came(stage)
        assert [phone for phone, at in banned.items() if when.get(phone, 0) > at] == []
        assert [phone for phone, at in when.items() if at > paused] == []
        assert banned.keys() - when.keys(), "all of them had gone before anything was tried"
        assert len(when) < 230, "it was over before anything was tried"
        browser.post("/mailings/1/resume/")
        standing = stage.wait_for_end(90)
        stage.assert_none_twice()
        stage.assert_balanced(standing)
        never = {phone.removeprefix("+") for phone in banned.keys() - when.keys()}
        assert stage.expected() - stage.taken().keys() == never
