"""A database of version 0.2.0 with rows in it is upgraded: nothing is lost, and the work goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from tests import upgrade
from tests.processes import ROOT

NAME = "smsmail_of_the_version_before"


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of an empty database of this kind."""
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path),
        "STATE_DIR": str(tmp_path),
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_KEYS": ",".join(settings.FIELD_KEYS),
        "REDIS_URL": "",
    }
    address = os.environ.get("DATABASE_URL")
    if not address:
        yield environment
        return
    with psycopg.connect(address, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {NAME}")
    try:
        yield {**environment, "DATABASE_URL": f"{address.rpartition('/')[0]}/{NAME}"}
    finally:
        with psycopg.connect(address, autocommit=True) as server:
            server.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.mark.django_db  # so that it runs on both databases
def test_a_database_of_the_version_before_is_upgraded_with_all_its_rows(
    empty: dict[str, str],
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.upgrade"],
        env=empty,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["packed"] == [
        [
            (upgrade.AT + timedelta(seconds=number)).isoformat(),
            "x=ё 👍",
            upgrade.body(number),
            upgrade.outcome(number),
        ]
        for number in range(upgrade.PROCESSED)
    ]
    assert found["strangers"] == upgrade.STRANGERS
    assert found["waiting"] == [
        upgrade.body(upgrade.PROCESSED + number) for number in range(upgrade.WAITING)
    ]
    assert found["left"] == 0
    assert set(found["statuses"].values()) == {"delivered"}
    assert len(found["statuses"]) == upgrade.PROCESSED + 1
    assert found["parallel"] == {"smsc": 4, "twilio": 10, "seventech": 3}
    assert found["scheduled"] is True
    assert found["removed"] is None
    assert found["differences"] == 0
