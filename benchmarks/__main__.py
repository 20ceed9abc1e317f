"""`python -m benchmarks`: makes a PostgreSQL database of its own, runs everything, drops it.

BENCH_DATABASE_URL or DATABASE_URL names a server where that is allowed.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from cryptography.fernet import Fernet
from psycopg import sql

from .processes import emulator, redis


def main() -> int:
    parser = argparse.ArgumentParser(description="smsmail's speed, as ratios inside one run")
    parser.add_argument("--people", type=int, default=50_000, help="recipients of our mailing")
    parser.add_argument("--plain", type=int, default=2_000, help="recipients sent to the plain way")
    given = parser.parse_args()

    def everything() -> None:
        from . import redirect, table

        table.fill_and_print(people=given.people, plain_people=given.plain)
        redirect.fill_and_print(seconds=5)

    return alone(everything)


def alone(run: Callable[[], None]) -> int:
    """With a database, an emulator and a broker of its own, which are gone afterwards."""
    server = os.environ.get("BENCH_DATABASE_URL") or os.environ.get("DATABASE_URL", "")
    if urlsplit(server).scheme not in {"postgres", "postgresql"}:
        print("Set BENCH_DATABASE_URL=postgres://... : a server where a database may be made.")
        return 2
    with own_database(server) as address, emulator() as smsc, redis() as broker:
        # Before Django reads its settings; the processes that we start inherit it.
        os.environ |= {
            "DATABASE_URL": address,
            "REDIS_URL": "",  # ours is measured in one process, without wake-ups
            "BENCH_BROKER": broker,
            "SMSC_URL": smsc,
            "SECRET_KEY": "made-up",
            "FIELD_KEYS": Fernet.generate_key().decode(),
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0, skip_checks=True)
        run()
    return 0


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """The address of a new database, which is gone afterwards."""
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
