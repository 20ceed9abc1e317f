"""The one way to the network: deadlines, a last look, and every failure sorted into "surely not sent" or
"may have arrived". No retries, no redirects followed, no proxies from the environment, no logs.

The sorting rests on one fact: whether the first byte of the body was handed to the socket. The
error's class alone would not do: a TLS connection cut after the request is an SSLError as well.
"""

import contextlib
import json as json_format
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

import requests
from django.conf import settings
from requests import adapters
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from smsmail.uptime import clock

BODY_CAP = 1_000_000  # characters of an answer that we are ready to hold


class Failure(StrEnum):
    """Why there is no answer."""

    UNSENT = "unsent"  # nothing of the request can have been acted on
    UNKNOWN = "unknown"  # it may have been
    WITHHELD = "withheld"  # unsent, because the last look said no


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 with a failure when nothing usable did. Any status counts as an
    answer, 429 and 5xx too: what they mean is for the provider's file to say.
    """

    status: int
    body: str = ""
    failure: Failure | None = None
    error: str = ""  # the class of the error, never its text: that may hold an address or a phone
    date: datetime | None = field(default=None, compare=False)  # the service's clock, when it says
    retry_after: float | None = field(default=None, compare=False)  # seconds it wants us to wait


def asked_to_wait(answer: Answer) -> float | None:
    """Seconds for which a service that is busy (429) or down (503) wants to be left alone."""
    return answer.retry_after if answer.status in (429, 503) else None


class TooLate(Exception):
    """The deadline passed before the first byte of the body left."""


class Withheld(Exception):
    """The last look said no."""


class TooLong(Exception):
    """The answer is longer than we hold, or took longer than we wait."""


def get(
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    deadline: float,
    read_timeout: float | None = None,
    auth: tuple[str, str] | None = None,
    cap: int = BODY_CAP,
) -> Answer:
    """GET. Bounded in time and sorted as post() is: its empty body leaves as one of post()'s does."""
    address = f"{url}?{urlencode(params)}" if params else url
    line = _Line(b"", deadline, read_timeout or settings.READ_TIMEOUT)
    return _exchange("GET", address, line, {}, auth, cap)


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
    """POST a form (data) or JSON, over a connection of its own: a kept one that the server had
    closed meanwhile would fail after sending, and be unknown for nothing.

    The deadline (clock() seconds) is looked at before connecting and again when the body is about
    to leave; so is last_look, which may wait, and without whose yes nothing leaves. The whole answer
    must be there read_timeout seconds after that, however it drips.
    """
    body, content_type = _encoded(data, json)
    line = _Line(body, deadline, read_timeout or settings.READ_TIMEOUT, last_look)
    return _exchange("POST", url, line, {"Content-Type": content_type}, auth, cap)


def _exchange(
    method: str,
    url: str,
    line: "_Line",
    headers: Mapping[str, str],
    auth: tuple[str, str] | None,
    cap: int,
) -> Answer:
    try:
        line.check()
        with _Session() as session:
            session.trust_env = False
            session.mount("http://", line)
            session.mount("https://", line)
            with session.request(
                method,
                url,
                data=line,
                headers=headers,
                auth=auth,
                timeout=(settings.CONNECT_TIMEOUT, line.seconds),
                stream=True,
            ) as response:
                date = _moment(response.headers.get("Date", ""))
                return Answer(
                    response.status_code,
                    _read(response, line, cap),
                    date=date,
                    retry_after=_seconds(response.headers.get("Retry-After", ""), date),
                )
    except Exception as error:  # noqa: BLE001  # whatever it is, the caller needs to know only one thing
        return _sorted(error, line)
    finally:
        line.let_go()


def _encoded(data: Mapping[str, str] | None, json: object) -> tuple[bytes, str]:
    if data is not None:
        return urlencode(data).encode(), "application/x-www-form-urlencoded"
    return json_format.dumps(json, ensure_ascii=False).encode(), "application/json"


