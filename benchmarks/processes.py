"""The processes around the one that measures: the SMS service, a broker, workers and a web server."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import Request, urlopen

T = TypeVar("T", str, bytes)


@dataclass(frozen=True, slots=True)
class Service:
    """The running SMS service (stub.py)."""

    url: str
    journal: Path

    def told(self) -> dict[str, Any]:
        return self._control(b"")

    def answer_after(self, seconds: float) -> None:
        self._control(json.dumps({"delay": seconds}).encode())

    def _control(self, body: bytes) -> dict[str, Any]:
        request = Request(f"{self.url}/_control", data=body, method="POST")  # noqa: S310 - ours
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            return dict(json.load(answer))


@contextmanager
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        command = [sys.executable, "-m", "benchmarks.stub", "--journal", str(journal)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with ended(process):
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("the SMS service did not start")
            yield Service(address, journal)


@contextmanager
def redis() -> Iterator[tuple[str, int]]:
    """Start a Redis of our own, in memory, and yield its URL and its process id."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with ended(process):
        wait_for(port)
        yield f"redis://127.0.0.1:{port}/0", process.pid


@contextmanager
def plain_worker(processes: int) -> Iterator[int]:
    """Start a Celery worker as projects usually do; yield its process id."""
    # -W ignore hides the warning about running as root.
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "benchmarks.plain", "worker"]
    options = ["--concurrency", str(processes), "--loglevel", "ERROR", "--without-mingle"]
    with started([*command, *options]) as pids:
        yield pids[0]


@contextmanager
def embedded_worker() -> Iterator[list[int]]:
    """Start one process with a thread for every job: `manage.py runworker`."""
    with started([sys.executable, "manage.py", "runworker"]) as pids:
        yield pids


@contextmanager
def celery_workers() -> Iterator[list[int]]:
    """Start one worker of each kind, as docker-compose.yml does."""
    celery = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "smsmail"]
    workers = {"rows": "4", "network": "4", "lane": "2"}
    commands = [
        [*celery, "worker", "-Q", queue, "--concurrency", count, "--hostname", f"{queue}@here"]
        for queue, count in workers.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        beat = [*celery, "beat", "--schedule", f"{folder}/beat"]
        with started(*commands, beat) as pids:
            yield pids


@contextmanager
def web_server(port: int) -> Iterator[int]:
    """Start the product's web server as its image does, but with one process, and with a few views more
    (redirect_server.py). Yield its process id; its children do the work.
    """
    granian = [sys.executable, "-m", "granian", "--interface", "asginl", "--http", "1", "--no-ws"]
    options = ["--workers", "1", "--log-level", "warning", "--port", str(port)]
    with started([*granian, *options, "benchmarks.redirect_server:whole"]) as pids:
        wait_for(port)
        yield pids[0]


@contextmanager
def started(*commands: Sequence[str]) -> Iterator[list[int]]:
    """Yield the process ids of these programs, which are ended afterwards."""
    with ExitStack() as stack:
        pids = []
        for command in commands:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.enter_context(ended(process))
            pids.append(process.pid)
        yield pids


@contextmanager
def ended(process: "subprocess.Popen[T]") -> Iterator["subprocess.Popen[T]"]:
    """Yield the process, and end it afterwards."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def here() -> Service:
    """Return the SMS service that the part was started with."""
    return Service(os.environ["SMSC_URL"], Path(os.environ["BENCH_JOURNAL"]))
