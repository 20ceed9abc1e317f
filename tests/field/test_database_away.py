"""The database is away, locked or full: a sentence with "try again" on every page, 503 at the webhooks, and
one line of log without an address. Source: the field's chaos run (the key of the receipt webhook in a
traceback, 66 MB of log in three minutes, sign-in at a full disk answers 500).
"""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.db import DatabaseError, OperationalError, connection, transaction
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.utils import timezone
from django.utils.translation import override

from integrations.models import Account, Receipt
from integrations.webhooks import storing
from mailings.models import Mailing
from smsmail.web import outages
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)
FORM = "application/x-www-form-urlencoded"
ON_SQLITE = not os.environ.get("DATABASE_URL")


# --- three ways in which a database does not serve -------------------------------------------
def locked() -> Callable[[], None]:
    """Somebody else holds it, and nobody waits for long."""
    other: Any
    if ON_SQLITE:
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        ask("PRAGMA busy_timeout = 50")
    else:
        other = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None})
        tables = "django_session, integrations_receipt, mailings_mailing, users_user"
        other.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
        ask("SET lock_timeout = '50ms'")

    def end() -> None:
        other.rollback()
        other.close()
        ask("PRAGMA busy_timeout = 20000" if ON_SQLITE else "SET lock_timeout = 0")

    return end


def full() -> Callable[[], None]:
    """Not a page more. PostgreSQL has no such switch, and takes nothing either as a standby."""
    if not ON_SQLITE:
        return read_only()
    [[pages]] = ask("PRAGMA page_count")
    ask(f"PRAGMA max_page_count = {pages}")
    for table, fields in ((Session, {"expire_date": timezone.now()}), (Receipt, {"account_id": 1})):
        try:
            for number in range(100_000):
                own = {"session_key": str(number)} if table is Session else {"body": "x" * 900}
                table.objects.create(**fields, **own)
        except DatabaseError:
            pass
    return lambda: switch("PRAGMA max_page_count = 1000000000")


def read_only() -> Callable[[], None]:
    """A file that may not be written, or a standby."""
    on, off = ("PRAGMA query_only = 1", "PRAGMA query_only = 0")
    if not ON_SQLITE:
        on, off = (f"SET default_transaction_read_only = {word}" for word in ("on", "off"))
    ask(on)
    return lambda: switch(off)


def switch(statement: str) -> None:
    ask(statement)


