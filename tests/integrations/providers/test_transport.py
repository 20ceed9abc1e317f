"""Both ways to the network against real sockets: what counts as surely not sent, what does not. transport.py
is on requests; submission.py, which sends the messages, is on http.client and keeps connections
(test_submission.py).
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from integrations.providers import connections, submission, transport
from integrations.providers.transport import Answer, Failure, get
from smsmail.uptime import clock
from tests.integrations.providers.peers import (
    OK,
    Behaviour,
    Peer,
    answering,
    certificate,
    drip,
    hang,
    in_tls,
    peer,
    read,
    read_and_reset,
    reset,
    silence,
    trusted,
)
from tests.processes import wait_until

__all__ = ["certificate", "peer", "trusted"]  # fixtures

Post = Callable[..., Answer]
# What urllib3 calls the errors that http.client lets through.
ITS_NAMES = {
    "ConnectionRefusedError": "NewConnectionError",
    "gaierror": "NameResolutionError",
    "TimeoutError": "ConnectTimeoutError",
    "SSLCertVerificationError": "SSLError",
}


@pytest.fixture(params=[transport.post, submission.post], ids=["transport", "submission"])
def send(request: pytest.FixtureRequest) -> Post:
    def post(url: str, seconds: float = 60, **more: Any) -> Answer:
        content = {"data": {"text": "Hello"}} | more if "json" not in more else more
        answer: Answer = request.param(url, deadline=clock() + seconds, **content)
        return answer

    return post


@pytest.fixture(autouse=True)
def short_waits(settings: Any) -> None:
    settings.CONNECT_TIMEOUT = 1.5
    settings.READ_TIMEOUT = 0.5


# --- answers ---------------------------------------------------------------------------------


def test_it_posts_a_form_and_returns_the_answer(peer: Peer, send: Post) -> None:
    came: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        came.append(read(connection))
        connection.sendall(OK + b"Content-Length: 6\r\n\r\n\xd0\x94\xd0\xb0\xff!")

    assert send(peer(behave), auth=("user", "word")) == Answer(200, "Да\ufffd!")
    head, body = came[0].split(b"\r\n\r\n")
    assert body == b"text=Hello"
    assert {
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Length: 10",
        b"Authorization: Basic dXNlcjp3b3Jk",
    } <= set(head.split(b"\r\n"))


def test_it_posts_json(peer: Peer, send: Post) -> None:
    came: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        came.append(read(connection))
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    assert send(peer(behave), json={"a": "Да"}) == Answer(200, "{}")
    assert came[0].endswith('{"a": "Да"}'.encode())


def test_it_gets_and_sends_no_body(peer: Peer) -> None:
    asked: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    params = {"To": "+79980000001"}
    answer = get(f"{peer(behave)}list", params=params, deadline=clock() + 60, auth=("a", "b"))
    assert answer == Answer(200, "ok")
    head = asked[0].decode()
    assert head.startswith("GET /list?To=%2B79980000001 HTTP/1.1\r\n")
    assert head.endswith("\r\n\r\n")
    assert "Content-Length: 0\r\n" in head
    assert "Authorization: Basic YTpi\r\n" in head
    assert "chunked" not in head


@pytest.mark.parametrize("behave", [hang, drip(OK + b"Content-Length: 99\r\n\r\n")])
def test_it_waits_for_what_it_gets_no_longer_than_for_anything(
    peer: Peer, behave: Behaviour
) -> None:
    began = time.monotonic()
    assert get(peer(behave), deadline=clock() + 60).failure == Failure.UNKNOWN
    assert time.monotonic() - began < 3


def test_it_gets_nothing_after_the_deadline(peer: Peer) -> None:
    asked: list[bytes] = []
    answer = get(peer(lambda connection: asked.append(connection.recv(9))), deadline=clock())
    assert answer.failure == Failure.UNSENT
    assert not asked


@pytest.mark.parametrize("status", [302, 404, 429, 500, 503])
def test_it_returns_any_status_and_follows_no_redirect(peer: Peer, status: int, send: Post) -> None:
    asked: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        asked.append(read(connection))
        connection.sendall(
            b"HTTP/1.1 %d Odd\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nno" % status
        )

    assert send(peer(behave)) == Answer(status, "no")
    assert len(asked) == 1


def test_it_reads_an_answer_that_ends_with_the_connection(peer: Peer, send: Post) -> None:
    assert send(peer(answering(OK + b"\r\nfine"))) == Answer(200, "fine")


@pytest.mark.parametrize(
    ("headers", "date", "seconds"),
    [
        (
            b"Date: Sat, 28 Nov 2026 11:00:00 GMT\r\nRetry-After: 90\r\n",
            datetime(2026, 11, 28, 11, tzinfo=UTC),
            90,
        ),
        (
            b"Date: Sat, 28 Nov 2026 11:00:00 GMT\r\nRetry-After: Sat, 28 Nov 2026 11:02:00 GMT\r\n",
            datetime(2026, 11, 28, 11, tzinfo=UTC),
            120,
        ),
        (b"Date: yesterday\r\nRetry-After: soon\r\n", None, None),
        (b"Retry-After: -5\r\n", None, None),
        (b"Retry-After: Sat, 01 Jan 2000 00:00:00 GMT\r\n", None, 0),
        (b"Date: Sat, 99 Nov 99999 11:00:00 GMT\r\n", None, None),
        (b"", None, None),
    ],
)
def test_it_tells_the_services_clock_and_how_long_it_wants_us_to_wait(
    peer: Peer, headers: bytes, date: datetime | None, seconds: float | None, send: Post
) -> None:
    start = b"HTTP/1.1 429 Too Many\r\nConnection: close\r\n"
    answer = send(peer(answering(start + headers + b"\r\nlater")))
    assert (answer.status, answer.body, answer.date) == (429, "later", date)
    assert answer.retry_after == seconds


def test_it_uses_no_proxy_of_the_environment(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, send: Post
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert send(peer(answering(OK + b"Content-Length: 2\r\n\r\nok"))).status == 200


# --- surely not sent -------------------------------------------------------------------------


def assert_unsent(answer: Answer, error: str) -> None:
    assert (answer.status, answer.body, answer.failure) == (0, "", Failure.UNSENT)
    assert error in (answer.error, ITS_NAMES.get(answer.error))


def test_it_sends_nothing_after_the_deadline(peer: Peer, send: Post) -> None:
    connections: list[object] = []
    assert_unsent(send(peer(connections.append), seconds=0), "TooLate")
    time.sleep(0.1)
    assert not connections


def test_it_knows_a_refused_connection(send: Post) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert_unsent(send(f"http://127.0.0.1:{port}/"), "NewConnectionError")


def test_it_knows_a_name_that_does_not_exist(send: Post) -> None:
    assert_unsent(send("http://nowhere.invalid/"), "NameResolutionError")


def test_it_knows_an_address_that_is_none(send: Post) -> None:
    assert_unsent(send("http://"), "InvalidURL")


def test_it_knows_a_connection_that_nobody_takes(send: Post) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # the queue is full; further calls are not even answered
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        began = time.monotonic()
        answer = send(f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert_unsent(answer, "ConnectTimeoutError")
    assert time.monotonic() - began < 5


def test_it_knows_tls_to_a_port_that_has_none(peer: Peer, send: Post) -> None:
    url = peer(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), "https")
    assert_unsent(send(url), "SSLError")


def test_it_knows_a_certificate_that_is_not_trusted(
    peer: Peer, certificate: Path, send: Post
) -> None:
    assert_unsent(send(peer(in_tls(certificate, hang), "https")), "SSLError")


def test_it_talks_to_whom_it_trusts_and_to_nobody_in_their_name(
    peer: Peer, certificate: Path, trusted: None, send: Post
) -> None:
    """The certificate is for 127.0.0.1."""
    behave = in_tls(certificate, answering(OK + b"Content-Length: 2\r\n\r\nok"))
    url = peer(behave, "https")
    assert send(url) == Answer(200, "ok")
    other = send(url.replace("127.0.0.1", "localhost"))
    assert_unsent(other, "SSLError")


def test_it_knows_a_handshake_that_never_ends(peer: Peer, send: Post) -> None:
    answer = send(peer(hang, "https"))
    assert (answer.status, answer.failure) == (0, Failure.UNSENT)


def test_it_looks_at_the_deadline_again_when_connecting_took_long(
    peer: Peer, certificate: Path, trusted: None, send: Post
) -> None:
    came: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        time.sleep(0.3)
        in_tls(certificate, lambda tls: came.append(tls.recv(65536)))(connection)

    assert_unsent(send(peer(behave, "https"), seconds=0.2), "TooLate")
    assert b"Hello" not in b"".join(came)


# --- may have arrived ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(hang, id="silence after reading"),
        pytest.param(lambda _connection: time.sleep(1), id="silence without reading"),
        pytest.param(silence, id="cut before reading"),
        pytest.param(lambda connection: read(connection) and None, id="cut after reading"),
        pytest.param(read_and_reset, id="reset"),
        pytest.param(answering(b"HTTP/1.1 20"), id="half a status line"),
        pytest.param(answering(OK + b"Content-Length: 9\r\n\r\nhalf"), id="half a body"),
        pytest.param(
            answering(OK + b"Content-Length: 9\r\n\r\nhalf", then=reset), id="half, then reset"
        ),
        pytest.param(
            answering(OK + b"Content-Length: 9\r\n\r\nhalf", then=hang), id="half, then silence"
        ),
        pytest.param(
            answering(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), id="chunks cut"
        ),
        pytest.param(
            answering(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n"), id="chunks broken"
        ),
        pytest.param(
            answering(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf"),
            id="not the gzip it says",
        ),
        pytest.param(answering(b"\xff\xfe garbage\r\n\r\n"), id="garbage"),
        pytest.param(answering(b"SSH-2.0-OpenSSH_9.2\r\n"), id="another protocol"),
        pytest.param(answering(OK + b"A: b\r\n" * 500 + b"\r\n"), id="too many headers"),
        pytest.param(
            answering(OK + b"Content-Length: 2000000\r\n\r\n" + b"x" * 2_000_000), id="huge body"
        ),
        pytest.param(answering(OK + b"\r\n" + b"x" * 2_000_000), id="huge body without a length"),
        pytest.param(
            answering(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n" + b"x" * 2_000_000),
            id="huge redirect",
        ),
        pytest.param(answering(b"", then=drip(OK + b"\r\n")), id="headers drip"),
        pytest.param(
            answering(OK + b"Content-Length: 99\r\n\r\n", then=drip(b"x" * 99)), id="drip"
        ),
        pytest.param(answering(OK + b"\r\n", then=drip(b"x" * 99)), id="drip without a length"),
        pytest.param(
            answering(OK + b"Transfer-Encoding: chunked\r\n\r\n", then=drip(b"1\r\nx\r\n" * 20)),
            id="chunks drip",
        ),
        pytest.param(
            answering(b"HTTP/1.1 100 Continue\r\n\r\n", then=hang), id="continue, silence"
        ),
        pytest.param(
            answering(b"", then=drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 9)), id="continues drip"
        ),
    ],
)
def test_it_never_takes_for_unsent_what_may_have_arrived(
    peer: Peer, behave: Behaviour, send: Post
) -> None:
    began = time.monotonic()
    answer = send(peer(behave))
    assert (answer.status, answer.body, answer.failure) == (0, "", Failure.UNKNOWN)
    assert answer.error.isidentifier()
    assert time.monotonic() - began < 3  # however slowly it comes, READ_TIMEOUT is the end


def test_it_has_no_answer_when_the_connection_is_reset_at_once(peer: Peer, send: Post) -> None:
    """The body may have begun to leave or not: a matter of microseconds."""
    answer = send(peer(reset))
    assert (answer.status, answer.body) == (0, "")
    assert answer.failure is not None


def test_it_has_an_answer_without_a_body_when_it_is_cut_within_its_headers(
    peer: Peer, send: Post
) -> None:
    """As http.client sees it. Every provider's file must take an empty body for no answer."""
    assert send(peer(answering(OK + b"Content-Le"))) == Answer(200, "")


