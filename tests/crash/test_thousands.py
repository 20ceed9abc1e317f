"""A mailing of thousands through each emulated service to its end, with batches as large as it takes
them. One request in ten going wrong, in every way at once, is in test_kill.py.
"""

from pathlib import Path

import pytest

from integrations.providers import provider_class
from tests.crash.stage import Stage

pytestmark = pytest.mark.slow
# 5,000 are several batches of SMSC; the others take one message a request, which costs much more time.
PEOPLE = {"smsc": 5000, "twilio": 2000, "seventech": 2000}


@pytest.mark.parametrize("service", PEOPLE)
def test_everybody_gets_it_once(tmp_path: Path, service: str) -> None:
    people = PEOPLE[service]
    batch = provider_class(service).batch
    with Stage(tmp_path, people=people, batch=batch, service=service) as stage:
        # Receipts of thousands take their time; phones on 06 never get one.
        stage.environment["RECEIPT_WAIT"] = "25"
        stage.emulate(steps=False)
        stage.launch()
        stage.serve()
        standing = stage.finish(90)
        stage.assert_each_once()
        stage.assert_balanced(standing)
        assert standing["rows"]["delivered"] > people * 0.9