def ask(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(params=[locked, full], ids=["locked", "full"])
def trouble(request: pytest.FixtureRequest, account: Account, owner: User) -> Iterator[None]:
    end = request.param()
    yield
    end()


@pytest.fixture
def account(db: None) -> Account:
    return factories.smsc(id=1)


@pytest.fixture
def owner(db: None) -> User:
    return factories.owner()


@pytest.fixture
def visitor() -> Client:
    return Client(raise_request_exception=False)


def key_of(account: Account) -> str:
    return f"/hooks/smsc/{account.receipt_key}/"


# --- the webhook --------------------------------------------------------------------------------
def test_a_receipt_that_cannot_be_kept_is_put_off(
    account: Account, trouble: None, visitor: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        answer = visitor.post(key_of(account), "id=1&mes=" + "x" * 9000, content_type=FORM)
        assert (answer.status_code, answer.content) == (503, b"try again")
        assert int(answer.headers["Retry-After"]) > 0
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert account.receipt_key not in caplog.text
    assert "/hooks/" not in caplog.text
    assert "Traceback" not in caplog.text


def test_it_is_kept_when_the_service_calls_again(
    account: Account, visitor: Client, caplog: pytest.LogCaptureFixture
) -> None:
    end = locked()
    assert visitor.post(key_of(account), "id=1", content_type=FORM).status_code == 503
    end()
    assert visitor.post(key_of(account), "id=1", content_type=FORM).status_code == 200
    assert Receipt.objects.count() == 1


def test_any_other_mistake_keeps_the_key_to_itself_too(
    account: Account,
    visitor: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(storing, "store", broken)
    assert visitor.post(key_of(account), "id=1", content_type=FORM).status_code == 500
    assert visitor.put(key_of(account)).status_code == 405
    assert visitor.post(f"{key_of(account)[:-2]}/", "id=1", content_type=FORM).status_code == 404
    assert account.receipt_key[:-1] not in caplog.text
    assert "ZeroDivisionError" in caplog.text


# --- pages -----------------------------------------------------------------------------------
def is_the_page(answer: Any, *, sent: bool, language: str = "ru") -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    words = answer.content.decode()
    assert 'class="brand"' in words
    with override(language):
        assert render_to_string("503.html", {"sent": sent}) == words
    assert answer.headers["Content-Security-Policy"]


def test_the_sign_in_says_try_again(
    owner: User, trouble: None, visitor: Client, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"username": owner.email, "password": factories.PASSWORD}
    is_the_page(visitor.post("/sign-in/", fields), sent=True)
    assert "Internal Server Error" not in caplog.text
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    assert visitor.get("/sign-in/").status_code == 200


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("trouble_of", [locked, read_only], ids=["locked", "read-only"])
def test_the_launch_says_try_again_and_launches_nothing(
    owner: User,
    account: Account,
    visitor: Client,
    language: str,
    trouble_of: Callable[[], Callable[[], None]],
) -> None:
    User.objects.filter(pk=owner.pk).update(language=language, last_seen_at=timezone.now())
    factories.students(3)
    mailing = mailing_factories.draft()
    visitor.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    end = trouble_of()
    try:
        answer = visitor.post(f"/mailings/{mailing.pk}/launch/")
        is_the_page(answer, sent=True, language=language)
    finally:
        end()
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.DRAFT
    assert visitor.post(f"/mailings/{mailing.pk}/launch/").status_code < 500


def test_reading_goes_on_while_only_writing_is_in_trouble(
    owner: User, account: Account, visitor: Client
) -> None:
    visitor.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    end = full()
    try:
        assert visitor.get("/mailings/").status_code == 200
    finally:
        end()


# --- absent ----------------------------------------------------------------------------------
ABSENT = """
import django; django.setup()
import logging
from django.test import Client
visitor = Client(raise_request_exception=False, headers={"host": "localhost"})
visitor.cookies["sessionid"] = "a" * 32
for language in ("ru", "en"):
    for method, path in (
        ("get", "/"), ("get", "/mailings/"), ("post", "/sign-in/"), ("get", "/settings/integrations/"),
        ("post", "/hooks/smsc/a-secret-key/"), ("get", "/hooks/twilio/a-secret-key/"),
        ("get", "/r/abcdefghijklmnop"), ("get", "/me/"), ("get", "/nothing/"),
    ):
        answer = getattr(visitor, method)(
            path, {"username": "a", "password": "b"}, headers={"accept-language": language}
        )
        print(method, path, answer.status_code, answer.headers.get("Retry-After"),
              "Попробуйте" in answer.content.decode(), "Try again" in answer.content.decode())
"""


def test_an_absent_database_is_the_same_everywhere(tmp_path: Path) -> None:
    """Nobody listens at port 1."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "SECRET_KEY": "made-up",
        "FIELD_KEYS": Fernet.generate_key().decode(),
    }
    asked = subprocess.run(
        [sys.executable, "-c", ABSENT], env=environment, capture_output=True, text=True, timeout=60
    )
    said = [line.split() for line in asked.stdout.splitlines()]
    assert len(said) == 18, asked.stderr
    for number, (method, path, status, again, russian, english) in enumerate(said):
        if path == "/r/abcdefghijklmnop":
            assert status in {"404", "503"}
            continue
        assert (status, again) == ("503", str(outages.TRY_AGAIN)), (method, path)
        if not path.startswith("/hooks/"):
            assert (russian, english) == (str(number < 9), str(number >= 9)), (method, path)
    assert "a-secret-key" not in asked.stderr
    assert "Traceback" not in asked.stderr
    assert asked.stderr.count("the database does not serve") <= 3  # a page, a receipt, a click


# --- what is an outage, and how often it is written down -------------------------------------
def test_a_mistake_of_ours_is_no_outage() -> None:
    with pytest.raises(DatabaseError) as wrong, transaction.atomic():
        ask("SELECT nothing FROM nowhere")
    assert not outages.is_outage(wrong.value)
    assert not outages.is_outage(ValueError("x"))
    assert outages.is_outage(OperationalError("server closed the connection unexpectedly"))


def test_one_line_a_minute_says_how_many(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From several threads at once, too."""
    now = [1000.0]
    monkeypatch.setattr("smsmail.web.outages.time.monotonic", lambda: now[0])

    def say() -> None:
        for _ in range(500):
            outages.log_outage("a receipt", OperationalError())

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caplog.records) == 1
    now[0] += outages.EVERY
    outages.log_outage("a receipt", OperationalError())
    assert "1999 more" in caplog.records[1].getMessage()
    outages.log_outage("a page", OperationalError())
    assert len(caplog.records) == 3


def test_the_page_needs_neither_session_nor_database() -> None:
    request = RequestFactory().post("/somewhere/")
    answer = outages.page(request, OperationalError())
    assert answer.status_code == 503


# --- a database without its keys -------------------------------------------------------------
def test_a_database_put_back_without_its_keys_is_a_sentence(
    account: Account, owner: User, visitor: Client, settings: Any
) -> None:
    visitor.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    User.objects.filter(pk=owner.pk).update(language="en")
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    for address in ("/", "/settings/integrations/", "/settings/integrations/smsc/", "/mailings/"):
        answer = visitor.get(address)
        assert answer.status_code == 503, address
        assert "The keys do not fit this database" in answer.content.decode()
    answer = visitor.post(key_of(account), "id=1&phone=79980000001&status=1", content_type=FORM)
    assert (answer.status_code, answer.content) == (503, b"try again")
    assert not Receipt.objects.exists()
