"""The way of messages to a service: one request, one answer, over a kept connection, and every failure sorted
into "certainly not sent" or "may have arrived". No retries, no redirects, no proxies, no logs.

The sorting rests on one fact: whether the first byte of the request was given to the socket. It leaves in one
piece, after the last look. On http.client, because a request costs 0.2 ms of CPU with it and 2.8 ms with
requests (transport.py), which asks for everything else.
"""

import json as json_format
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus, client
from urllib.parse import urlsplit

from django.conf import settings

from smsmail.uptime import clock

from . import connections
from .connections import Connection, Incoming, Origin
from .transport import BODY_CAP, Answer, Failure, TooLate, TooLong, moment, seconds

PORTS = {"http": client.HTTP_PORT, "https": client.HTTPS_PORT}


class Withheld(Exception):
    """last_look said no."""


class Unreadable(Exception):
    """The response is cut off, or packed in a way that was not asked for."""


class _Request:
    """One request on its way."""

    def __init__(self, deadline: float, last_look: Callable[[], bool] | None) -> None:
        self.deadline = deadline
        self.last_look = last_look
        self.begun = False
        self.withheld = False

    def check(self) -> None:
        """Called immediately before it leaves, because its result is true for a moment only."""
        if self.last_look is not None and not self.last_look():
            self.withheld = True
            raise Withheld
        if clock() >= self.deadline:
            raise TooLate

    def failed(self, error: Exception) -> Answer:
        unsent = Failure.WITHHELD if self.withheld else Failure.UNSENT
        return Answer(
            status=0,
            failure=Failure.UNKNOWN if self.begun else unsent,
            error=type(error).__name__,
        )


def post(
    url: str,
    *,
    data: Mapping[str, str] | None = None,
    json: object = None,
    deadline: float,
    read_timeout: float | None = None,
    auth: tuple[str, str] | None = None,
    cap: int = BODY_CAP,
    last_look: Callable[[], bool] | None = None,
) -> Answer:
    """POST a form (data) or JSON.

    The deadline (in seconds of clock()) is checked when the request is about to leave, and before
    connecting if that is necessary. So is last_look, which may block; if it returns False, nothing
    leaves. The request and the whole response have read_timeout seconds after that, however slowly
    they drip. Never raises for the network.
    """
    request = _Request(deadline, last_look)
    connection: Connection | None = None
    is_kept = False
    try:
        raw = _written(url, data, json, auth)
        connection = connections.kept(_origin(url))
        is_kept = connection is not None
        if connection is None:
            request.check()
            connection = Connection(_origin(url))
        request.check()
        request.begun = True
        began = clock()
        until = began + (read_timeout or settings.READ_TIMEOUT)
        connection.send(raw, until)
        answer, again = _read(Incoming(connection, until), cap, began)
    except Exception as error:  # noqa: BLE001 - all that counts is whether the request has begun to leave
        if connection is not None and is_kept and _broke(error):
            connections.broke(connection)
        elif connection is not None:
            connection.close()
        return request.failed(error)
    if again:
        connections.keep(connection, again=is_kept)
    else:
        connection.close()
    return answer


def _broke(error: Exception) -> bool:
    """True if the other side has ended the connection, rather than said nothing."""
    return isinstance(error, OSError) and not isinstance(error, TimeoutError)


def _written(
    url: str,
    data: Mapping[str, str] | None,
    json: object,
    auth: tuple[str, str] | None,
) -> bytes:
    """The request as it goes over the line."""
    if data is not None:
        body, content_type = form(data), "application/x-www-form-urlencoded"
    else:
        body = json_format.dumps(json, ensure_ascii=False).encode()
        content_type = "application/json"
    return (
        f"{_start(url, auth)}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode("ascii") + body


def form(data: Mapping[str, str]) -> bytes:
    """What urlencode() makes of it, byte by byte: 30 times as fast for a thousand Russian texts, which was
    40 % of our CPU for a message sent in a batch.
    """
    return b"&".join(_escaped(name) + b"=" + _escaped(value) for name, value in data.items())


def _escaped(text: str) -> bytes:
    return _UNSAFE.sub(_by_runs, text.encode()).replace(b"%20", b"+")


_UNSAFE = re.compile(rb"[^A-Za-z0-9_.~-]+")


def _by_runs(found: "re.Match[bytes]") -> bytes:
    return b"%" + found[0].hex("%").upper().encode()


@lru_cache(maxsize=16)
def _origin(url: str) -> Origin:
    """Raises client.InvalidURL."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise client.InvalidURL
    return Origin(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])


@lru_cache(maxsize=16)
def _start(url: str, auth: tuple[str, str] | None) -> str:
    """What the requests of an account have in common. Raises client.InvalidURL."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    if re.search(r"[^!-~]", path + host):  # a line break would begin another header
        raise client.InvalidURL
    login = (
        f"Authorization: Basic {b64encode(':'.join(auth).encode()).decode()}\r\n" if auth else ""
    )
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: smsmail\r\nAccept: */*\r\n"
        f"Accept-Encoding: identity\r\n{login}"
    )


def _read(incoming: Incoming, cap: int, began: float) -> tuple[Answer, bool]:
    """Return the answer, and whether the connection may be used again."""
    # http.client asks the socket for nothing but makefile().
    response = client.HTTPResponse(incoming, method="POST")  # type: ignore[arg-type]
    response.begin()
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unreadable
    body = response.read(cap + 1)
    if len(body) > cap:
        raise TooLong
    if response.length:  # cut off: http.client raises nothing
        raise Unreadable
    date = _moment(response.headers.get("Date", ""))
    answer = Answer(
        response.status,
        body.decode("utf-8", "replace"),
        date=date,
        retry_after=seconds(response.headers.get("Retry-After", ""), date),
        took=clock() - began,
    )
    # After a 1xx, the response proper would be taken for the answer to the next message.
    final = response.status >= HTTPStatus.OK
    return answer, final and not response.will_close and incoming.is_read()


@lru_cache(maxsize=4)
def _moment(header: str) -> datetime | None:
    """It changes once a second."""
    return moment(header)