@pytest.mark.parametrize("last_words", [hang, silence, reset, drip(b"HTTP/1.1 200 OK\r\n\r\n")])
def test_it_does_not_take_a_tls_failure_after_the_request_for_one_before(
    peer: Peer, certificate: Path, trusted: None, last_words: Behaviour, send: Post
) -> None:
    """These surface as SSLError, too."""

    def behave(tls: socket.socket) -> None:
        read(tls)
        last_words(tls)

    began = time.monotonic()
    answer = send(peer(in_tls(certificate, behave), "https"))
    assert answer.failure == Failure.UNKNOWN
    assert time.monotonic() - began < 3


def test_it_waits_as_long_as_it_is_told(peer: Peer, send: Post) -> None:
    def behave(connection: socket.socket) -> None:
        read(connection)
        time.sleep(0.8)
        connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    assert send(peer(behave), read_timeout=2).status == 200


def test_it_does_not_wait_for_a_peer_who_does_not_read(peer: Peer, send: Post) -> None:
    def behave(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        time.sleep(9)

    began = time.monotonic()
    answer = send(peer(behave), data={"text": "x" * 20_000_000})
    assert answer.failure == Failure.UNKNOWN
    assert time.monotonic() - began < 5


def test_it_leaves_neither_threads_nor_connections_behind(peer: Peer, send: Post) -> None:
    url = peer(answering(OK + b"Content-Length: 2\r\n\r\nok"))
    before = threading.active_count()
    for _ in range(20):
        assert send(url).status == 200
    time.sleep(0.1)
    # One thread closes the connections that submission.py keeps, and ends with them.
    wait_until(lambda: threading.active_count() <= before, 2 * connections.IDLE + 1)
