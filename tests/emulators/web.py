"""The web server under an emulated provider: threads on loopback that answer, or misbehave when
told to. What a request means is not here: each provider's file answers it.

Misbehaviours, by name. With "-after" the request is carried out first (accepted, journalled):
  unread    close without reading the body
  cut       close without an answer                    reset   the same, with a TCP reset
  hang      read, then never answer                    slow    answer only after some seconds
  half      half an answer                             drip    a byte of the answer a second
  garbage   200 with something unreadable              empty   200 with nothing
  500, 503, 404, 429...   that status with a page of HTML
  error-N   the provider's own error N
"""

import base64
import binascii
import json
import random
import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

HTML = b"<html><body><h1>Something is wrong</h1></body></html>"
NO_END = 3600.0


@dataclass
class Reply:
    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Plan:
    """Which requests go wrong, and how: `next` in turn first, then a random share of the rest."""

    next: deque[str] = field(default_factory=deque)
    share: float = 0.0
    among: tuple[str, ...] = ()
    commands: frozenset[str] = frozenset({"send"})
    slow: float = 2.0  # seconds
    retry_after: str = ""  # the header, in what says no
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, command: str) -> str:
        """The misbehaviour for this request, or ''."""
        if command not in self.commands:
            return ""
        with self.lock:
            if self.next:
                return self.next.popleft()
            if self.share and self.dice.random() < self.share:
                return self.dice.choice(self.among)
        return ""


class Emulator(ABC):
    """One emulated provider on a port of its own: `with SmscEmulator() as smsc: smsc.url`."""

    def __init__(self, *, port: int = 0) -> None:
        self.plan = Plan()
        self.clock_off = 0.0  # seconds that its clock is ahead of ours
        self.dates = True  # says the time with its answers
        self.stopping = threading.Event()
        self.asked = threading.local()  # .method of the request that this thread answers
        self.server = _Server(("127.0.0.1", port), _Handler)
        self.server.emulator = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def now(self) -> float:
        return time.time() + self.clock_off

    def misbehave(self, *names: str) -> None:
        """The next requests, one each. '' lets one pass."""
        self.plan.next.extend(names)

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        """POST /_control: change the plan; the answer tells how things stand."""
        with self.plan.lock:
            self.plan.next.extend(order.get("next", ()))
            self.plan.share = order.get("share", self.plan.share)
            self.plan.among = tuple(order.get("among", self.plan.among))
            self.plan.commands = frozenset(order.get("commands", self.plan.commands))
            self.plan.slow = order.get("slow", self.plan.slow)
            self.plan.retry_after = order.get("retry_after", self.plan.retry_after)
        self.clock_off = order.get("clock_off", self.clock_off)
        return {"next": list(self.plan.next), "share": self.plan.share}

    @abstractmethod
    def command(self, path: str) -> str:
        """The short name of what is asked."""

    def refusal(self, headers: Message) -> Reply | None:
        """The answer to a request whose headers name no login of ours; None lets it in."""
        return None

    @abstractmethod
    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        """To a request that was let in."""

    def error(self, number: int) -> Reply:
        """The service's own way of saying no, with this number; a webhook that never goes wrong has none."""
        raise NotImplementedError

    def start(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    emulator: Emulator

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this is for; anything else is a mistake of the emulator."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(timestamp or self.server.emulator.now())

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Date" or self.server.emulator.dates:
            super().send_header(keyword, value)

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: there are thousands of requests."""

    def _serve(self) -> None:
        # The official client of SMSC comes through http_proxy, with the whole address in the line.
        address = urlsplit(self.path)
        emulator = self.server.emulator
        emulator.asked.method = self.command
        command = emulator.command(address.path)
        name = emulator.plan.take(command)
        if name == "unread":
            self._hang_up()
            return
        body = self._body()
        if address.path == "/_control":
            self._write(_as_json(emulator.control(json.loads(body or b"{}"))))
            return
        reply = None
        if not name or name.endswith("-after"):
            content_type = self.headers.get("Content-Type", "")
            reply = emulator.refusal(self.headers) or emulator.answer(
                command, address.query, body, content_type
            )
        if name:
            self._misbehave(name.removesuffix("-after"), reply or Reply(200, HTML, "text/html"))
        elif reply:
            self._write(reply)

    def _misbehave(self, name: str, reply: Reply) -> None:
        emulator = self.server.emulator
        if name.isdigit():
            self._refuse(Reply(int(name), HTML, "text/html"))
        elif name.startswith("error-"):
            self._refuse(emulator.error(int(name.removeprefix("error-"))))
        elif name in {"garbage", "empty"}:
            self._write(Reply(200, b"\xff\xfe<not json" if name == "garbage" else b""))
        elif name == "slow":
            emulator.stopping.wait(emulator.plan.slow)
            self._write(reply)
        elif name == "hang":
            emulator.stopping.wait(NO_END)
            self._hang_up()
        else:
            self._break_off(name, reply)

    def _refuse(self, reply: Reply) -> None:
        if self.server.emulator.plan.retry_after:
            reply.headers["Retry-After"] = self.server.emulator.plan.retry_after
        self._write(reply)

    def _break_off(self, name: str, reply: Reply) -> None:
        if name == "half":
            self._write(reply, reply.body[: len(reply.body) // 2])
        elif name == "drip":
            self._write(reply, b"")
            for byte in reply.body:
                self.wfile.write(bytes([byte]))
                if self.server.emulator.stopping.wait(1):
                    break
        elif name == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif name != "cut":
            raise ValueError(f"no such misbehaviour: {name}")
        self._hang_up()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _write(self, reply: Reply, body: bytes | None = None) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for header, value in reply.headers.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(reply.body if body is None else body)

    def _hang_up(self) -> None:
        self.close_connection = True
        # Closed for good here; socketserver would say goodbye politely first.
        self.connection.close()
        self.rfile.close()


def login_of(headers: Message) -> tuple[str, str]:
    """Login and password of HTTP Basic; empty when there are none."""
    scheme, _, word = headers.get("Authorization", "").partition(" ")
    try:
        login, _, password = base64.b64decode(word, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (login, password) if scheme.lower() == "basic" else ("", "")


def _as_json(value: object) -> Reply:
    return Reply(200, json.dumps(value).encode())
