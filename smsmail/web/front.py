"""Reads each request's body before the application does, without a thread and within a time limit.

A thread that waits for the rest of a body serves nobody else: 40 unfinished forms held all 16 of granian's
WSGI threads as long as they stayed open. So granian gives us the connection (ASGI), we wait for any number of
bodies at once, and only a complete request takes a thread. The application's response is also read
completely, so that a slow reader holds no thread.
"""

import asyncio
import io
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote_to_bytes

from .forwarded import Application, Environ
from .together import NAME, Gathering, Together

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# A body may take PATIENCE seconds, plus one for each RATE bytes received.
PATIENCE, RATE = 10.0, 4096
LONGEST = 3_000_000  # bytes; settings.DATA_UPLOAD_MAX_MEMORY_SIZE refuses earlier, with a message
# The most unfinished bodies at once. One more drops the one that has waited longest: a phone on a bad line
# finishes long before its turn, and a flood only displaces itself.
UNFINISHED = 200
_OF_A_BODY = {b"content-length", b"transfer-encoding"}


class Refused(Exception):
    """The request gets this status and never reaches the application."""

    def __init__(self, status: int) -> None:
        self.status = status


class Gone(Exception):
    """The client has closed the connection."""


class Front:
    """An ASGI application around a WSGI application. together: how the paths begin whose requests are run
    many at a time (together.py).
    """

    def __init__(self, application: Application, threads: int, together: str = "") -> None:
        self.application = application
        self.prefix = together
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self.together: Together[tuple[int, Headers, bytes]] = Together(self.answer, self.threads)
        self.unfinished: dict[asyncio.Task[Message], None] = {}  # oldest first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"a {scope['type']} connection is not for us")
        try:
            body = await self.body(scope, receive)
        except Gone:
            return
        except Refused as refused:
            await _send(send, refused.status, [(b"connection", b"close")], b"")
            return
        answer = None
        if self.prefix and scope["path"].startswith(self.prefix):
            answer = await self.together.answer(scope, body)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self.threads, self.answer, scope, body)
        await _send(send, *answer)

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        announced = _announced(scope)
        if announced is None:
            return b""  # most requests have no body: nothing to wait for
        if announced > LONGEST:
            raise Refused(413)
        began, parts, size = time.monotonic(), [], 0
        while True:
            left = began + PATIENCE + size / RATE - time.monotonic()
            message = await self.next_part(receive, left)
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > LONGEST:
                raise Refused(413)
            if not message.get("more_body"):
                return b"".join(parts)

    async def next_part(self, receive: Receive, left: float) -> Message:
        waiting = asyncio.ensure_future(_received(receive))
        self.unfinished[waiting] = None
        if len(self.unfinished) > UNFINISHED:
            oldest = next(iter(self.unfinished))
            del self.unfinished[oldest]
            oldest.cancel()
        try:
            await asyncio.wait([waiting], timeout=max(left, 0))
        finally:
            self.unfinished.pop(waiting, None)
            if not waiting.done():
                waiting.cancel()
        if not waiting.done() or waiting.cancelled():
            raise Refused(408)
        return waiting.result()

    def answer(
        self, scope: Scope, body: bytes, gathering: Gathering | None = None
    ) -> tuple[int, Headers, bytes]:
        """Run the application in one of our threads and return its whole response."""
        environ = environ_of(scope, body)
        if gathering is not None:
            environ[NAME] = gathering
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> None:
            said[:] = [(status, headers)]

        parts: Iterable[bytes] = self.application(environ, start_response)
        try:
            content = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()  # tells Django that the request has ended
        ((status, headers),) = said
        encoded = [
            (name.lower().encode(), value.strip().encode("latin1")) for name, value in headers
        ]
        return int(status[:3]), encoded, content


def environ_of(scope: Scope, body: bytes) -> Environ:
    """Return the WSGI environment of the request."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client")
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": _path(scope).decode("latin1"),
        "QUERY_STRING": scope["query_string"].decode("latin1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "REMOTE_ADDR": client[0] if client else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" not in name:  # otherwise X_Forwarded_For would pass for X-Forwarded-For
            _add(environ, name.decode("latin1"), value.decode("latin1"))
    environ["CONTENT_LENGTH"] = str(len(body))  # also for a body sent in chunks
    return environ


def _add(environ: Environ, name: str, value: str) -> None:
    """Join repeated headers into one list; cookies use a separator of their own."""
    key = "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
    if key in environ:
        value = environ[key] + ("; " if name == "cookie" else ",") + value
    environ[key] = value


def _path(scope: Scope) -> bytes:
    raw = scope.get("raw_path")
    return unquote_to_bytes(raw.partition(b"?")[0]) if raw else scope["path"].encode()


def _announced(scope: Scope) -> int | None:
    """Return the length of the body in bytes; 0 if it comes in chunks, None if there is no body."""
    said = {name: value for name, value in scope["headers"] if name in _OF_A_BODY}
    length = said.get(b"content-length", b"")
    if not said or length == b"0":
        return None
    return int(length) if length.isdigit() and len(length) < 19 else 0


async def _received(receive: Receive) -> Message:
    return await receive()


async def _send(send: Send, status: int, headers: Headers, content: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
