"""docker-compose.yml and Dockerfile: read, and their very commands run by hand, in their order, with
their environment, on a PostgreSQL and a Redis of the test's own. No container engine is needed.
"""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cryptography.fernet import Fernet

from smsmail.jobs.periodic import PERIODIC_JOBS
from tests.crash.servers import Postgres, Redis
from tests.processes import ROOT, Running, free_port, wait_until

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRETS = {"DATABASE_URL", "SECRET_KEY", "FIELD_KEYS"}
FIRST_PEOPLE = """
from tests import factories
factories.owner(); factories.students(200, digits="77"); factories.simulator()
"""
LAUNCH = """
from mailings.lifecycle import transitions
from mailings.models import Mailing
from users.models import User
mailing = Mailing.objects.create(name="Made up", text="Webinar at 19:00", everyone=True)
transitions.launch(mailing, User.objects.get(role="owner"), countdown=0)
"""
# Beat counts ten minutes, or an hour, from its own start for some: these it posts at once.
HEARTBEATS = """
from smsmail.jobs.periodic import PERIODIC_JOBS
from smsmail.models import Heartbeat
print(Heartbeat.objects.count(), "of", len(PERIODIC_JOBS))
"""
FIGURES = """
import json
from django.forms.models import model_to_dict
from mailings.models import Counters, Mailing
print(json.dumps({
    "state": Mailing.objects.get().state,
    "delivered": Counters.objects.get().delivered,
    "total": Counters.objects.get().total,
}))
"""


