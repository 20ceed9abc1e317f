"""The pace of an account holds in any second, not only on average, over all workers.

Source: chaos run of smsmail: 8 workers at 50 messages a second kept to the mean, with 99
in the worst sliding second. The judge is the emulator's journal.
"""

from pathlib import Path

import pytest

from integrations.models import Account
from integrations.routing import rate_limit
from mailings.sending import prepare
from tests import factories
from tests.crash.stage import Stage
from tests.emulators import journal
from tests.processes import wait_until

PACE = 40


def worst_second(arrivals: list[tuple[float, int]]) -> int:
    """The most messages that came within less than a second, wherever it begins."""
    arrivals = sorted(arrivals)
    return max(
        sum(size for at, size in arrivals if begin <= at < begin + 1) for begin, _ in arrivals
    )


@pytest.mark.parametrize("service", ["smsc", "twilio"])
def test_no_second_holds_more_than_the_pace(tmp_path: Path, service: str) -> None:
    with Stage(tmp_path, people=300, batch=100, service=service) as stage:
        stage.environment["CRASH_PACE"] = str(PACE)
        stage.emulate(silent=True)
        stage.launch()
        for _ in range(3):
            stage.worker()
        everybody = len(stage.expected())
        wait_until(lambda: sum(stage.taken().values()) >= everybody, 60, "all of them")
        stage.assert_each_once()
        entries = journal.read(stage.journal)
        arrivals = [(entry["at"], len(entry.get("messages", [1]))) for entry in entries]
        # A batch that a busy machine lets leave late may come into the second of the one that is due then:
        # one batch more than the pace, a quarter of it, and no second one. It was the pace twice.
        assert worst_second(arrivals) <= PACE + PACE // 4


@pytest.mark.parametrize("pace", [1, 2, 3, 4, 5, 7, 10, 12, 20, 30, 33, 50, 99, 300, 1000])
def test_as_planned_no_second_holds_more(pace: int) -> None:
    """Batches of the size that a pace makes, each as soon as the one before allows; no machine is late."""
    account = Account(provider="smsc", per_second=pace)
    size = min(500, max(1, pace // 4))
    pause = rate_limit.seconds_of(account, size).total_seconds()
    at = [number * pause for number in range(200)]
    assert worst_second([(each, size) for each in at]) <= pace
    # Even if one of them leaves late, by a little, and the others do not.
    late = [
        each + (rate_limit.SPREAD - 0.01 if number % 5 == 1 else 0)
        for number, each in enumerate(at)
    ]
    assert worst_second([(each, size) for each in late]) <= pace
    # It is used up to the full, less the spread, and less what is no whole batch.
    assert size / pause >= pace / (1 + rate_limit.SPREAD) * 0.7


@pytest.mark.django_db
@pytest.mark.parametrize("pace", [1, 3, 50, 2000])
def test_batches_of_one_request_a_message_leave_at_once(pace: int) -> None:
    """Of a batch of more than leave at once, the last would leave into somebody else's second."""
    factories.twilio(per_second=pace)
    assert prepare.batch_size() == min(20, max(1, pace // 4))


@pytest.mark.django_db
def test_without_a_pace_batches_are_as_large_as_the_service_takes_them() -> None:
    factories.twilio()
    assert prepare.batch_size() == 200
