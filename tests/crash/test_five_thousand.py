"""A mailing of 5,000 through each emulated service to its end, with lots as large as it takes them.
One request in ten going wrong, in every way at once, is in test_kill.py.
"""

from pathlib import Path

import pytest

from integrations.providers import provider_class
from tests.crash.stage import Stage

pytestmark = pytest.mark.slow
PEOPLE = 5000


@pytest.mark.parametrize("service", ["smsc", "twilio", "seventech"])
def test_everybody_gets_it_once(tmp_path: Path, service: str) -> None:
    lot = provider_class(service).lot
    with Stage(tmp_path, people=PEOPLE, lot=lot, service=service) as stage:
        # Receipts of 5,000 take their time; phones on 06 never get one.
        stage.environment["RECEIPT_WAIT"] = "25"
        stage.emulate(steps=False)
        stage.launch()
        stage.serve()
        standing = stage.finish(90)
        stage.assert_each_once()
        stage.assert_balanced(standing)
        assert standing["rows"]["delivered"] > PEOPLE * 0.9
