"""A PostgreSQL of the benchmark's own, in a temporary folder: as durable as in production (fsync on), on a free
port. Its CPU is then nobody else's.
"""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.processes import free_port

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",  # small questions would be compiled first
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",  # a checkpoint in the middle of one step would make it look dearer
    "max_connections": "200",
}


class NoPostgresql(Exception):
    """Its programs are not on this machine."""


@dataclass(frozen=True, slots=True)
class Cluster:
    port: int
    postmaster: int  # process id

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Yield the URL of a new database, which is dropped afterwards."""
        named = sql.Identifier(name)
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(named))
            try:
                yield self.url(name)
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))


@contextmanager
def cluster() -> Iterator[Cluster]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    if not programs or not (programs[-1] / "initdb").exists():
        raise NoPostgresql
    with tempfile.TemporaryDirectory() as folder:
        room, data = Path(folder), Path(folder) / "postgresql" / "data"
        data.parent.mkdir()
        if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
            room.chmod(0o711)
            user = pwd.getpwnam("postgres")
            os.chown(data.parent, user.pw_uid, user.pw_gid)
        initdb: list[str | Path] = [
            programs[-1] / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
        ]
        _run(room, *initdb, "-E", "UTF8", "--locale=C.UTF-8")
        ctl: list[str | Path] = [programs[-1] / "pg_ctl", "-D", data, "-w"]
        port = free_port()
        options = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
        words = f"-p {port} -k {data.parent} {options}"
        _run(room, *ctl, "-l", data.parent / "log", "-o", words, "start")
        try:
            yield Cluster(port, int((data / "postmaster.pid").read_text().split()[0]))
        finally:
            _run(room, *ctl, "-m", "immediate", "stop")


def _version(folder: Path) -> list[int]:
    return [int(each) for each in folder.parent.name.split(".") if each.isdecimal()]


def _run(room: Path, *command: str | Path) -> None:
    before = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*before, *command], cwd=room, stdout=subprocess.DEVNULL, check=True)
