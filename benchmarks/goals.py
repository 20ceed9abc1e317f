"""The goals of speed: the only list of them. Each line names the function that measures it; README.md shows them
with the reasons given here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of a goal; `beside` holds the figures that help to understand it, by their words."""

    value: float
    beside: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Goal:
    name: str
    words: str
    direction: str  # ">=" or "<="
    goal: float
    unit: str
    function: str  # in this package, "module.function" () -> Measured
    why: str
    full: bool = False  # it needs millions, so the quick run leaves it out
    asked: bool = False  # it needs more than we install: measured by `full` and by name

    @property
    def part(self) -> str:
        """The file that measures it; also the word for the command line."""
        return self.function.partition(".")[0]

    @property
    def wanted(self) -> str:
        return f"{self.direction} {self.goal:g} {self.unit}".strip()

    def is_met(self, value: float) -> bool:
        return value >= self.goal if self.direction == ">=" else value <= self.goal

    def measure(self) -> Measured:
        module, _, name = self.function.partition(".")
        found = getattr(import_module(f"benchmarks.{module}"), name)
        return cast(Callable[[], Measured], found)()


GOALS = (
    Goal(
        "G1",
        "batch service from preparing to receipts, beside the plain Celery way",
        *(">=", 120, "times", "batch.beside_plain"),
        why="Most projects begin with the plain way: a row, a task and a request for each message.",
    ),
    Goal(
        "G2",
        "CPU of the same, beside the four statements that nobody can leave out",
        *("<=", 2.5, "times", "batch.beside_bare"),
        why="What is above 1 is the price of rules, batches, counters and HTTP.",
    ),
    Goal(
        "G3",
        "batches at 100 ms of latency, of our own rate without latency",
        *(">=", 65, "%", "batch.at_latency"),
        why="Services are far away; enough batches must be in flight.",
    ),
    Goal(
        "G6",
        "preparing, beside a bare COPY of the same rows with the same indexes",
        *(">=", 60, "%", "batch.prepare_beside_copy"),
        why="Reading people, rendering and deciding must cost less than writing.",
    ),
    Goal(
        "G7 growth",
        "memory that preparing adds",
        *("<=", 32, "MB", "batch.growth_of_memory"),
        why="Chunks, not lists: a large mailing must fit a small machine.",
    ),
    Goal(
        "G8",
        "processing receipts, beside get and save",
        *(">=", 50, "times", "batch.receipts_beside_plain"),
        why="A receipt comes for each message, all of them within minutes.",
    ),
    Goal(
        "G16",
        "database for each message: row, indexes, batch, receipt",
        *("<=", 900, "bytes", "batch.bytes_of_message"),
        why="Disk and backups grow with it, and pages stay in memory or do not.",
    ),
    Goal(
        "G4",
        "one message a request (Twilio, TLS): our CPU for a message",
        *("<=", 400, "us", "single.cpu_of_message"),
        why="Here a message is a request, so the client decides.",
    ),
    Goal(
        "G4 plain",
        "the same, beside the plain Celery way",
        *(">=", 12, "times", "single.beside_plain"),
        why="See G1.",
    ),
    Goal(
        "G5",
        "one message a request at 100 ms of latency, of connections / latency",
        *(">=", 85, "%", "single.at_latency"),
        why="No client can be faster than its connections divided by the latency.",
    ),
    Goal(
        "G9 door",
        "receipt door, beside an empty view on the same server",
        *(">=", 50, "%", "door.receipts_beside_empty"),
        why="A service that is answered slowly calls again.",
    ),
    Goal(
        "G9 redirect",
        "short link, click written, beside an empty view on the same server",
        *(">=", 50, "%", "door.clicks_beside_empty"),
        why="Everybody taps within minutes of a mailing, and waits for this answer.",
    ),
    Goal(
        "G8 door",
        "receipt with the door included, beside a plain view that gets and saves",
        *(">=", 4, "times", "door.receipts_beside_plain_view"),
        why="What a receipt costs altogether: one answer of the web server and its share of processing.",
    ),
    Goal(
        "G7 peak",
        "memory of the largest process: worker, web server",
        *("<=", 200, "MB", "processes_at_work.peak"),
        why="Everything together runs on the smallest machine that one can rent.",
    ),
    Goal(
        "G14 worker",
        "handing over with a second worker process, added rate",
        *(">=", 60, "%", "second_worker.added"),
        why="Whoever needs more starts another process; locks must not eat it up.",
    ),
    Goal(
        "G12",
        "SQLite beside PostgreSQL, batch service from preparing to receipts",
        *(">=", 50, "%", "sqlite.beside_postgresql"),
        why="The embedded shape is a way to run smsmail, not a demonstration.",
    ),
    Goal(
        "G13",
        "notification while a mailing runs, embedded worker: p99",
        *("<=", 1, "s", "lane.embedded"),
        why="A code to sign in with is awaited by a person.",
    ),
    Goal(
        "G13 Celery",
        "the same with Celery and Redis",
        *("<=", 1, "s", "lane.celery"),
        why="The same promise in the other shape.",
    ),
    Goal(
        "G15",
        "embedded worker with nothing to do, share of a core",
        *("<=", 0.5, "%", "idle.worker"),
        why="It runs day and night; most of the time nothing happens.",
        full=True,  # it comes to rest after a minute
    ),
    Goal(
        "G7 flat",
        "peak of memory at 1,000,000 messages, beside 50,000",
        *("<=", 1.1, "times", "growth.memory"),
        why="See G7 growth.",
        full=True,
    ),
    Goal(
        "G14 growth",
        "CPU of a message among 1,000,000, beside 50,000",
        *("<=", 1.1, "times", "growth.cost"),
        why="Twice the messages take twice the time, and no more.",
        full=True,
    ),
    Goal(
        "G14 old",
        "CPU of a message with 5,000,000 old ones in the table, beside without",
        *("<=", 1.1, "times", "growth.cost_among_old"),
        why="Nothing is deleted, so the third year must be like the first.",
        full=True,
    ),
    Goal(
        "G10",
        "server time of pages and answers, p95 over all addresses",
        *("<=", 100, "ms", "pages.addresses"),
        why="At 5,000,000 messages and 1,000,000 people, which nobody will exceed soon.",
        full=True,
    ),
    Goal(
        "G10 counters",
        "reading the counters of a mailing",
        *("<=", 1, "ms", "pages.counters"),
        why="Pages of running mailings read them every other second.",
        full=True,
    ),
    Goal(
        "G17",
        "funnel, segment, meter, who gets it: the worst, beside one count of all people",
        *("<=", 2, "times", "audience.worst"),
        why="People wait for these while they compose.",
        full=True,
    ),
    Goal(
        "G11",
        "queue and hand over, beside django-post_office",
        *(">=", 8, "times", "peer.beside_post_office"),
        why="The best known queue of messages for Django.",
        asked=True,
    ),
)
