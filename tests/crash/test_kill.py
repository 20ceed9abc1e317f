"""kill -9 at every named point and at random, against the real modules and the SMSC emulator: its
journal must name everybody exactly once, and the counters must equal the rows.
"""

import subprocess
from pathlib import Path

import pytest

from tests.crash.stage import Stage, kill

# Whoever comes to a point dies there, and whoever works in between may take over what the dead have
# left. So those who die with a batch in hand come before the one who takes a batch over, the one whose batch
# the provider never had the last of them, and then those who ask about it.
POINTS = (
    "mailings.sending.ledger:enter:after",  # a chunk written, not committed
    "mailings.sending.prepare:prepare_some:fruitful",  # committed
    "mailings.sending.claim:_fit_messages:fruitful",  # a batch claimed, not committed
    "integrations.providers.smsc.service:Smsc.send:after",  # the provider has it, nobody knows
    "mailings.sending.record:record:before",
    "mailings.sending.ledger:move:fruitful",  # an answer written down, not committed
    "mailings.sending.claim:claim:fruitful",  # committed, nothing sent
    "integrations.providers.smsc.service:Smsc.send:before",
    "mailings.sending.worker:recover_due:fruitful",  # a dead worker's batch taken over
    "mailings.sending.reconciliation:_take:fruitful",  # about to ask the provider
    "mailings.sending.reconciliation:_ask:fruitful",  # the provider has told
    "mailings.sending.reconciliation:_conclude:before",
    "mailings.sending.record:send_again:after",  # what the provider never had, not committed
    "mailings.sending.record:_judge_account:before",  # committed
    "mailings.sending.receipts:apply:after",  # receipts processed, not committed
    "mailings.sending.receipts:process_due:after",  # committed
    "mailings.lifecycle.transitions:settle_due:after",
)


def test_killed_at_every_point_nobody_gets_it_twice_and_nobody_is_missed(tmp_path: Path) -> None:
    with Stage(tmp_path, people=700, batch=20) as stage:
        stage.emulate()
        stage.launch()
        stage.serve()
        for point in POINTS:
            try:
                stage.worker(point).wait(40)
            except subprocess.TimeoutExpired:
                pytest.fail(f"nobody came to {point}")
        standing = stage.finish()
        stage.assert_each_once()
        stage.assert_balanced(standing)


MISBEHAVIOUR = [
    *("unread", "cut", "cut-after", "reset-after", "half-after", "garbage-after"),
    *("hang", "hang-after", "slow-after", "500-after", "503", "429"),
]


@pytest.mark.parametrize(
    "service",
    [
        pytest.param("smsc", marks=pytest.mark.only_postgresql),
        pytest.param("twilio", marks=pytest.mark.slow),
    ],
)
def test_workers_killed_at_random_while_the_service_misbehaves(
    tmp_path: Path, service: str
) -> None:
    with Stage(tmp_path, people=900, batch=20, service=service) as stage:
        stage.emulate(plan={"share": 0.1, "among": MISBEHAVIOUR})
        stage.launch()
        stage.serve()
        killed = stage.kill_at_random(workers=3, seconds=12, seed=7)
        if stage.web is not None:
            kill(stage.web)  # the receipt webhook too; the service tries again
        stage.serve()
        assert killed > 10
        standing = stage.finish(90)
        stage.assert_each_once()
        stage.assert_balanced(standing)


@pytest.mark.slow
def test_where_nobody_can_be_asked_unknown_messages_wait_for_a_person(tmp_path: Path) -> None:
    with Stage(tmp_path, people=800, batch=20, service="seventech") as stage:
        stage.emulate(plan={"share": 0.1, "among": MISBEHAVIOUR})
        stage.launch()
        stage.serve()
        stage.kill_at_random(workers=2, seconds=8, seed=7)
        stage.worker()
        standing = stage.wait_until_only_unknown(60)
        assert standing["state"] == "settling"
        assert standing["rows"]["unknown"] > 0
        stage.close_unknown()
        standing = stage.wait_for_end(20)
        stage.assert_none_twice()
        stage.assert_balanced(standing)
        missed = stage.expected() - stage.taken().keys()
        assert len(missed) <= standing["rows"]["no_receipt"]
