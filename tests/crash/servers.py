"""A PostgreSQL and a Redis of a test's own, to be stopped, killed and flushed. The machine's stay alone."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import redis

from tests.crash.stage import reachable
from tests.processes import free_port, wait_until

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian keeps them off PATH


class Postgres:
    def __enter__(self) -> "Postgres":
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="smsmail-pg-"))
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, "postgres")
        self._run(
            "initdb",
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--no-locale",
            "-E",
            "UTF8",
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        self._run(
            "pg_ctl", "start", "--wait", "--silent", "-o", options, "-l", str(self.folder / "log")
        )

    def stop(self) -> None:
        """At once, as if the power went: no checkpoint, every connection cut."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")

    def _run(self, name: str, *arguments: str) -> None:
        found = shutil.which(name) or str(_BINARIES[-1] / name)
        drop = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        folder = str(self.folder)
        subprocess.run(
            [*drop, found, "-D", folder, *arguments],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )


class Redis:
    def __enter__(self) -> "Redis":
        self.port = free_port()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: reachable(self.port), 10, "Redis")

    def flush(self) -> None:
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