def environment_of(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """As compose fills it in: ${NAME:?needed} and ${NAME:-default}."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if kind == "?":
            return given[name]
        return given.get(name) or rest

    return {
        name: re.sub(r"\$\{(\w+):([?-])([^}]*)\}", value, str(text))
        for name, text in SERVICES[service]["environment"].items()
    }


def command_of(service: str) -> list[str]:
    """Its own, or the image's."""
    command: list[str] = SERVICES[service].get("command") or json.loads(
        DOCKERFILE.rpartition("CMD ")[2].replace("\\\n", "")
    )
    return command


def test_every_part_of_ours_waits_for_the_migration_and_runs_the_same_image() -> None:
    assert sorted(OURS) == ["beat", "migrate", "notifier", "sender", "web", "worker"]
    for name in OURS - {"migrate"}:
        waits = SERVICES[name]["depends_on"]
        assert waits["migrate"] == {"condition": "service_completed_successfully"}
        assert waits["redis"] == {"condition": "service_healthy"}
        assert SERVICES[name]["restart"] == "unless-stopped"
        assert SERVICES[name]["environment"] == SERVICES["migrate"]["environment"]
    assert SERVICES["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"


@pytest.mark.parametrize("name", ["db", "redis", "web", "worker", "sender", "notifier", "beat"])
def test_what_can_fall_ill_is_looked_after(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_its_settings_are_known_and_its_secrets_have_no_default() -> None:
    known = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    environment = SERVICES["web"]["environment"]

    assert environment.keys() <= known
    for name in SECRETS:
        assert ":?" in environment[name]
        assert ":-" not in environment[name]


def test_the_epoch_is_kept_apart_from_the_database() -> None:
    """In a volume of its own, which every part has and the image has made writable."""
    for name in OURS:
        assert SERVICES[name]["volumes"] == ["state:/srv/state"]
        assert SERVICES[name]["environment"]["STATE_DIR"] == "/srv/state"
    assert {"state", "db"} <= COMPOSE["volumes"].keys()
    assert "install -d -o smsmail -m 700 /srv/state" in DOCKERFILE
    assert "postgresql-client" in DOCKERFILE


def test_the_image_runs_as_nobody_special_and_holds_no_secret() -> None:
    assert re.search(r"^USER smsmail$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.index("USER smsmail") < DOCKERFILE.index("CMD ")
    assert not any(name in DOCKERFILE for name in SECRETS)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored  # everything, but what is named
    assert not {"!.env", "!var", "!.git"} & set(ignored)


@pytest.fixture
def given(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a person writes into .env, with addresses of this machine instead of the containers'."""
    with Postgres() as postgres, Redis() as redis:
        written = {
            "POSTGRES_PASSWORD": "madeup",
            "PUBLIC_URL": "https://sms.example.com",
            "SECRET_KEY": "a-made-up-key-" * 5,
            "FIELD_KEYS": Fernet.generate_key().decode(),
        }
        yield environment_of("web", written) | {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "STATIC_ROOT": str(tmp_path / "static"),
            "STATE_DIR": str(tmp_path / "state"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOSTNAME": "here",
        }


def finish(command: list[str], given: dict[str, str]) -> str:
    ended = subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, f"{shlex.join(command)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def shell(code: str, given: dict[str, str]) -> str:
    return finish(["python", "manage.py", "shell", "-v", "0", "-c", code], given)


@pytest.mark.broker
def test_its_commands_carry_a_mailing_to_the_end(given: dict[str, str], tmp_path: Path) -> None:
    port = str(free_port())
    web = f"http://127.0.0.1:{port}"
    collect = re.search(r"python (manage.py collectstatic --no-input)", DOCKERFILE)
    assert collect
    nothing = {"PATH": given["PATH"], "DATA_DIR": str(tmp_path / "build")}
    finish(["python", *collect[1].split()], nothing | {"STATIC_ROOT": given["STATIC_ROOT"]})
    finish(command_of("migrate"), given)
    finish(["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"], given)
    shell(FIRST_PEOPLE, given)

    with contextlib.ExitStack() as stack:
        parts = {}
        for name in ("web", "worker", "sender", "notifier", "beat"):
            # Ours is the port that is free here; 8000 may be anybody's.
            command = [port if word == "8000" else word for word in command_of(name)]
            command = [word.replace("%h", given["HOSTNAME"]) for word in command]
            parts[name] = Running(command, given, tmp_path / f"{name}.log")
            stack.callback(parts[name].kill)
        wait_until(lambda: answers(f"{web}/health/"), 60, parts["web"].output)
        check = SERVICES["web"]["healthcheck"]["test"]
        finish([word.replace("8000", port) for word in check[1:]], given)
        for name in ("worker", "sender", "notifier"):
            wait_until(partial(says_ready, parts[name]), 60, parts[name].output)
            kind, check = SERVICES[name]["healthcheck"]["test"]
            assert kind == "CMD-SHELL"
            finish(["sh", "-c", check.replace("$$", "$")], given)

        # Its own check is about all of them: each job has left a heartbeat.
        check = SERVICES["beat"]["healthcheck"]["test"]
        ready = [word.replace("web:8000", f"127.0.0.1:{port}") for word in check[1:]]
        wait_until(
            lambda: heartbeats(given) == f"{len(PERIODIC_JOBS)} of {len(PERIODIC_JOBS)}",
            60,
            parts["beat"].output,
        )
        finish(ready, given)
        told = requests.get(f"{web}/health/ready/", timeout=5).json()
        assert told["reasons"] == []

        page = requests.get(f"{web}/sign-in/", timeout=10).text
        style = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', page)
        assert style, "the page does not name a hashed style sheet"
        assert answers(web + style[1])

        shell(LAUNCH, given)
        wait_until(lambda: figures(given)["state"] == "done", 90, parts["sender"].output)
        assert figures(given) == {
            "state": "done",
            "delivered": 200,
            "total": 201,
        }  # the owner has no phone
        for part in parts.values():
            assert part.end(within=30) == 0


def heartbeats(given: dict[str, str]) -> str:
    return shell(HEARTBEATS, given).strip()


def says_ready(part: Running) -> bool:
    return "ready" in part.output


def answers(address: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(address, timeout=5).status_code == 200
    return False


def figures(given: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell(FIGURES, given))
    return found
