"""Goal of memory: the most that any process holds while a mailing goes from its launch to its last receipt through
the real programs, the embedded worker and the web server.
"""

import time
from urllib.parse import urlsplit
from urllib.request import urlopen

from django.conf import settings

from benchmarks import pipeline, rows
from benchmarks.cost import largest
from benchmarks.goals import Measured
from benchmarks.options import size
from benchmarks.processes import embedded_worker, web_server
from integrations.models import Receipt
from mailings.models import Counters, Mailing

LOOK = 0.5  # seconds between two looks
PATIENCE = 3600


def peak() -> Measured:
    people = size(20_000, 1_000_000)
    rows.school(people)
    mailing = rows.draft("Benchmark")
    port = urlsplit(settings.PUBLIC_URL).port or 0
    with embedded_worker() as (worker,), web_server(port) as web:
        for _ in range(200):
            with urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=30) as answer:
                answer.read()
        pipeline.launch(mailing)
        _wait_until(mailing, "accepted", people)
        with pipeline.callbacks(mailing) as bodies:
            pipeline.store_receipts(Receipt._meta.db_table, bodies)
        _wait_until(mailing, "delivered", people)
        held = {"MB worker": largest(worker), "MB web server": largest(web)}
    return Measured(max(held.values()), dict(held))


def _wait_until(mailing: Mailing, status: str, people: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        counters = Counters.objects.filter(mailing=mailing).first()
        if counters and counters.of(status) == people:
            return
        if time.monotonic() > end:
            raise RuntimeError(f"the mailing does not become {status}")
        time.sleep(LOOK)
