"""Goals of notifications: how long one takes from its event to the SMS service while a large mailing runs, with real
worker processes. The journal of the service shows when each message arrived.
"""

import os
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from urllib.parse import parse_qs

from django.conf import settings

from benchmarks import rows
from benchmarks.cost import largest
from benchmarks.goals import Measured
from benchmarks.once import once
from benchmarks.options import FULL, size
from benchmarks.processes import celery_workers, embedded_worker, here, redis
from mailings.lifecycle import transitions
from mailings.models import Counters, Mailing, Message, Policy
from mailings.notifications import editing
from mailings.notifications.send import Became, raise_event

EVENTS = 100 if FULL else 20
GAP = 1.0 if FULL else 0.4  # at most so many seconds between two events
ANSWER = 0.3  # seconds that the service takes to answer
WARM_UP = 3
PATIENCE = 120.0

_dice, _numbers = random.Random(1), count(1)


def embedded() -> Measured:
    return _measured(embedded_worker)


def celery() -> Measured:
    with redis() as (broker, _):
        os.environ["REDIS_URL"] = settings.REDIS_URL = broker
        try:
            return _measured(celery_workers)
        finally:
            os.environ["REDIS_URL"] = settings.REDIS_URL = ""


def _measured(workers: Callable[[], AbstractContextManager[list[int]]]) -> Measured:
    people = _school()
    with workers() as pids:
        here().answer_after(ANSWER)
        for _ in range(WARM_UP):
            _arrivals({_raise(): time.time()})
        alone = [] if not FULL else _events()
        mailing = _launched()
        before, began = _gone(mailing), time.monotonic()
        taken = _events()
        rate = (_gone(mailing) - before) / (time.monotonic() - began)
        over = _is_over(mailing)
        if not over:
            transitions.cancel(mailing, rows.owner())
            _wait_until_written(mailing)
        slowest = _slowest(taken)
        held = max(map(largest, pids))
    seconds = [each for _, each in taken]
    beside: dict[str, float | str] = {
        "s p50": percentile(seconds, 50),
        "s most": max(seconds),
        "s until the slowest was claimed": slowest,
        "events": len(seconds),
        "mailing messages/s": rate,
        "recipients": people,
        "MB largest process": held,
    }
    if alone:
        beside["s p99 without a mailing"] = percentile([each for _, each in alone], 99)
    if over:
        beside["but"] = "the mailing was over before the last event"
    return Measured(percentile(seconds, 99), beside)


@once
def _school() -> int:
    people = size(50_000, 1_000_000)
    rows.school(people)
    Policy.objects.update_or_create(id=1, defaults={"countdown": 0})
    paid = Mailing(name="Paid", event="paid", text="Paid: {number}.", event_values=["number"])
    editing.add(paid, rows.owner())
    editing.switch(paid, rows.owner(), on=True)
    return people


def _launched() -> Mailing:
    """Return a mailing whose first batches have left while the others are still being prepared."""
    mailing = rows.draft("Benchmark")
    transitions.launch(mailing, by=rows.owner())
    until = time.monotonic() + PATIENCE
    while not _gone(mailing):
        if time.monotonic() > until:
            raise RuntimeError("the mailing does not start")
        time.sleep(0.1)
    return mailing


def _events() -> list[tuple[str, float]]:
    """Raise the events; return the text and the seconds of each notification."""
    raised: dict[str, float] = {}
    for _ in range(EVENTS):
        time.sleep(_dice.uniform(0, GAP))
        moment = time.time()
        raised[_raise()] = moment
    arrived = _arrivals(raised)
    return [(text, arrived[text] - at) for text, at in raised.items()]


def _raise() -> str:
    """Raise one event and return the text that identifies its message."""
    number = str(next(_numbers))
    raised = raise_event("paid", rows.owner(), key=number, values={"number": number})
    assert raised.became == Became.SENT, raised.words
    return f"Paid: {number}."


def _arrivals(raised: dict[str, float]) -> dict[str, float]:
    """Return when each notification arrived; each must arrive exactly once."""
    until = time.monotonic() + PATIENCE
    while True:
        found: dict[str, float] = {}
        for at, text in _notifications():
            if text in raised:
                assert text not in found, "twice"
                found[text] = at
        if len(found) == len(raised):
            return found
        if time.monotonic() > until:
            raise RuntimeError(f"{len(raised) - len(found)} notifications did not arrive")
        time.sleep(0.5)


def _notifications() -> list[tuple[float, str]]:
    """Return the time and text of each message that came alone."""
    here().told()  # now the journal is on disk
    found = []
    for line in here().journal.read_bytes().splitlines():
        if b"list=" in line:  # of larger batches the journal has only the phones
            at, _, body = line.decode().split("\t")
            found.append((float(at), parse_qs(body)["list"][0].partition(":")[2]))
    return found


def _slowest(taken: list[tuple[str, float]]) -> float:
    """Return how long the slowest one's batch took from the writing of its message to its claim."""
    text = max(taken, key=lambda each: each[1])[0]
    batch = Message.objects.get(text=text, mailing__event="paid").batch
    assert batch is not None
    assert batch.claimed_at is not None
    return (batch.claimed_at - batch.not_before).total_seconds()


def _gone(mailing: Mailing) -> int:
    return Counters.objects.get(mailing=mailing).gone


def _wait_until_written(mailing: Mailing) -> None:
    """A cancelled mailing is still prepared to its end; the next figure must not pay for it."""
    until = time.monotonic() + 10 * PATIENCE
    while Mailing.objects.filter(id=mailing.pk, prepared_at__isnull=True).exists():
        if time.monotonic() > until:
            raise RuntimeError("the cancelled mailing is not prepared to its end")
        time.sleep(0.5)


def _is_over(mailing: Mailing) -> bool:
    mailing.refresh_from_db()
    return not (Counters.objects.get(mailing=mailing).waiting or mailing.prepared_at is None)


def percentile(numbers: list[float], of: int) -> float:
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, round(len(ordered) * of / 100))]
