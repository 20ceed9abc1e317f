"""Compares clicks on short links with an empty Django view, on the same granian server in one run. Run as a
program, it is the process that sends the requests.

The same few threads of another process request both. Besides responses a second it prints responses for each
second of the server's CPU, which excludes the cost of requesting.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import _ended, _free_port, _wait_for

AGENT = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0"
    " Mobile Safari/537.36"
)
HEADERS = {"User-Agent": AGENT, "Accept-Language": "ru"}
MESSAGES = 5000
THREADS = 4
GOAL = 0.3


class Asked(NamedTuple):
    answers: int
    seconds: float
    cpu: float  # CPU seconds of the server

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    @property
    def rate_of_cpu(self) -> float:
        return self.answers / self.cpu


def fill_and_print(seconds: float) -> None:
    """Django must be set up, and its database migrated."""
    from mailings.models import Click

    links = made_links()
    with server() as (port, pid):
        ask(port, ["/empty/"], 1)
        ask(port, links, 1)  # fills the caches of the process
        before = Click.objects.count()
        empty = measured(port, pid, ["/empty/"], seconds)
        clicks = measured(port, pid, links, seconds)
        written = Click.objects.count() - before
    print(f"\nShort links beside an empty view, {THREADS} threads asking\n")
    print(f"{'':44}{'answers/s':>12}{'a CPU s':>10}")
    for name, one in (("an empty view", empty), ("a click, written down", clicks)):
        print(f"{name:44}{one.rate:12,.0f}{one.rate_of_cpu:10,.0f}")
    print(f"\n{'ratio':44}{'here':>12}{'goal':>10}")
    print(f"{'G9  clicks / empty view':44}{clicks.rate / empty.rate:12.2f}{f'>= {GOAL:g}':>10}")
    of_cpu = clicks.rate_of_cpu / empty.rate_of_cpu
    print(f"{'G9  the same for each CPU second':44}{of_cpu:12.2f}{f'>= {GOAL:g}':>10}")
    print(f"{'clicks answered and not written down':44}{clicks.answers - written:12}")


def made_links() -> list[str]:
    from django.utils import timezone

    from mailings.models import Counters, Link, Mailing, Message
    from mailings.text import tokens

    mailing = Mailing.objects.create(
        name="Links", state=Mailing.State.DONE, wrap_links=True, launched_at=timezone.now()
    )
    Counters.objects.create(mailing=mailing)
    Link.objects.create(mailing=mailing, position=0, url="https://school.example.com/open")
    rows = Message.objects.bulk_create(
        Message(mailing=mailing, key=f"link {n}", status="delivered") for n in range(MESSAGES)
    )
    return [f"/r/{tokens.make(row.pk, 0, tokens.Purpose.CLICK)}" for row in rows]


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """Yield the port, and the id of the process whose children do the work."""
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port)]
    options = ["--workers", "1", "--blocking-threads", "4", "--log-level", "warning"]
    process = subprocess.Popen([*command, *options, "benchmarks.redirect_server:application"])
    with _ended(process):
        _wait_for(port)
        yield port, process.pid


def measured(port: int, pid: int, paths: list[str], seconds: float) -> Asked:
    cpu = cpu_of(pid)
    command = [
        sys.executable,
        "-m",
        "benchmarks.redirect",
        "--ask",
        str(port),
        "--seconds",
        str(seconds),
    ]
    done = subprocess.run(
        command, input=json.dumps(paths), stdout=subprocess.PIPE, text=True, check=True
    )
    answers, took = json.loads(done.stdout)
    return Asked(answers, took, cpu_of(pid) - cpu)


def ask(port: int, paths: list[str], seconds: float) -> tuple[int, float]:
    """Send requests from several threads, each with one connection. Returns the number of
    responses, all of them correct, and the seconds taken.
    """
    counts = [0] * THREADS
    began = time.monotonic()

    def go(number: int) -> None:
        web = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for path in cycle(paths[number::THREADS] or paths):
            web.request("GET", path, headers=HEADERS)
            answer = web.getresponse()
            answer.read()
            assert answer.status in {200, 302}, answer.status
            counts[number] += 1
            if time.monotonic() - began > seconds:
                return

    threads = [threading.Thread(target=go, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.monotonic() - began


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and its children."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid or int(fields[1]) == pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description="Short links beside an empty view")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--ask", type=int, required=True, help="the port of the server")
    given = parser.parse_args()
    print(json.dumps(ask(given.ask, json.load(sys.stdin), given.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
