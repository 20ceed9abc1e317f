"""Goals of a service that takes one message a request, in Twilio's shape over TLS. one_by_one.py has the service;
the mailing takes the same way as in batch.py.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from benchmarks import pipeline, plain, rows
from benchmarks.cost import Cost, measured, show
from benchmarks.goals import Measured
from benchmarks.once import once
from benchmarks.options import FULL, size
from integrations.models import Account
from integrations.providers import burst
from integrations.routing import routing
from mailings.models import Message

LATENCY = 0.1  # seconds
PLAIN = 2_000 if FULL else 200  # messages that go the plain way


def cpu_of_message() -> Measured:
    _, handed = _at_once()
    return Measured(
        handed.ours_us,
        {"us PostgreSQL": handed.postgresql_us, "messages/s": handed.rate},
    )


def beside_plain() -> Measured:
    """Beside a task and a request with `requests` for each, over TLS too; receipts apart on both sides."""
    prepared, handed = _at_once()
    ours = prepared + handed
    with _service(0) as url:
        parts = urlsplit(url)
        os.environ["BENCH_TWILIO"] = f"{parts.scheme}://{parts.netloc}"
        os.environ["BENCH_CERTIFICATE"] = parts.fragment
        theirs, _ = plain.run(PLAIN, rows.TEXT)
    show("The plain way", [("row, task and request for each", theirs)])
    return Measured(
        theirs.us / ours.us,
        {"us ours": ours.us, "us plain": theirs.us, "by wall": ours.rate / theirs.rate},
    )


def at_latency() -> Measured:
    """In percent of connections / latency, by the wall."""
    _school()
    twilio = routing.provider_class("twilio")
    burst.forget()
    with _service(LATENCY):
        prepared, handed = _sent("after 100 ms")
    # Where an account has several places, the last one is kept free for a notification. A process makes no
    # more requests at once than its window has found.
    allowed = max(twilio.parallel - 1, 1) * (twilio.at_once or 1)
    connections = min(allowed, max(each.window.limit for each in burst.known()))
    show("Answered after 100 ms", [("prepare", prepared), ("hand over", handed)])
    return Measured(
        100 * handed.rate * LATENCY / connections,
        {"messages/s": handed.rate, "connections": connections, "us ours": handed.ours_us},
    )


@once
def _at_once() -> tuple[Cost, Cost]:
    """Prepare and hand over with a service that answers at once."""
    _school()
    with _service(0):
        prepared, handed = _sent("at once")
    show("One message a request", [("prepare", prepared), ("hand over", handed)])
    return prepared, handed


def _sent(name: str) -> tuple[Cost, Cost]:
    """Send two mailings and measure the second: the first finds out how many requests may be in flight."""
    people = _people()
    for turn in ("first", "second"):
        mailing = rows.draft(f"{name}, {turn}")
        pipeline.launch(mailing)
        costs = tuple(measured(people, do) for do in (pipeline.prepare_all, pipeline.hand_over_all))
        accepted = mailing.messages.filter(status=Message.Status.ACCEPTED).count()
        assert accepted == people, accepted
    return costs[0], costs[1]


@once
def _school() -> None:
    rows.school(_people())
    Account.objects.all().delete()
    Account.objects.create(
        provider="twilio",
        credentials=_module().ACCOUNT,
        sender="School",
        parallel=routing.provider_class("twilio").parallel,
    )


@contextmanager
def _service(latency: float) -> Iterator[str]:
    """Start the service and send to it; yield its URL, with the file of its certificate behind a #."""
    with _module().stub(latency) as url, _module().trusting(url):
        yield url


def _people() -> int:
    return size(5_000, 20_000)  # so that beginning and end are a small part


def _module() -> Any:
    return import_module("benchmarks.one_by_one")
