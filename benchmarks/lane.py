"""`python -m benchmarks.lane` measures how long a notification takes from its event to the SMS provider,
alone and while a mailing runs (goal G13: p99 within 2 s). It uses real worker processes and a PostgreSQL
database of its own. The provider is the SMSC emulator, whose journal shows when each message arrived.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from benchmarks.__main__ import own_database
from benchmarks.processes import celery_workers, embedded_worker, emulator, redis

GAP = 1.0  # at most this many seconds between two events: an idle worker looks once a second
ANSWER = 0.3  # seconds that the provider takes to answer a request
GOAL = 2.0
WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Way:
    word: str
    name: str
    workers: Callable[[], AbstractContextManager[None]]
    broker: bool


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    seconds: list[float]
    rate: float  # messages of the mailing sent each second meanwhile
    over: bool  # True if the mailing ended too early
    # Of the slowest notification: when it was written, and when it was claimed.
    slowest: tuple[float, float]


WAYS = (
    Way("process", "one process (runworker)", embedded_worker, broker=False),
    Way("celery", "Celery: workers, beat, Redis", celery_workers, broker=True),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="How soon a notification leaves")
    parser.add_argument("--people", type=int, default=200_000, help="recipients of the mailing")
    parser.add_argument("--events", type=int, default=100, help="notifications raised each time")
    parser.add_argument("--only", choices=[way.word for way in WAYS], help="of the two ways")
    given = parser.parse_args()
    server = os.environ.get("BENCH_DATABASE_URL") or os.environ.get("DATABASE_URL", "")
    if urlsplit(server).scheme not in {"postgres", "postgresql"}:
        print("Set BENCH_DATABASE_URL=postgres://... : a server where a database may be made.")
        return 2
    slow = json.dumps({"share": 1.0, "among": ["slow-after"], "slow": ANSWER})
    with (
        tempfile.TemporaryDirectory() as folder,
        own_database(server) as address,
        emulator(f"{folder}/journal", slow) as smsc,
        redis() as broker,
    ):
        os.environ |= {
            "DATABASE_URL": address,
            "SMSC_URL": smsc,
            "REDIS_URL": broker,
            "SECRET_KEY": "made-up",
            "FIELD_KEYS": Fernet.generate_key().decode(),
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        }
        import django

        django.setup()
        bench = Bench(Path(folder) / "journal", given.people, given.events)
        for way in WAYS:
            if given.only not in {None, way.word}:
                continue
            bench.run(way, broker if way.broker else "")
        return bench.told()


class Bench:
    """Holds the data in the database and the figures found, and prints them."""

    def __init__(self, journal: Path, people: int, events: int) -> None:
        from django.core.management import call_command

        from benchmarks.pipeline import make_people
        from integrations.models import Account
        from mailings.models import Mailing, Policy
        from mailings.notifications import editing

        call_command("migrate", verbosity=0, skip_checks=True)
        self.journal, self.people, self.events = journal, people, events
        self.figures: list[Figure] = []
        self.dice = random.Random(1)
        self.numbers = 0
        self.owner = make_people(people)
        Policy.objects.update_or_create(id=1, defaults={"countdown": 0})
        Account.objects.create(
            provider="smsc", credentials={"login": "school", "password": "made-up"}, parallel=4
        )
        paid = Mailing(name="Paid", event="paid", text="Paid: {number}.", event_values=["number"])
        editing.add(paid, self.owner)
        editing.switch(paid, self.owner, on=True)

    def run(self, way: Way, broker: str) -> None:
        from django.conf import settings

        os.environ["REDIS_URL"] = settings.REDIS_URL = broker
        with way.workers():
            self._wait_until_they_work()
            self._measure(f"{way.name}, alone", None)
            self._measure(f"{way.name}, a mailing running", self._launched())

    def told(self) -> int:
        print(f"\n{self.events} notifications, {GAP / 2} s apart on the average; the mailing:")
        print(f"{self.people} recipients; the service answers after {ANSWER} s.")
        print("Seconds from the event to the service:\n")
        print(f"{'':48}{'p50':>8}{'p99':>8}{'most':>8}{'goal':>8}{'mailing/s':>12}")
        for each in self.figures:
            p50, p99 = percentile(each.seconds, 50), percentile(each.seconds, 99)
            rate = f"{each.rate:,.0f}" if each.rate else "-"
            line = f"{each.name:48}{p50:8.2f}{p99:8.2f}{max(each.seconds):8.2f}"
            print(f"{line}{f'<= {GOAL:g}':>8}{rate:>12}")
            written, claimed = each.slowest
            print(f"  the slowest was written after {written:.2f} s, claimed after {claimed:.2f} s")
            if each.over:
                print("  the mailing was over before the last event: give it more --people")
        print(f"\nLoad on the machine: {os.getloadavg()[0]:.1f} over {os.cpu_count()} cores.")
        return int(any(percentile(each.seconds, 99) > GOAL for each in self.figures))

    def _wait_until_they_work(self) -> None:
        for _ in range(WARM_UP):
            self._arrivals({self._raise(): time.time()}, patience=60)

    def _launched(self) -> Any:
        """Return a mailing whose first batches have been sent and whose recipients are still being
        prepared.
        """
        from benchmarks.pipeline import TEXT
        from mailings.lifecycle import transitions
        from mailings.models import Counters, Mailing

        mailing = Mailing.objects.create(name="Benchmark", text=TEXT, everyone=True)
        transitions.launch(mailing, by=self.owner)
        until = time.time() + 120
        while not Counters.objects.get(mailing=mailing).gone:
            if time.time() > until:
                raise RuntimeError("the mailing does not start")
            time.sleep(0.1)
        return mailing

    def _measure(self, name: str, mailing: Any) -> None:
        from mailings.lifecycle import transitions
        from mailings.models import Counters, Message

        def gone() -> int:
            return Counters.objects.get(mailing=mailing).gone if mailing else 0

        before = gone()
        raised: dict[str, float] = {}
        written: dict[str, float] = {}
        began = time.time()
        for _ in range(self.events):
            time.sleep(self.dice.uniform(0, GAP))
            moment = time.time()
            text = self._raise()
            raised[text], written[text] = moment, time.time()
        rate = (gone() - before) / (time.time() - began)
        arrived = self._arrivals(raised, patience=120)
        left = -1
        if mailing:
            counters = Counters.objects.get(mailing=mailing)
            mailing.refresh_from_db()
            left = counters.waiting + (0 if mailing.prepared_at else 1)
            if left:
                transitions.cancel(mailing, self.owner)
        taken = {each: arrived[each] - raised[each] for each in raised}
        slowest = max(taken, key=lambda each: taken[each])
        claimed = Message.objects.get(text=slowest, mailing__event="paid").batch
        assert claimed is not None
        assert claimed.claimed_at is not None
        of_it = (written[slowest], claimed.claimed_at.timestamp())
        at = tuple(moment - raised[slowest] for moment in of_it)
        figure = Figure(name, list(taken.values()), rate, left == 0, (at[0], at[1]))
        self.figures.append(figure)

    def _raise(self) -> str:
        """Raise one event and return the text that identifies its message."""
        from mailings.notifications.send import Became, raise_event

        self.numbers += 1
        number = str(self.numbers)
        raised = raise_event("paid", self.owner, key=number, values={"number": number})
        assert raised.became == Became.SENT, raised.words
        return f"Paid: {number}."

    def _arrivals(self, raised: dict[str, float], patience: float) -> dict[str, float]:
        """Return when each notification arrived, according to the journal; each must arrive exactly
        once.
        """
        until = time.time() + patience
        while True:
            found: dict[str, float] = {}
            for entry in small_entries(self.journal):
                for _phone, text in entry["messages"]:
                    if text in raised:
                        assert text not in found, "twice"
                        found[text] = entry["at"]
            if len(found) == len(raised):
                return found
            if time.time() > until:
                raise RuntimeError(f"{len(raised) - len(found)} notifications did not arrive")
            time.sleep(0.5)


def small_entries(journal: Path) -> list[dict[str, Any]]:
    """Return journal entries of single messages; lines of batches are long and are skipped."""
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    return [json.loads(line) for line in lines if len(line) < 1000 and line.endswith(b"}")]


def percentile(seconds: list[float], of: int) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, round(len(ordered) * of / 100))]


if __name__ == "__main__":
    sys.exit(main())
