"""From the penetration test (security.md, S2): unfinished bodies and floods of sign-ins, against the web
server as `make run` and the image start it. Forty of them held every thread for as long as they liked.
"""

import asyncio
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from cryptography.fernet import Fernet

from smsmail.management.commands.serve import WEB
from smsmail.web import front
from smsmail.web.front import Front
from tests.processes import MANAGE, ROOT, Running, free_port, wait_until

# The image's command is run by tests/test_compose.py; both name the same application.
TOKEN = "a" * 32


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The web server of the embedded shape, on an SQLite database without anybody."""
    room, chosen = tmp_path_factory.mktemp("web"), free_port()
    environment = {
        "DATA_DIR": str(room / "data"),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "PUBLIC_URL": "",
        "SECRET_KEY": "made-up-" * 8,
        "FIELD_KEYS": Fernet.generate_key().decode(),
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    migrated = Running((*MANAGE, "migrate", "-v", "0"), environment, room / "migrate.log")
    assert migrated.process.wait(120) == 0, migrated.output
    command = [str(chosen) if word == "8000" else word for word in WEB]
    command[command.index("--port") + 1] = str(chosen)
    web = Running(command, environment, room / "web.log")
    try:
        wait_until(lambda: reachable(chosen), 60, "the web server")
        yield chosen
    finally:
        web.kill()
        assert "Traceback" not in web.output


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def health(port: int) -> float:
    """Seconds until it answered."""
    began = time.monotonic()
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    web.request("GET", "/health/")
    assert web.getresponse().status == 200
    return time.monotonic() - began


def slow(port: int, path: str, length: int = 1000) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: csrftoken={TOKEN}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {length}\r\n\r\nusername="
    )
    one.sendall(head.encode())
    return one


@pytest.mark.parametrize("path", ["/sign-in/", "/in/", "/hooks/smsc/made-up/", "/language/"])
def test_sixty_unfinished_bodies_hold_nobody_up(port: int, path: str) -> None:
    health(port)
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(slow(port, path))
        # A held thread would answer after the bodies' time, or never; the best of three, because the
        # machine may be busy with other tests.
        waits = [health(port) for _ in range(3)]
        assert min(waits) < 1
        assert max(waits) < front.PATIENCE / 2


def test_a_body_that_does_not_come_is_given_up(port: int) -> None:
    with slow(port, "/sign-in/") as one:
        one.settimeout(front.PATIENCE + 10)
        assert one.recv(100).startswith(b"HTTP/1.1 408")


def test_drops_do_not_keep_it_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is no body either; a slow line that moves is let finish."""
    monkeypatch.setattr(front, "PATIENCE", 0.2)
    assert asyncio.run(asked([b"x"] * 50, pause=0.02))["status"] == 408
    steady: list[bytes | None] = [b"x" * 4096] * 10
    answer = asyncio.run(asked(steady, pause=0.05))
    assert (answer["status"], answer["body"]) == (200, b"40960")


def test_one_that_is_too_long_is_refused_at_once() -> None:
    assert asyncio.run(asked([b"x" * 1_000_000] * 4))["status"] == 413
    assert asyncio.run(asked([b"x"], length=front.LONGEST + 1))["status"] == 413


def test_the_oldest_unfinished_one_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "UNFINISHED", 2)

    async def flood() -> list[dict[str, Any]]:
        served = Front(length_of_body, 2)
        waiting = [
            asyncio.create_task(asked([b"x", None], served=served, pause=5)) for _ in range(4)
        ]
        done, left = await asyncio.wait(waiting, timeout=1)
        whole = await asked([b"whole"], served=served)
        for task in left:
            task.cancel()
        return [*(task.result() for task in done), whole]

    answers = asyncio.run(flood())
    assert [answer["status"] for answer in answers] == [408, 408, 200]


def length_of_body(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(environ["wsgi.input"].read())).encode()]


