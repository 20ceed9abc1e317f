"""Our own processes for tests: started with their output in a file, looked at, and surely ended."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANAGE = (sys.executable, "manage.py")
# Before a command of Celery: started again whenever it ends, as docker-compose.yml has it. kombu 5.7
# gives a worker up when Redis dies while it holds unacknowledged messages (AttributeError in
# restore_unacked).
AGAIN = ("sh", "-c", 'while true; do "$@"; sleep 1; done', "again")


class Running:
    """A process in a session of its own; `output` is what it has said so far."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self, number: int = signal.SIGTERM, within: float = 20) -> int:
        """Send the signal and wait; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(within)

    def kill(self) -> None:
        """With everything that it has started, also what has lost its parent since."""
        for pid in of_session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Running]:
    started = Running(command, environment, log)
    try:
        yield started
    finally:
        started.kill()


def wait_until(true: Callable[[], object], seconds: float = 20, what: str = "") -> None:
    """Fails when it has not become true in time."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what or true}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def of_session(leader: int) -> list[int]:
    """The leader and whatever it has started, directly or not, that is still alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, _group, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(stat.parent.name))
    return found
