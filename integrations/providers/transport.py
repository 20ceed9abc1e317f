"""The way to the network for what sends no message (that is submission.py): deadlines, and every failure sorted
into "certainly not sent" or "may have arrived". No retries, no redirects, no proxies from the environment, no logs.

The sorting rests on one fact: whether the first byte of the body was given to the socket. The class of the
error would not suffice: a TLS connection cut after the request is an SSLError as well.
"""

import contextlib
import json as json_format
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
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

BODY_CAP = 1_000_000  # bytes of a response that are read at most


class Failure(StrEnum):
    """Why there is no response."""

    UNSENT = "unsent"  # the request cannot have been acted on
    UNKNOWN = "unknown"  # the request may have been acted on
    WITHHELD = "withheld"  # unsent, because the last look of submission.post() said no


@dataclass(frozen=True, slots=True)
class Answer:
    """The response; status 0 with a failure if none was usable. Any status counts as a response,
    429 and 5xx too: the provider's module decides what they mean.
    """

    status: int
    body: str = ""
    failure: Failure | None = None
    error: str = ""  # the class of the error, never its text, which may hold a URL or a phone
    date: datetime | None = field(default=None, compare=False)  # the server's Date header, if any
    # The Retry-After header, in seconds.
    retry_after: float | None = field(default=None, compare=False)
    # Seconds from the first byte of the request to the last of the response, of what sends messages.
    took: float | None = field(default=None, compare=False)


def asked_to_wait(answer: Answer) -> float | None:
    """Return the seconds for which a provider that is busy (429) or down (503) wants no requests."""
    return answer.retry_after if answer.status in (429, 503) else None


class TooLate(Exception):
    """The deadline passed before the first byte of the body left."""


class TooLong(Exception):
    """The response is longer than `cap`, or took longer than the read timeout."""


def get(
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    deadline: float,
    read_timeout: float | None = None,
    auth: tuple[str, str] | None = None,
    cap: int = BODY_CAP,
) -> Answer:
    """Send a GET. Time limits and failures are those of post(): its empty body leaves in the same
    way.
    """
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
) -> Answer:
    """POST a form (data) or JSON over a new connection.

    The deadline (in seconds of clock()) is checked before connecting and again when the body is
    about to leave. The whole response must arrive within read_timeout seconds after that, however
    slowly it drips. Never raises for the network.
    """
    body, content_type = _encoded(data, json)
    line = _Line(body, deadline, read_timeout or settings.READ_TIMEOUT)
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
                date = moment(response.headers.get("Date", ""))
                return Answer(
                    response.status_code,
                    _read(response, line, cap),
                    date=date,
                    retry_after=seconds(response.headers.get("Retry-After", ""), date),
                )
    except Exception as error:  # noqa: BLE001 - all that counts is whether the body left
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
    # Without a Content-Length, a response that we cut off ourselves looks complete.
    if line.was_cut:
        raise TooLong
    return held.decode("utf-8", "replace")


def moment(header: str) -> datetime | None:
    """Return None if the header is not an HTTP date (RFC 9110, 5.6.7): servers may send anything."""
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def seconds(header: str, date: datetime | None) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). A date is counted from the
    server's own Date header, since our clock may differ.
    """
    header = header.strip()
    if header.isascii() and header.isdecimal():
        return float(header[:9])
    until = moment(header)
    if until is None:
        return None
    return max(0.0, (until - (date or datetime.now(UTC))).total_seconds())


def _sorted(error: Exception, line: "_Line") -> Answer:
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    reason = getattr(inner, "reason", inner)
    return Answer(
        status=0,
        failure=Failure.UNKNOWN if line.begun else Failure.UNSENT,
        error=type(reason).__name__,
    )


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Always None. If told only not to follow redirects, requests would still read such a
        response whole.
        """
        return None


class _Line(HTTPAdapter):
    """The connection of one request and its body: the body leaves when it is iterated over."""

    def __init__(self, body: bytes, deadline: float, seconds: float) -> None:
        super().__init__(max_retries=0)
        self.body = body
        self.deadline = deadline
        self.seconds = seconds
        self.begun = False
        self.was_cut = False
        self.connection: Any = None
        self.timer: threading.Timer | None = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        trusted = trust(adapters.DEFAULT_CA_BUNDLE_PATH)
        super().init_poolmanager(*args, ssl_context=trusted, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Use only what trust() has loaded: named here again, it would be loaded again."""
        conn.cert_reqs = "CERT_REQUIRED"

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Do as requests does, but remember the connection that the pool makes."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(self._connect, pool.ConnectionCls)
        return pool

    def _connect(self, make: Any, *args: Any, **kwargs: Any) -> Any:
        self.connection = make(*args, **kwargs)
        return self.connection

    def add_headers(self, request: requests.PreparedRequest, **kwargs: Any) -> None:
        """Set the length, because requests treats an empty iterable body as one of unknown length."""
        request.headers.pop("Transfer-Encoding", None)
        request.headers["Content-Length"] = str(len(self.body))

    def __len__(self) -> int:
        return len(self.body)

    def __bool__(self) -> bool:
        """Always True: requests would drop an empty body, and the read timeout would never start."""
        return True

    def __iter__(self) -> Iterator[bytes]:
        """Yield one piece, so that a peer who reads slowly is bounded by one timeout in total."""
        self.check()
        self.begun = True
        # Socket timeouts restart with every byte received; this one does not.
        self.timer = threading.Timer(self.seconds, self._cut, [self.connection.sock])
        self.timer.daemon = True
        self.timer.start()
        yield self.body

    def check(self) -> None:
        """Called immediately before the body leaves, because its result is true for a moment only."""
        if clock() >= self.deadline:
            raise TooLate

    def _cut(self, sock: socket.socket) -> None:
        self.was_cut = True
        with contextlib.suppress(OSError):  # closed meanwhile
            # Not SSLSocket's own shutdown(), which would remove the TLS state while another thread
            # reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def let_go(self) -> None:
        if self.timer:
            self.timer.cancel()


@cache
def trust(bundle: str) -> ssl.SSLContext:
    """Load the trusted certificates once for the process. Loading them for each request took 17 ms
    of the 19 ms of CPU that a request over TLS cost.
    """
    context = create_urllib3_context()
    context.load_verify_locations(bundle)
    context.set_alpn_protocols(["http/1.1"])
    return context
