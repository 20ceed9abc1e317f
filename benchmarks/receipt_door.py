"""The server, the clients and the sums of door.py (goal G9): requests of each kind from a process of its own, and
the CPU of the server and of PostgreSQL for an answer. It also looks in the table for every receipt that was
acknowledged.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cost import cpu_of
from benchmarks.processes import ended, wait_for
from benchmarks.receipt_clients import Asked, Task
from benchmarks.rows import made_links

GOAL = 0.5
TOKEN = "made-up-token"
KEY = "made-up-key-of-the-benchmark"


@dataclass
class Figures:
    """The sums over all rounds of one kind of request."""

    name: str
    task: Task
    answers: int = 0
    seconds: float = 0.0
    server: float = 0.0  # CPU seconds
    postgres: float = 0.0
    acknowledged: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    @property
    def server_us(self) -> float:
        return self.server / self.answers * 1e6

    @property
    def postgres_us(self) -> float:
        return self.postgres / self.answers * 1e6


def made_kinds(port: int, clients: int) -> list[Figures]:
    from integrations.models import Account
    from integrations.routing import accounts

    logins = {
        "smsc": {"login": "school", "password": "made-up"},
        "twilio": {"account_sid": "AC" + "0123456789abcdef" * 2, "auth_token": TOKEN},
    }
    for slug, login in logins.items():
        accounts.connect(slug, login, sender="School", price=2, by=None)  # type: ignore[arg-type]
    Account.objects.update(receipt_key=KEY)

    def get(paths: list[str]) -> Task:
        return Task("get", port, 0, clients, paths)

    def hook(slug: str) -> Task:
        query = "?ref=a1b2" if slug == "twilio" else "?charset=utf-8"
        return Task(slug, port, 0, clients, [f"/hooks/{slug}/{KEY}/{query}"], TOKEN)

    return [
        Figures("an empty view", get(["/empty/"])),
        Figures("a receipt of SMSC", hook("smsc")),
        Figures("a receipt of Twilio, signed", hook("twilio")),
        Figures("a click on a short link", get(made_links())),
    ]


@contextmanager
def server(port: int) -> Iterator[int]:
    """Start the product's web server with the empty view besides, as its image does, but with one process.
    Yield its process id; its children do the work.
    """
    granian = [sys.executable, "-m", "granian", "--interface", "asginl", "--http", "1", "--no-ws"]
    options = ["--workers", "1", "--log-level", "warning", "--port", str(port)]
    process = subprocess.Popen([*granian, *options, "benchmarks.redirect_server:whole"])
    with ended(process):
        wait_for(port)
        yield process.pid


def add(figures: Figures, pid: int, task: Task) -> None:
    server, postgres = cpu_of(pid), cpu_of_postgres()
    one = asked(task)
    figures.server += cpu_of(pid) - server
    figures.postgres += cpu_of_postgres() - postgres
    figures.answers += one.answers
    figures.seconds += one.seconds
    figures.acknowledged += [f"{task.kind}:{number}" for number in one.acknowledged]


def asked(task: Task) -> Asked:
    command = [sys.executable, "-m", "benchmarks.receipt_clients"]
    given = json.dumps(task)
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True)
    return Asked(*json.loads(done.stdout))


def cpu_of_postgres() -> float:
    """Return the CPU seconds of PostgreSQL with all its processes; NaN if it is on another machine."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = Path(f"/proc/{cursor.fetchone()[0]}/stat")
    if not backend.exists() or "(postgres)" not in (stat := backend.read_text()):
        return float("nan")
    return cpu_of(int(stat.rpartition(")")[2].split()[1]))


def acknowledged_and_missing(kinds: list[Figures]) -> int:
    from urllib.parse import parse_qs

    from integrations.models import Receipt

    kept = set()
    rows = Receipt.objects.values_list("account__provider", "body")
    for slug, body in rows.iterator(chunk_size=5000):
        fields = parse_qs(body)
        kept.add(f"{slug}:{(fields.get('id') or fields['MessageSid'])[0]}")
    return len({number for each in kinds for number in each.acknowledged} - kept)


def receipts_in_a_commit() -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*)::float / count(DISTINCT xmin::text) FROM integrations_receipt"
        )
        return float(cursor.fetchone()[0])


def show(kinds: list[Figures], clients: int) -> None:
    empty = kinds[0]
    print(f"\nThe receipt webhook and short links beside an empty view, {clients} clients asking\n")
    print(f"{'':30}{'answers/s':>12}{'server us':>12}{'PostgreSQL us':>15}", end="")
    print(f"{'G9 rate':>10}{'by CPU':>10}{'by all CPU':>12}   (goal >= {GOAL:g})")
    for one in kinds:
        print(
            f"{one.name:30}{one.rate:12,.0f}{one.server_us:12,.0f}{one.postgres_us:15,.0f}", end=""
        )
        of_cpu = empty.server_us / one.server_us
        of_all = (empty.server_us + empty.postgres_us) / (one.server_us + one.postgres_us)
        print(f"{one.rate / empty.rate:10.2f}{of_cpu:10.2f}{of_all:12.2f}")
    print()
