"""Goals of what others call: the receipt webhook and the short links, beside an empty view on the same server, and
the whole of a receipt beside a plain view. receipt_door.py has the server, the clients and the sums.
"""

from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from benchmarks import pipeline, rows
from benchmarks.goals import Measured
from benchmarks.once import once
from benchmarks.options import FULL, size
from benchmarks.rows import PLAIN
from mailings.models import Mailing, Message

CLIENTS = 16
ROUNDS, SECONDS = (4, 3.0) if FULL else (2, 1.5)


def receipts_beside_empty() -> Measured:
    return _beside(_figures()["an empty view"], _figures()["a receipt of SMSC"])


def clicks_beside_empty() -> Measured:
    return _beside(_figures()["an empty view"], _figures()["a click on a short link"])


def receipts_beside_plain_view() -> Measured:
    """The door and the processing of a receipt; the plain view does both at once."""
    door, plain = _figures()["a receipt of SMSC"], _figures()["plain: get and save"]
    processed = _processing()
    ours, theirs = _us(door) + processed, _us(plain)
    beside = {"us door": _us(door), "us processing": processed, "us plain view": theirs}
    return Measured(theirs / ours, beside | {"by wall, door alone": door.rate / plain.rate})


@once
def _processing() -> float:
    """Return the CPU of processing one receipt, in microseconds; the door is not part of it."""
    people = size(10_000, 50_000)
    rows.school(people)
    return pipeline.run(rows.draft("Benchmark"), people).process.us


@once
def _figures() -> dict[str, Any]:
    """Return the sums by the name of the request. Each kind is asked in turn, several times."""
    door = import_module("benchmarks.receipt_door")
    _processing()  # first, while the database holds nothing else
    port = urlsplit(settings.PUBLIC_URL).port
    kinds = door.made_kinds(port, CLIENTS)
    kinds.append(door.Figures("plain: get and save", kinds[1].task._replace(paths=["/plain/"])))
    _plain_messages()
    with door.server(port) as pid:
        for each in kinds:  # fills the caches of the process, and connects its threads
            door.asked(each.task._replace(seconds=1, label="warm"))
        for number in range(ROUNDS):
            for each in kinds:
                door.add(each, pid, each.task._replace(seconds=SECONDS, label=f"r{number}"))
    if missing := door.acknowledged_and_missing(kinds[:-1]):
        raise AssertionError(f"{missing} receipts were acknowledged and are missing")
    door.show(kinds, CLIENTS)
    return {each.name: each for each in kinds}


def _plain_messages() -> None:
    """Write the messages whose receipts the plain view gets; a client counts its phones up from 0."""
    mailing = Mailing.objects.create(name=PLAIN)
    pattern = Message(mailing=mailing, status=Message.Status.ACCEPTED)
    rows.insert_like(pattern, 200_000, 0, key=f"CAST({rows.FIRST_PHONE} + n AS text)")


def _beside(empty: Any, other: Any) -> Measured:
    return Measured(
        100 * _us(empty) / _us(other),
        {
            "us server": other.server_us,
            "us PostgreSQL": other.postgres_us,
            "us empty view": _us(empty),
            "by CPU of the server alone, %": 100 * empty.server_us / other.server_us,
            "by wall, %": 100 * other.rate / empty.rate,
        },
    )


def _us(figures: Any) -> float:
    return float(figures.server_us + figures.postgres_us)
