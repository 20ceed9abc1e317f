"""The order of the deadlines is refused at start when it does not hold."""

from itertools import pairwise
from typing import Any

import pytest

from mailings.checks import ORDER, lease_outlives_every_request


def test_the_defaults_are_in_order() -> None:
    assert lease_outlives_every_request() == []


@pytest.mark.parametrize(("longer", "shorter"), list(pairwise(ORDER)))
def test_each_deadline_must_be_longer_than_the_next(
    settings: Any, longer: str, shorter: str
) -> None:
    setattr(settings, longer, getattr(settings, shorter))
    found = lease_outlives_every_request()
    assert f"{longer} must be longer than {shorter}" in [problem.msg for problem in found]


def test_a_task_must_outlive_its_last_request(settings: Any) -> None:
    settings.TASK_LIMIT = settings.BATCH_DEADLINE + settings.READ_TIMEOUT
    assert [problem.id for problem in lease_outlives_every_request()] == ["mailings.E002"]
