"""The processes around ours: the SMSC emulator, and a broker and a worker for the plain way."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def emulator(journal: str = "", plan: str = "{}") -> Iterator[str]:
    """Start the SMSC emulator on loopback, with its journal on disk, and yield its URL."""
    with tempfile.TemporaryDirectory() as folder:
        journal = journal or os.path.join(folder, "journal")
        command = [sys.executable, "-m", "tests.emulators.smsc", "--journal", journal]
        command += ["--plan", plan, "--balance", "1e12"]  # enough money for any benchmark
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with _ended(process):
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("the SMSC emulator did not start")
            yield address


@contextmanager
def redis() -> Iterator[str]:
    """Start a Redis of our own, in memory, and yield its URL."""
    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with _ended(process):
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def plain_worker(processes: int) -> Iterator[None]:
    """Start a Celery worker as projects usually do."""
    # -W ignore hides the warning about running as root.
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "benchmarks.plain", "worker"]
    options = ["--concurrency", str(processes), "--loglevel", "ERROR", "--without-mingle"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
    with _ended(process):
        yield


@contextmanager
def embedded_worker() -> Iterator[None]:
    """Start one process with a thread for every job: `manage.py runworker`."""
    with _ours([[sys.executable, "manage.py", "runworker"]]):
        yield


@contextmanager
def celery_workers() -> Iterator[None]:
    """Start one worker of each kind, as docker-compose.yml does."""
    celery = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "smsmail"]
    workers = {"rows": "4", "network": "4", "lane": "2"}
    commands = [
        [*celery, "worker", "-Q", queue, "--concurrency", count, "--hostname", f"{queue}@here"]
        for queue, count in workers.items()
    ]
    with _ours([*commands, [*celery, "beat"]]):
        yield


@contextmanager
def _ours(commands: list[list[str]]) -> Iterator[None]:
    with ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.enter_context(_ended(process))
        yield


@contextmanager
def _ended(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("redis-server did not start")
