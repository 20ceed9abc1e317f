"""What the books do not show, in the middle of a mailing by real processes: another login entered, books longer
than one look, two mailings with one text. No receipts come: only the look-ups tell.
"""

from pathlib import Path

import pytest

from tests.crash.stage import Stage
from tests.processes import wait_until

LOST = ["unread", "cut-after", "cut", "hang-after", "500-after"]


@pytest.mark.slow
def test_another_login_is_entered_midway(tmp_path: Path) -> None:
    with Stage(tmp_path, people=300, batch=10) as stage:
        stage.emulate(plan={"share": 0.3, "among": LOST}, silent=True)
        stage.launch()
        stage.worker()
        wait_until(lambda: sum(stage.taken().values()) > 90, 60, "the first batches")
        stage.change_login("other")
        standing = stage.finish(150)
        stage.assert_each_once()
        stage.assert_balanced(standing)


@pytest.mark.slow
def test_books_longer_than_one_look(tmp_path: Path) -> None:
    with Stage(tmp_path, people=500, batch=10) as stage:
        stage.environment |= {"CRASH_PAGE": "5", "CRASH_PAGES": "10"}
        lost = ["unread", "cut-after", "", "unread"]
        stage.emulate(plan={"next": lost}, silent=True)
        stage.launch()
        standing = stage.finish(150)
        stage.assert_each_once()
        stage.assert_balanced(standing)


@pytest.mark.slow
def test_two_mailings_with_one_text(tmp_path: Path) -> None:
    """Of what may be either's, nothing is said to have gone, and nothing goes again by itself."""
    with Stage(tmp_path, people=100, batch=10, service="twilio") as stage:
        stage.emulate(plan={"share": 0.2, "among": LOST}, silent=True)
        stage.launch_twins()
        stage.worker()
        standing = stage.wait_until_only_unknown(90)
        taken, declared = stage.taken(), stage.declared()
        assert max(taken.values()) == 2
        wrong = {phone for phone, count in declared.items() if count > taken[phone]}
        assert not wrong
        missed = {phone for phone in stage.expected() if taken[phone] < 2}
        assert len(missed) <= standing["rows"].get("unknown", 0)
