"""Fixtures for every test: the people of people.py, signed-in browsers of theirs, and a guard that
fails any test that reaches for an address outside this machine.
"""

import gc
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, TransactionTestCase
from django.utils import timezone, translation

from integrations.providers import burst, connections
from mailings.sending import epoch
from mailings.tracking import link_cache
from smsmail.jobs import epoch_file, watchdog
from smsmail.web import outages
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

pytest_plugins = ["tests.emulators.fixtures"]

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# Their processes open a database themselves, by the environment.
LONG = {
    *("crash", "test_celery.py", "test_compose.py", "test_serve.py", "test_standstill.py"),
    *("test_backup.py", "test_database_away.py", "test_slow_bodies.py"),
    *("test_ban_between_processes.py", "test_pace_in_any_second.py"),
    *("test_any_order.py", "test_on_entry_any_order.py", "test_audience.py", "test_every_page.py"),
}
ON_THEIR_OWN = {"crash", "test_compose.py", "test_runworker.py"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database-only",
        action="store_true",
        help="leave out tests that never open the database, and those marked only_sqlite",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, so that no process has to wait for one at the end. On the second database, what
    does not touch it has nothing new to say.
    """
    items.sort(key=lambda item: not _takes_long(item))
    if not config.getoption("--database-only"):
        return
    config.hook.pytest_deselected(items=[item for item in items if not _has_more_to_say(item)])
    items[:] = filter(_has_more_to_say, items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays to the end: the collector of garbage, who walked over all of
    it again and again, took an eighth of the processor time of the tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _takes_long(item: pytest.Item) -> bool:
    return bool(LONG & set(item.path.parts))


def _has_more_to_say(item: pytest.Item) -> bool:
    asked = {"db", "transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
    own = ON_THEIR_OWN & set(item.path.parts)
    if item.get_closest_marker("only_sqlite"):
        return False
    return bool(asked or own or item.get_closest_marker("django_db"))


@pytest.fixture(scope="session", autouse=True)
def quick_cleaning() -> Iterator[None]:
    """Django's flush, after each test that commits, also writes the permissions of all models anew, which
    nobody asks here: 46 ms. And PostgreSQL truncates 40 tables, a new file for each, more slowly than it
    deletes the few rows of a test.
    """

    def delete(case: TransactionTestCase) -> None:
        tables = connection.introspection.django_table_names(only_existing=True)
        name = connection.ops.quote_name
        # Names of our own tables.
        statements = [f"DELETE FROM {name(table)}" for table in tables]  # noqa: S608
        connection.ops.execute_sql_flush(statements)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", delete)
        yield


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Scrypt takes 0.2 s by design; tests sign in hundreds of times."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def nothing_remembered(settings: Any, cache_folder: Path) -> None:
    """The cache outlives the rows of a test, and so does what short links know, and the language of the
    last page. It is the product's own, in a folder of this test process: nothing can be kept here that
    Redis could not keep.
    """
    settings.CACHES = {
        "default": {"BACKEND": "smsmail.web.cache.Files", "LOCATION": str(cache_folder)}
    }
    translation.deactivate()
    cache.clear()
    link_cache.forget()
    outages.forget()
    burst.forget()
    connections.forget()


@pytest.fixture(scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def state_dir(settings: Any, state_folder: Path) -> Path:
    """Each test has a new database; what an earlier one has noted outside it would make it a copy."""
    settings.STATE_DIR = state_folder
    (state_folder / epoch_file.NAME).unlink(missing_ok=True)
    epoch.forget()
    return state_folder


@pytest.fixture(autouse=True)
def just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works here: pages would say so as soon as this process has run for a minute."""
    monkeypatch.setattr(watchdog, "STARTED", time.monotonic())


@pytest.fixture(autouse=True)
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real sockets on loopback are welcome; anything else is a mistake in the test."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise AssertionError(f"a test reaches for {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def no_countdown(request: pytest.FixtureRequest) -> None:
    """A launch begins at once in tests that open the database; mailing_factories.policy() says otherwise."""
    asked = {"db", "transactional_db", "live_server"} & set(request.fixturenames)
    if asked or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("db")
        mailing_factories.policy()


@pytest.fixture
def owner(db: None) -> User:
    """The owner."""
    return factories.owner()


@pytest.fixture
def administrator(db: None) -> User:
    """An administrator, not responsible for the account."""
    return factories.administrator()


@pytest.fixture
def manager(db: None) -> User:
    """The manager: an employee with every right that is about mailings and people."""
    return factories.manager()


@pytest.fixture
def employee(db: None) -> User:
    """An employee without any right."""
    return factories.employee()


@pytest.fixture
def student(db: None) -> User:
    """A student."""
    return factories.student()


@pytest.fixture
def as_(client: Client) -> Callable[[User], Client]:
    """A test client signed in as the person."""

    def sign_in(user: User) -> Client:
        # As if seen a moment ago: the first page must not cost a query more than the second.
        User.objects.filter(pk=user.pk).update(last_seen_at=timezone.now())
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
