"""Whether the short domain leads here: asked over real sockets on loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from integrations.short_domain import views
from integrations.short_domain.views import Finding, check
from users.models import User


@pytest.fixture(autouse=True)
def quick(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LANGUAGE_CODE = "en"
    settings.CONNECT_TIMEOUT = 1
    monkeypatch.setattr(views, "WAIT", 1)


@pytest.fixture
def peer() -> Iterator[Callable[[bytes | None], int]]:
    """Listens, and answers with these bytes; None: never."""
    servers = []

    def listen(raw: bytes | None) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=_serve, args=[server, raw], daemon=True).start()
        return int(server.getsockname()[1])

    yield listen
    for server in servers:
        server.close()


def _serve(server: socket.socket, raw: bytes | None) -> None:
    connection, _address = server.accept()
    with connection:
        connection.settimeout(5)
        connection.recv(65536)
        if raw is None:
            connection.recv(65536)  # until the other side has had enough
        else:
            connection.sendall(raw)


@pytest.mark.django_db(transaction=True)
def test_it_knows_that_it_is_us(live_server: LiveServer, settings: Any) -> None:
    settings.SHORT_URL = live_server.url
    assert check() == views.ALL_WELL


def test_another_installation_answers_otherwise(client: Client, settings: Any) -> None:
    ours = client.get("/echo/abc/").content
    assert client.get("/echo/abd/").content != ours
    settings.SECRET_KEY = "another"
    assert client.get("/echo/abc/").content != ours


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello", views.NOT_LED_HERE),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", views.NOT_LED_HERE),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", views.NOT_LED_HERE),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            views.REDIRECTS,
        ),
        (b"garbage", views.BROKEN),
        (b"", views.BROKEN),
        (None, views.SILENT),
    ],
    ids=["other", "404", "502", "redirect", "garbage", "cut", "silent"],
)
def test_it_says_what_answered(
    peer: Callable[[bytes | None], int], settings: Any, raw: bytes | None, finding: Finding
) -> None:
    settings.SHORT_URL = f"http://127.0.0.1:{peer(raw)}"
    assert check() == finding


def test_it_says_that_no_secure_connection_comes_about(
    peer: Callable[[bytes | None], int], settings: Any
) -> None:
    settings.SHORT_URL = f"https://127.0.0.1:{peer(b'HTTP/1.1 400 Bad Request')}"
    assert check() == views.CERTIFICATE


def test_it_says_that_nothing_listens(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.SHORT_URL = f"http://127.0.0.1:{port}"
    assert check() == views.REFUSED


def test_it_says_that_there_is_no_such_host(settings: Any) -> None:
    settings.SHORT_URL = "http://short.invalid"
    assert check() == views.NO_HOST


@pytest.mark.django_db
def test_the_page_says_it_in_words(
    as_: Callable[[User], Client], owner: User, settings: Any
) -> None:
    settings.SHORT_URL = "http://short.invalid"
    client = as_(owner)
    assert "There is no such host" not in client.get("/settings/short-domain/").content.decode()
    page = client.post("/settings/short-domain/").content.decode()
    assert "There is no such host" in page
    assert "Add a DNS record" in page
