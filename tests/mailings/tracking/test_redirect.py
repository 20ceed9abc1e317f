"""A click on a short link: written down, led on in any case, and neither sessions nor tokens on the way."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from mailings.models import Click, Link, Mailing, Message
from mailings.notifications import send
from mailings.text import tokens
from mailings.text.tokens import Purpose
from mailings.tracking import click_rows, link_cache, redirect, sign_in
from tests import factories
from tests.mailings import mailing_factories
from tests.mailings.tracking.test_classify import PEOPLE, PREVIEWS
from tests.processes import free_port
from users.models import User

pytestmark = pytest.mark.django_db
PHONE: dict[str, Any] = {"headers": {"user-agent": PEOPLE[0], "accept-language": "en"}}
OURS = "https://sms.example.com"


@pytest.fixture(autouse=True)
def here(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LANGUAGE_CODE = "en"
    settings.PUBLIC_URL = settings.SHORT_URL = OURS
    monkeypatch.setattr(redirect, "_away_until", 0.0)


@pytest.fixture
def mailing(db: None) -> Mailing:
    made = Mailing.objects.create(
        name="Webinar", state=Mailing.State.DONE, wrap_links=True, launched_at=timezone.now()
    )
    for position, url in enumerate(
        ["https://school.ru/a?b=c#d", "https://school.ru/?u={email|nobody}", f"{OURS}/me/"]
    ):
        Link.objects.create(mailing=made, position=position, url=url)
    return made


@pytest.fixture
def message(mailing: Mailing, student: User) -> Message:
    return to(student, mailing)


def to(person: User, mailing: Mailing, key: str = "") -> Message:
    return Message.objects.create(
        mailing=mailing,
        user=person,
        key=key or person.phone,
        phone=person.phone,
        status="delivered",
        submitted_at=timezone.now(),
    )


def link(message: Message, position: int = 0, purpose: Purpose = Purpose.CLICK) -> str:
    return f"/r/{tokens.make(message.pk, position, purpose)}"


def test_a_click_leads_on_and_is_written_down(client: Client, message: Message) -> None:
    answer = client.get(link(message), REMOTE_ADDR="192.0.2.77", **PHONE)
    assert answer.status_code == 302
    assert answer["Location"] == "https://school.ru/a?b=c#d"
    click = Click.objects.get()
    assert (click.message_id, click.mailing_id, click.position) == (
        message.pk,
        message.mailing_id,
        0,
    )
    assert (click.kind, click.method, click.user_agent) == ("person", "GET", PEOPLE[0])
    assert (click.signs, click.network) == ("", "192.0.2.0/24")
    assert abs((timezone.now() - click.at).total_seconds()) < 60
    assert click.processed_at is None


def test_it_takes_no_cookie_and_no_session_and_says_little(
    client: Client, message: Message, student: User, django_assert_num_queries: Any
) -> None:
    client.force_login(student, backend="django.contrib.auth.backends.ModelBackend")
    client.get(link(message), **PHONE)
    # The second of a process asks nothing: one statement, beside SQLite's own limits.
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 3):
        answer = client.get(link(message), **PHONE)
    assert not answer.cookies
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex"
    assert answer.content == b""


@pytest.mark.parametrize(
    ("method", "agent", "language", "kind"),
    [
        ("head", PEOPLE[0], "ru", "robot"),
        ("get", PREVIEWS[0], "ru", "preview"),
        ("get", PEOPLE[0], "", "robot"),
        ("get", "", "ru", "robot"),
        ("get", "a\0b" * 200, "ru", "robot"),
    ],
)
def test_everybody_is_answered_and_classed(
    client: Client, message: Message, method: str, agent: str, language: str, kind: str
) -> None:
    headers = {"user-agent": agent} | ({"accept-language": language} if language else {})
    answer = getattr(client, method)(link(message), headers=headers)
    assert answer["Location"] == "https://school.ru/a?b=c#d"
    click = Click.objects.get()
    assert click.kind == kind
    assert len(click.user_agent) <= 300


@pytest.mark.parametrize("method", ["post", "put", "delete", "options", "patch"])
def test_only_looking_is_allowed(
    client: Client, message: Message, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert getattr(client, method)(link(message)).status_code == 405
    assert "/r/" not in caplog.text
    assert not Click.objects.exists()


def test_variables_are_those_of_the_person_as_they_are_now(
    client: Client, message: Message, student: User
) -> None:
    User.objects.filter(pk=student.pk).update(email="new&x=1@example.com")
    answer = client.get(link(message, 1), **PHONE)
    assert answer["Location"] == "https://school.ru/?u=new%26x%3D1%40example.com"
    student.delete()
    assert client.get(link(message, 1), **PHONE)["Location"] == "https://school.ru/?u=nobody"


def test_the_messages_of_two_mailings_are_told_apart_one_by_one(
    client: Client, mailing: Mailing, student: User
) -> None:
    other = Mailing.objects.create(name="Other", state=Mailing.State.DONE)
    Link.objects.create(mailing=other, position=0, url="https://other.ru")
    mixed = [to(student, (mailing, other)[n % 2], f"key {n}") for n in range(6)]
    for n, each in enumerate(mixed):
        leads = client.get(link(each), **PHONE)["Location"]
        assert leads == ("https://school.ru/a?b=c#d", "https://other.ru")[n % 2]
    later = to(student, other, "later")  # into a block that is remembered already
    assert client.get(link(later), **PHONE)["Location"] == "https://other.ru"


def test_what_is_remembered_has_an_end(
    client: Client, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_cache, "BLOCK", 1)
    monkeypatch.setattr(link_cache, "BLOCKS", 2)
    person = message.user
    assert person
    for n in range(5):
        assert client.get(link(to(person, message.mailing, f"key {n}"))).status_code == 302
    assert len(link_cache._blocks) == 2
    assert client.get(link(message)).status_code == 302


def test_links_of_a_test_message_lead_where_the_draft_says_now(client: Client, owner: User) -> None:
    factories.simulator()
    draft = mailing_factories.draft(text="https://school.ru/old", wrap_links=True)
    message = send.send_test(draft, owner, owner, "+79980000009")
    assert client.get(link(message))["Location"] == "https://school.ru/old"
    Mailing.objects.filter(pk=draft.pk).update(text="https://school.ru/new {email}")
    assert client.get(link(message))["Location"] == "https://school.ru/new"
    assert client.get(link(message, 1)).status_code == 404
    Mailing.objects.filter(pk=draft.pk).delete()
    assert client.get(link(message)).status_code == 404


# --- links that are none ----------------------------------------------------------------------
def test_unknown_and_broken_links_get_one_neutral_page(
    client: Client, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    good = link(message)
    paths = [
        "/r/",
        "/r/abc",
        "/r/a/b",
        "/r/абв",
        "/r/%00",
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good + "/",
        good + "%20",
        f"/r/{tokens.make(message.pk + 1, 0, Purpose.CLICK)}",
        f"/r/{tokens.make(message.pk, 9, Purpose.CLICK)}",
    ]
    with caplog.at_level(logging.DEBUG):
        answers = [client.get(path, **PHONE) for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert "This link leads nowhere" in answers[0].content.decode()
    assert not any(answer.cookies for answer in answers)
    assert answers[0]["X-Robots-Tag"] == "noindex"
    assert "/r/" not in caplog.text
    assert not Click.objects.exists()


def test_it_speaks_the_language_of_the_browser(client: Client) -> None:
    page = client.get("/r/abc", headers={"accept-language": "ru"}).content.decode()
    assert '<html lang="ru">' in page


def test_a_network_that_guesses_must_wait_and_others_need_not(
    client: Client, message: Message
) -> None:
    for n in range(redirect.WRONG):
        assert client.get(f"/r/{n:012}", REMOTE_ADDR="192.0.2.1").status_code == 404
    answer = client.get("/r/abc", REMOTE_ADDR="192.0.2.99")
    assert answer.status_code == 429
    assert answer["Retry-After"]
    assert client.get("/r/abc", REMOTE_ADDR="198.51.100.1").status_code == 404
    for address in (
        "192.0.2.1",
        "192.0.2.99",
        "198.51.100.1",
    ):  # thousands of phones share a network
        assert client.get(link(message), REMOTE_ADDR=address).status_code == 302


# --- without the database ---------------------------------------------------------------------
def their_own() -> dict[str, Any]:
    """For a connection to the same PostgreSQL beside ours."""
    given = connection.get_connection_params()
    return {name: given[name] for name in ("host", "port", "dbname", "user") if given.get(name)}


@contextmanager
def locked() -> Iterator[None]:
    """Somebody else holds the table of clicks, and does not let go."""
    if connection.vendor == "postgresql":
        with psycopg.connect(**their_own()) as other:
            other.execute("LOCK TABLE mailings_click IN ACCESS EXCLUSIVE MODE")
            yield
            other.rollback()
        return
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


@contextmanager
def away() -> Iterator[None]:
    """Nobody listens where the database was, and what was connected is gone."""
    named = "PORT" if connection.vendor == "postgresql" else "NAME"
    usual = connection.settings_dict[named]
    connection.close()
    connection.settings_dict[named] = free_port() if named == "PORT" else "/nowhere/at/all.sqlite3"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict[named] = usual


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trouble", [locked, away])
def test_a_link_leads_on_without_the_database(
    client: Client, message: Message, mailing: Mailing, trouble: Callable[[], Any]
) -> None:
    assert client.get(link(message), **PHONE).status_code == 302
    neighbour = to(factories.person("petr", phone="+79980000077"), mailing)
    client.get(link(neighbour), **PHONE)
    # A session would be looked up in the database before any page.
    client.force_login(neighbour.user or User(), "django.contrib.auth.backends.ModelBackend")
    with trouble():
        for _ in range(3):
            answer = client.get(link(message), **PHONE)
            assert answer["Location"] == "https://school.ru/a?b=c#d"
        variables = client.get(link(message, 1), **PHONE)["Location"]
        ours = client.get(link(message, 2, Purpose.SIGN_IN), **PHONE)["Location"]
    assert variables.startswith("https://school.ru/?u=")
    assert ours == "/in/"
    assert Click.objects.count() == 2
    redirect._away_until = 0.0
    assert client.get(link(message), **PHONE).status_code == 302
    assert Click.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_ended_loses_no_click(
    client: Client, message: Message
) -> None:
    client.get(link(message), **PHONE)
    if connection.vendor == "postgresql":
        pid = connection.connection.info.backend_pid
        with psycopg.connect(**their_own(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    else:
        connection.close()
    assert client.get(link(message), **PHONE).status_code == 302
    assert Click.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_after_a_lock_the_database_is_as_patient_as_before(
    client: Client, message: Message
) -> None:
    client.get(link(message), **PHONE)
    with locked():
        client.get(link(message), **PHONE)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)
        else:
            cursor.execute("PRAGMA busy_timeout")
            assert cursor.fetchone() == (20_000,)


@pytest.mark.django_db(transaction=True)
def test_what_is_not_remembered_asks_to_come_again(client: Client, message: Message) -> None:
    with away():
        answer = client.get(link(message), **PHONE)
        until = redirect._away_until
        for _ in range(5):  # nobody waits for it anew
            assert client.get(link(message), **PHONE).status_code == 503
        assert redirect._away_until == until > 0
    redirect._away_until = 0.0
    assert answer.status_code == 503
    assert "Follow the link again in a minute" in answer.content.decode()
    assert client.get(link(message), **PHONE).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_left_alone_for_a_moment(
    client: Client, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get(link(message), **PHONE)
    asked: list[int] = []

    def insert(*_: Any) -> None:
        asked.append(1)
        connection.close()
        raise DatabaseError

    monkeypatch.setattr(click_rows, "insert", insert)
    for _ in range(5):
        assert client.get(link(message), **PHONE).status_code == 302
    assert len(asked) == 1


# --- links that sign in -----------------------------------------------------------------------
def test_a_link_that_signs_in_goes_to_its_page_and_is_a_click_too(
    client: Client, message: Message
) -> None:
    answer = client.get(link(message, 2, Purpose.SIGN_IN), **PHONE)
    assert answer["Location"] == "/in/"
    assert list(answer.cookies) == [sign_in.COOKIE]
    page = client.get("/in/")
    assert client.get("/me/").status_code == 302
    assert client.post("/in/", {"visit": page.context["visit"]})["Location"] == "/me/"
    assert client.get("/me/").status_code == 200
    assert Click.objects.get().kind == "person"


def test_a_preview_of_a_link_that_signs_in_gets_nothing(client: Client, message: Message) -> None:
    preview = {"user-agent": PREVIEWS[0], "accept-language": "ru"}
    page = client.get(link(message, 2, Purpose.SIGN_IN), headers=preview, follow=True)
    assert page.status_code == 200
    assert '<html lang="ru">' in page.content.decode()
    assert "Ivan" not in page.content.decode()
    assert Click.objects.get().kind == "preview"
    assert client.get("/me/").status_code == 302


def test_a_token_to_count_clicks_signs_nobody_in(client: Client, message: Message) -> None:
    assert client.get(link(message, 2), **PHONE)["Location"] == f"{OURS}/me/"


def test_a_token_to_sign_in_leads_to_no_other_site(client: Client, message: Message) -> None:
    """Had a host been ours once, and be no longer."""
    page = client.get(link(message, 0, Purpose.SIGN_IN), **PHONE)["Location"]
    visit = client.get(page).context["visit"]
    assert client.post("/in/", {"visit": visit})["Location"] == "/me/"