async def asked(
    parts: list[bytes | None],
    *,
    pause: float = 0,
    length: int | None = None,
    served: Front | None = None,
) -> dict[str, Any]:
    """What Front answers to a body that comes in these parts; None: nothing more ever comes."""
    left, answer = list(parts), {}

    async def receive() -> dict[str, Any]:
        part = left.pop(0)
        await asyncio.sleep(3600 if part is None else pause)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message: Any) -> None:
        answer.update(message)

    chunks = (b"transfer-encoding", b"chunked")
    headers = [(b"content-length", str(length).encode()) if length else chunks]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "http_version": "1.1",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": None,
    }
    await (served or Front(length_of_body, 2))(scope, receive, send)
    return answer


# --- the request arrives as it was sent ---------------------------------------------------------
def seen(*headers: tuple[bytes, bytes], **scope: Any) -> dict[str, Any]:
    return front.environ_of(
        {
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "http_version": "1.1",
            "headers": list(headers),
            "client": ("192.0.2.1", 5),
            "scheme": "http",
            **scope,
        },
        b"abc",
    )


def test_headers_become_what_wsgi_calls_them() -> None:
    environ = seen(
        (b"content-type", b"text/plain"),
        (b"content-length", b"99"),
        (b"x-forwarded-for", b"6.6.6.6"),
        (b"x-forwarded-for", b"203.0.113.5"),
        (b"x_forwarded_for", b"7.7.7.7"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        path="/я",
        raw_path=b"/%D1%8F%ff%00",
        query_string=b"a=%20&b=\xff",
    )
    assert environ["HTTP_X_FORWARDED_FOR"] == "6.6.6.6,203.0.113.5"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["CONTENT_LENGTH"] == "3"
    assert environ["PATH_INFO"].encode("latin1") == "/я".encode() + b"\xff\0"
    assert environ["QUERY_STRING"] == "a=%20&b=\xff"
    assert environ["REMOTE_ADDR"] == "192.0.2.1"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.5:4431"},
        {"X-Forwarded-For": "garbage"},
        {"X-Forwarded-For": "[2001:db8::1]:99", "X-Forwarded-Proto": "gopher, https"},
        {"Forwarded": "for=;;;", "X-Forwarded-For": ""},
        {"Host": "evil.example.com"},
        {"Cookie": "\xff=\xfe; csrftoken"},
    ],
)
def test_no_header_is_an_error_of_ours(port: int, headers: dict[str, str]) -> None:
    form = f"csrfmiddlewaretoken={TOKEN}&username=a@example.com&password=wrong"
    usual = {
        "Cookie": f"csrftoken={TOKEN}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    web.request("POST", "/sign-in/", form, usual | headers)
    assert web.getresponse().status < 500


@pytest.mark.parametrize("path", ["/static/css/app.css", "/robots.txt", "/sign-in/"])
def test_pages_and_files_come_whole(port: int, path: str) -> None:
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    web.request("GET", path)
    answer = web.getresponse()
    body = answer.read()
    assert (answer.status, len(body)) == (200, int(answer.headers["Content-Length"]))
    web.request("HEAD", path)
    head = web.getresponse()
    assert (head.status, head.read()) == (200, b"")
    assert web.sock is not None  # the connection is kept


def test_a_flood_of_sign_ins_leaves_room_for_others(port: int) -> None:
    """Each from another network, so that it is the hashing alone that is bounded."""
    answers: list[int] = []

    def sign_in(number: int) -> None:
        form = f"csrfmiddlewaretoken={TOKEN}&username=a{number}@example.com&password=wrong"
        headers = {
            "Cookie": f"csrftoken={TOKEN}",
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Forwarded-For": f"198.{number}.1.1",
        }
        web = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        web.request("POST", "/sign-in/", form, headers)
        answers.append(web.getresponse().status)

    threads = [threading.Thread(target=sign_in, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    waits = [health(port) for _ in range(3)]
    for thread in threads:
        thread.join()
    assert set(answers) == {200, 429}
    assert min(waits) < 1


def test_both_shapes_serve_it() -> None:
    image = (ROOT / "Dockerfile").read_text().rpartition("CMD ")[2]
    words = re.findall(r'"([^"]+)"', image)
    assert "smsmail.asgi:application" in words
    assert "smsmail.asgi:application" in WEB
    assert words[words.index("--interface") + 1] == WEB[WEB.index("--interface") + 1] == "asginl"
