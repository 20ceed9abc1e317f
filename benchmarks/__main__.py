"""`python -m benchmarks WHAT` makes a PostgreSQL database of its own, measures, and drops it. WHAT is
pipeline (messages through a batch provider, and clicks), redirect (clicks alone) or audience (queries about a
million people). lane and watching are separate programs: `python -m benchmarks.lane`.

BENCH_DATABASE_URL or DATABASE_URL names a server that may create databases.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from cryptography.fernet import Fernet
from psycopg import sql

from benchmarks.processes import emulator, redis


def main() -> int:
    parser = argparse.ArgumentParser(description="smsmail's speed, as ratios inside one run")
    parser.add_argument(
        "what", nargs="?", choices=["pipeline", "redirect", "audience"], default="pipeline"
    )
    parser.add_argument("--people", type=int, help="50,000 recipients, or an audience of 1,000,000")
    parser.add_argument("--plain", type=int, default=2_000, help="recipients sent to the plain way")
    parser.add_argument("--sqlite", action="store_true", help="the audience, in an SQLite file")
    given = parser.parse_args()
    if given.what == "audience" and given.sqlite:
        with tempfile.TemporaryDirectory() as folder:
            return audience("", given.people or 100_000, folder)
    server = os.environ.get("BENCH_DATABASE_URL") or os.environ.get("DATABASE_URL", "")
    if urlsplit(server).scheme not in {"postgres", "postgresql"}:
        print("Set BENCH_DATABASE_URL=postgres://... to a server that may create databases.")
        return 2
    if given.what == "audience":
        with own_database(server) as address:
            return audience(address, given.people or 1_000_000)
    with own_database(server) as address, emulator() as smsc, redis() as broker:
        # Set before Django reads its settings; the processes that we start inherit it.
        set_up(DATABASE_URL=address, BENCH_BROKER=broker, SMSC_URL=smsc)
        from django.core.management import call_command

        from benchmarks import redirect, table

        call_command("migrate", verbosity=0, skip_checks=True)
        if given.what == "pipeline":
            table.fill_and_print(people=given.people or 50_000, plain_people=given.plain)
        redirect.fill_and_print(seconds=5)
    return 0


def audience(address: str, people: int, folder: str = "var") -> int:
    set_up(DATABASE_URL=address, DATA_DIR=folder)
    from benchmarks import audience

    audience.fill_and_print(people=people)
    return 0


def set_up(**environment: str) -> None:
    os.environ |= {
        "REDIS_URL": "",  # our way is measured in one process, without wake-ups
        "SECRET_KEY": "made-up",
        "FIELD_KEYS": Fernet.generate_key().decode(),
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        **environment,
    }
    import django

    django.setup()


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """Yield the URL of a new database, which is dropped afterwards."""
    name = f"smsmail_bench_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


if __name__ == "__main__":
    sys.exit(main())
