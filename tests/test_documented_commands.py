"""Every command line that we show to people can be copied and run. One was refused by argparse as it stood
in README.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.test import Client

from mailings.models import Counters, Mailing, Message
from tests import factories
from tests.documented import ROOT, Shown, everywhere, in_page, targets, templates_that_fill_in
from users.models import User

As = Callable[[User], Client]
SHOWN = everywhere()
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def order_paid() -> Mailing:
    """The notification of the example in docs/production.md, and its person."""
    factories.simulator()
    factories.student()
    notification = Mailing.objects.create(
        kind=Mailing.Kind.NOTIFICATION,
        event="order_paid",
        name="Order",
        text="Order {number} is paid",
        event_values=["number"],
        state=Mailing.State.SENDING,
    )
    Counters.objects.create(mailing=notification)
    return notification


# What a command needs to be there before it runs. One that is in neither table runs on an empty database.
NEEDS: dict[str, Callable[[], object]] = {
    "raise_event": order_paid,
    "let_in": lambda: factories.person("you"),
}
# Only their arguments are read: they never end, or are Django's own, or their own tests run them.
NOT_RUN = {
    *("serve", "runworker"),
    *("demo", "demo_school", "backup", "restore"),
    *("migrate", "collectstatic", "makemessages", "compilemessages", "check", "shell"),
}
# Templates that fill a command in -> a page that shows it.
PAGES: dict[str, Callable[[As], Any]] = {
    "templates/mailings/notifications/notification.html": lambda as_: as_(factories.owner()).get(
        f"/notifications/{order_paid().pk}/"
    ),
}


def command(name: str) -> BaseCommand:
    app = get_commands()[name]  # KeyError: we show a command that does not exist
    return app if isinstance(app, BaseCommand) else load_command_class(app, name)


def run(words: list[str]) -> str:
    """As from a shell, but in this process; what it wrote."""
    name, *arguments = words
    options = vars(command(name).create_parser("manage.py", name).parse_args(arguments))
    if name in NOT_RUN:
        return ""
    written = StringIO()
    positional = options.pop("args", ())
    command(name).execute(*positional, **options | {"stdout": written})
    return written.getvalue()


MANAGED = [each for each in SHOWN if each.managed]
OTHERS = [each for each in SHOWN if not each.managed]


def test_they_are_found() -> None:
    lines = {each.line for each in SHOWN}
    assert "manage.py raise_event order_paid ivan@example.com --key order:15 number=15" in lines
    assert "docker compose run --rm web python manage.py owner you@example.com" in lines
    assert {"make run", "make test", "docker compose up", "docker compose up -d"} <= lines
    assert any(each.where == "Makefile" and "demo --people 1000" in each.line for each in SHOWN)
    assert any(each.line.startswith("python -c ") for each in SHOWN)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shown", MANAGED, ids=str)
def test_what_goes_through_manage_py_runs(
    shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a line may write a file beside itself
    words = shown.managed
    assert words
    if words[0] in NEEDS:
        NEEDS[words[0]]()
    run(words)


@pytest.mark.parametrize(
    "shown", OTHERS + [each for each in MANAGED if "docker" in each.line], ids=str
)
def test_programs_targets_and_services_exist(shown: Shown) -> None:
    match shown.words:
        case ["make", *rest]:
            asked = [word for word in rest if "=" not in word]
            assert set(asked) <= set(targets())
        case ["docker", "compose", "up" | "stop", *rest]:
            assert set(rest) <= {"-d", "--build", *SERVICES}
        case ["docker", "compose", "run" | "exec" | "logs" | "restart", *rest]:
            # Of a volume, only the folder beside it is a word of its own.
            service = next(word for word in rest if not word.startswith(("-", "./")))
            assert service in SERVICES
        case ["manage.py"] | ["python"] | ["docker", "compose"] | ["docker", "compose", "ps"]:
            pass  # alone
        case ["docker", "compose", *_]:
            raise AssertionError(f"teach this test what {shown.line} needs")
        case [_python, "-m", module, *_rest]:
            assert importlib.util.find_spec(module)
        case ["python", "-c", code]:
            ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            assert ended.stdout.strip()
        case _:
            raise AssertionError(f"{shown} is no command line")


def test_every_template_that_fills_a_command_in_has_a_page_here() -> None:
    assert set(templates_that_fill_in()) <= set(PAGES)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("template", sorted(PAGES))
def test_what_pages_fill_in_runs(template: str, as_: As) -> None:
    lines = in_page(template, PAGES[template](as_).content.decode())
    assert lines
    for shown in lines:
        assert shown.managed
        run(shown.managed)
    assert Message.objects.count() == 1  # the example on the page sends what it says


# --- raise_event: in any order, on every Python ---------------------------------------------------
ORDERS = [
    "order_paid ivan@example.com --key order:15 number=15",
    "order_paid ivan@example.com number=15 --key order:15",
    "--key order:15 order_paid ivan@example.com number=15",
    "--key=order:15 order_paid ivan@example.com number=15",
    "order_paid --key order:15 ivan@example.com number=15",
    "order_paid ivan@example.com -v 1 number=15 --key order:15",
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("line", ORDERS)
def test_raise_event_takes_its_words_in_any_order(line: str) -> None:
    order_paid()
    assert run(["raise_event", *line.split()]).startswith("sent:")
    assert Message.objects.get().text == "Order 15 is paid"
    assert Message.objects.get().key == "order:15"


@pytest.mark.django_db(transaction=True)
def test_raise_event_says_what_is_wrong() -> None:
    order_paid()
    for words, said in (
        ("order_paid ivan@example.com --key 1 number", "write name=value"),
        ("order_paid nobody@example.com --key 1 number=15", "there is nobody"),
        ("nothing ivan@example.com --key 1 number=15", "there is no event"),
    ):
        with pytest.raises(CommandError, match=said):
            run(["raise_event", *words.split()])
    with pytest.raises((CommandError, SystemExit)):
        run(["raise_event", "order_paid", "ivan@example.com", "--nonsense", "number=15"])
    call_command("raise_event", "order_paid", "ivan@example.com", "number=15", key="order:16")
    assert Message.objects.count() == 1
