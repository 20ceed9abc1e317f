"""Kept connections against real sockets: when one is used again, when not, and what is unknown because the
other side left at an awkward moment. What each single request promises is in test_transport.py.
"""

import contextlib
import gzip
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.providers import connections, submission
from integrations.providers.submission import post
from integrations.providers.transport import Answer, Failure
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

FINE = OK + b"Content-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def short_waits(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.CONNECT_TIMEOUT = 1.5
    settings.READ_TIMEOUT = 0.5
    monkeypatch.setattr(connections, "PROOF", 0.0)  # but where a test says otherwise
    yield
    connections.forget()


def send(url: str, **more: Any) -> Answer:
    return post(url, data={"text": "Hello"}, deadline=clock() + 60, **more)


def test_a_server_that_closes_without_saying_so_puts_no_message_in_doubt(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs a connection for each message. Used again at once, one of some hundred was in doubt."""
    monkeypatch.setattr(connections, "PROOF", 0.05)
    url = peer(answering(FINE))
    until = clock() + 3 * connections.PROOF
    while clock() < until:
        assert send(url).status == 200


def test_after_a_break_each_request_has_a_connection_of_its_own(peer: Peer) -> None:
    line = Line([answer(), answer(), read_and_reset], [answer()], [answer()])
    url = peer(line)
    assert [send(url).status for _ in range(2)] == [200, 200]
    assert send(url).failure == Failure.UNKNOWN
    assert [send(url).status for _ in range(2)] == [200, 200]
    assert line.connections == 3


class Line:
    """What a server does: the behaviours of each connection, one after the other, then it closes it."""

    def __init__(self, *turns: list[Behaviour]) -> None:
        self.turns = list(turns)
        self.connections = 0

    def __call__(self, connection: socket.socket) -> None:
        turns = self.turns[self.connections]
        self.connections += 1
        for behave in turns:
            behave(connection)


def answer(raw: bytes = FINE) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        read(connection)
        connection.sendall(raw)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for each in behaviours:
            each(connection)

    return behave


def saying(raw: bytes) -> Behaviour:
    return lambda connection: connection.sendall(raw)


def reset_later(connection: socket.socket) -> None:
    """Not before the answer was read: a reset takes away what has come and is not read yet."""
    time.sleep(0.1)
    reset(connection)


def assert_unknown(answer: Answer) -> None:
    assert (answer.status, answer.body, answer.failure) == (0, "", Failure.UNKNOWN)


# --- used again ------------------------------------------------------------------------------
def test_the_next_request_uses_the_same_connection(peer: Peer) -> None:
    line = Line([answer(), answer(), answer()])
    url = peer(line)
    assert [send(url).body for _ in range(3)] == ["ok"] * 3
    assert line.connections == 1


def test_so_it_does_over_tls(peer: Peer, certificate: Path, trusted: None) -> None:
    line = Line([in_tls(certificate, Line([answer(), answer(), answer()]))])
    url = peer(line, "https")
    assert [send(url).body for _ in range(3)] == ["ok"] * 3
    assert line.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + FINE,
        b"HTTP/1.1 429 Busy\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["chunks", "continue", "a refusal", "a redirect"],
)
def test_it_does_after_every_answer_that_has_an_end(peer: Peer, raw: bytes) -> None:
    line = Line([answer(raw), answer()])
    url = peer(line)
    assert [send(url).body for _ in range(2)] == ["ok"] * 2
    assert line.connections == 1


# --- not used again --------------------------------------------------------------------------
@pytest.mark.parametrize(
    "then",
    [
        pytest.param(silence, id="closed"),
        pytest.param(reset_later, id="reset"),
        pytest.param(in_turn(saying(b"x"), hang), id="a byte"),
        pytest.param(in_turn(saying(FINE), hang), id="a second answer"),
    ],
)
def test_one_that_broke_while_it_rested_is_not_used(peer: Peer, then: Behaviour) -> None:
    """The message leaves over a new one, and is not in doubt."""
    line = Line([answer(), then], [answer()])
    url = peer(line)
    assert send(url).status == 200
    time.sleep(0.3)
    assert send(url) == Answer(200, "ok")
    assert line.connections == 2


@pytest.mark.parametrize(
    "then", [silence, reset_later, hang], ids=["closed", "reset", "more is said"]
)
def test_so_it_is_over_tls(peer: Peer, certificate: Path, trusted: None, then: Behaviour) -> None:
    said = FINE + b"and more" if then is hang else FINE
    line = Line([in_tls(certificate, Line([answer(said), then]))], [in_tls(certificate, answer())])
    url = peer(line, "https")
    assert send(url).body == "ok"
    time.sleep(0.3)
    assert send(url).body == "ok"
    assert line.connections == 2


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        FINE + FINE,
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore",
    ],
    ids=["it says so", "an old server", "two answers in one", "more than the last chunk"],
)
def test_one_that_cannot_be_used_again_is_closed(peer: Peer, raw: bytes) -> None:
    line = Line([answer(raw), hang], [answer()])
    url = peer(line)
    assert [send(url).body for _ in range(2)] == ["ok"] * 2
    assert line.connections == 2


def test_after_early_hints_it_does_not_take_the_answer_for_the_next_messages(peer: Peer) -> None:
    """http.client takes a 103 for the answer; the answer proper comes when the next request is under way."""

    def late(connection: socket.socket) -> None:
        answer(b"HTTP/1.1 103 Early Hints\r\n\r\n")(connection)
        read(connection)
        connection.sendall(OK + b"Content-Length: 3\r\n\r\none")

    url = peer(Line([late], [answer(OK + b"Content-Length: 3\r\n\r\ntwo")]))
    assert send(url).status == 103
    assert send(url).body == "two"


def test_one_that_rested_too_long_is_not_used(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line([answer(), hang], [answer()])
    url = peer(line)
    assert send(url).body == "ok"
    monkeypatch.setattr(connections, "IDLE", 0.0)
    assert send(url).body == "ok"
    assert line.connections == 2


def test_one_that_nobody_uses_is_closed_soon(peer: Peer) -> None:
    left = threading.Event()

    def behave(connection: socket.socket) -> None:
        answer()(connection)
        hang(connection)
        left.set()

    assert send(peer(behave)).body == "ok"
    assert left.wait(3 * connections.IDLE)


def test_a_process_that_was_split_off_uses_none_of_its_parents(peer: Peer) -> None:
    """Both would read each other's answers."""
    line = Line([answer(), hang])
    url = peer(line)
    assert send(url).body == "ok"
    child = os.fork()
    if child == 0:
        os._exit(0 if connections.kept(connections.Origin("http", *_place(url))) is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert connections.kept(connections.Origin("http", *_place(url))) is not None


def _place(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
    return host, int(port)


def test_two_threads_never_have_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer names what was asked, on as many connections as there are requests at once."""
    came: Counter[int] = Counter()
    monkeypatch.setattr(connections, "IDLE", 60.0)  # however busy this machine is

    def serve(connection: socket.socket, number: int) -> None:
        with connection, contextlib.suppress(OSError):
            while b"\r\n\r\n" in (asked := connection.recv(65536)):
                came[number] += 1
                time.sleep(0.005)
                word = asked.rpartition(b"text=")[2]
                connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(word) + word)

    def accept() -> None:
        for number in range(8):
            connection, _address = server.accept()
            threading.Thread(target=serve, args=[connection, number], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"

        def ask(number: int) -> str:
            return post(url, data={"text": f"{number}"}, deadline=clock() + 60).body

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(ask, range(200))) == [f"{number}" for number in range(200)]
    assert sum(came.values()) == 200
    assert len(came) <= 8


# --- may have arrived ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "leaves",
    [
        pytest.param(lambda connection: read(connection) and None, id="after the request"),
        pytest.param(read_and_reset, id="reset"),
        pytest.param(answer(OK + b"Content-Length: 9\r\n\r\n"), id="after the headers"),
        pytest.param(answer(OK + b"Content-Length: 9\r\n\r\nhalf"), id="after half the body"),
        pytest.param(
            in_turn(answer(OK + b"Content-Length: 9\r\n\r\nhalf"), reset),
            id="reset in the body",
        ),
        pytest.param(hang, id="no answer"),
        pytest.param(
            in_turn(answer(OK + b"Content-Length: 99\r\n\r\n"), drip(b"x" * 99)),
            id="drip",
        ),
    ],
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_what_breaks_on_a_kept_connection_is_unknown_and_not_sent_again(
    peer: Peer, certificate: Path, trusted: None, leaves: Behaviour, tls: bool
) -> None:
    inner = Line([answer(), leaves], [answer()])
    outer: Behaviour = in_tls(certificate, inner) if tls else inner
    url = peer(outer, "https" if tls else "http")
    assert send(url).body == "ok"
    began = time.monotonic()
    assert_unknown(send(url))
    assert time.monotonic() - began < 3
    assert inner.connections == 1
    wait_until(lambda: send(url).body == "ok", 5)  # the next one is not harmed


def test_an_answer_that_is_packed_is_none(peer: Peer) -> None:
    """It was asked for as it is."""
    packed = gzip.compress(b"ok")
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    line = Line([answer(head + packed), hang], [answer()])
    url = peer(line)
    assert_unknown(send(url))
    assert send(url).body == "ok"
    assert line.connections == 2


# --- surely not sent -------------------------------------------------------------------------
def test_what_is_withheld_does_not_even_connect(peer: Peer) -> None:
    line = Line([hang])
    assert send(peer(line), last_look=lambda: False).failure == Failure.WITHHELD
    time.sleep(0.1)
    assert line.connections == 0


def test_the_last_look_comes_after_the_connection(
    peer: Peer, certificate: Path, trusted: None
) -> None:
    """It takes time to connect, and somebody may say no meanwhile."""
    came: list[bytes] = []
    looks: list[float] = []

    def behave(connection: socket.socket) -> None:
        in_tls(certificate, lambda tls: came.append(tls.recv(65536)))(connection)

    def look() -> bool:
        looks.append(clock())
        return len(looks) == 1

    assert send(peer(behave, "https"), last_look=look).failure == Failure.WITHHELD
    wait_until(lambda: came)
    assert came == [b""]


def test_over_a_kept_connection_nothing_is_withheld_too_late(peer: Peer) -> None:
    came: list[bytes] = []
    url = peer(Line([answer(), lambda connection: came.append(connection.recv(65536))]))
    assert send(url).body == "ok"
    assert send(url, last_look=lambda: False).failure == Failure.WITHHELD
    wait_until(lambda: came)
    assert came == [b""]


@pytest.mark.parametrize("rest", ["a b", "a\r\nX: y", "\u0430"])
def test_an_address_that_would_break_the_request_is_not_used(peer: Peer, rest: str) -> None:
    line = Line([hang])
    assert send(peer(line) + rest).failure == Failure.UNSENT
    assert line.connections == 0


def test_it_leaves_nothing_in_the_log(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        send(peer(Line([answer(OK + b"Content-Length: 99\r\n\r\nhalf")])), auth=("user", "word"))
    assert caplog.records == []


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4))
@example({"list": "+79980000001:Скидка 20% «А» + ~b_c.d-e\n&=?👍 %20", "": ""})
def test_a_form_is_the_one_of_the_standard_library(fields: dict[str, str]) -> None:
    assert submission.form(fields) == urlencode(fields).encode()