def _read(response: requests.Response, line: "_Line", cap: int) -> str:
    held = b""
    for chunk in response.iter_content(65536):
        held += chunk
        if len(held) > cap:
            raise TooLong
    # Without a Content-Length, an answer that we cut ourselves looks like a complete one.
    if line.was_cut:
        raise TooLong
    return held.decode("utf-8", "replace")


def _moment(header: str) -> datetime | None:
    """None for what is no date of HTTP (RFC 9110, 5.6.7): a service may write anything."""
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(header: str, date: datetime | None) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). A date is counted from the
    service's own Date, since our clock may differ.
    """
    header = header.strip()
    if header.isascii() and header.isdecimal():
        return float(header[:9])
    until = _moment(header)
    if until is None:
        return None
    return max(0.0, (until - (date or datetime.now(UTC))).total_seconds())


def _sorted(error: Exception, line: "_Line") -> Answer:
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    reason = getattr(inner, "reason", inner)
    unsent = Failure.WITHHELD if line.withheld else Failure.UNSENT
    return Answer(
        status=0,
        failure=Failure.UNKNOWN if line.begun else unsent,
        error=type(reason).__name__,
    )


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None, ever. Told only not to follow, requests would still read such an answer whole."""
        return None


class _Line(HTTPAdapter):
    """The connection of one request, and its body: iterating over it is the moment it leaves."""

    def __init__(
        self,
        body: bytes,
        deadline: float,
        seconds: float,
        last_look: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(max_retries=0)
        self.body = body
        self.deadline = deadline
        self.seconds = seconds
        self.last_look = last_look
        self.withheld = False
        self.begun = False
        self.was_cut = False
        self.connection: Any = None
        self.timer: threading.Timer | None = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        trust = _trust(adapters.DEFAULT_CA_BUNDLE_PATH)
        super().init_poolmanager(*args, ssl_context=trust, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Only what _trust() has loaded: named here again, it would be loaded again."""
        conn.cert_reqs = "CERT_REQUIRED"

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """As requests does it, but the connection that the pool makes is remembered."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(self._connect, pool.ConnectionCls)
        return pool

    def _connect(self, make: Any, *args: Any, **kwargs: Any) -> Any:
        self.connection = make(*args, **kwargs)
        return self.connection

    def add_headers(self, request: requests.PreparedRequest, **kwargs: Any) -> None:
        """requests takes an empty body that is iterated over for one of unknown length."""
        request.headers.pop("Transfer-Encoding", None)
        request.headers["Content-Length"] = str(len(self.body))

    def __len__(self) -> int:
        return len(self.body)

    def __bool__(self) -> bool:
        """An empty body must leave, too: requests would drop it, and the clock would not start."""
        return True

    def __iter__(self) -> Iterator[bytes]:
        """One piece, so that a peer who reads slowly is bounded by one timeout, not one each."""
        self.check()
        self.begun = True
        # Socket timeouts start anew with every byte that comes; this one does not.
        self.timer = threading.Timer(self.seconds, self._cut, [self.connection.sock])
        self.timer.daemon = True
        self.timer.start()
        yield self.body

    def check(self) -> None:
        """Nothing may come between this and the body: what it says is true for a moment only."""
        if self.last_look is not None and not self.last_look():
            self.withheld = True
            raise Withheld
        if clock() >= self.deadline:
            raise TooLate

    def _cut(self, sock: socket.socket) -> None:
        self.was_cut = True
        with contextlib.suppress(OSError):  # closed meanwhile
            # Not SSLSocket's own shutdown: it takes the TLS state away from under the reader.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def let_go(self) -> None:
        if self.timer:
            self.timer.cancel()


@cache
def _trust(bundle: str) -> ssl.SSLContext:
    """Whom we believe, read once for the process: read for each request, it took 17 ms of the 19 ms
    of CPU that a request over TLS cost.
    """
    context = create_urllib3_context()
    context.load_verify_locations(bundle)
    return context
