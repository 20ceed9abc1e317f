"""The clients of `python -m benchmarks.receipt_door`, in a process of their own: each keeps one connection, and
knows which of its receipts were acknowledged. They speak HTTP over bare sockets, to take little CPU from the server.
"""

import base64
import hashlib
import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"
AGENT = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0"
    " Mobile Safari/537.36"
)


class Task(NamedTuple):
    """What the clients shall send, as JSON on the standard input."""

    kind: str  # "get", "smsc" or "twilio"
    port: int
    seconds: float
    clients: int
    paths: list[str]  # of a webhook: one
    token: str = ""  # signs what Twilio sends
    label: str = ""  # begins the number of each receipt


class Asked(NamedTuple):
    """What the clients have seen, as JSON on the standard output."""

    answers: int
    seconds: float
    acknowledged: list[str]


def ask(task: Task) -> Asked:
    """Send requests from several threads. All responses must be good ones."""
    request_of = {"get": _get, "smsc": _smsc, "twilio": _twilio}[task.kind]
    acknowledged: list[list[str]] = [[] for _ in range(task.clients)]
    began = time.monotonic()

    def go(client: int) -> None:
        mine = acknowledged[client]
        with socket.create_connection(("127.0.0.1", task.port), timeout=60) as web:
            while time.monotonic() - began < task.seconds:
                number = f"{task.label}-{client}-{len(mine)}"
                web.sendall(request_of(task, number, client + task.clients * len(mine)))
                status = _status(web)
                if status not in {200, 204, 302}:
                    raise RuntimeError(f"{task.kind}: the server answered {status}")
                mine.append(number)

    threads = [threading.Thread(target=go, args=(client,)) for client in range(task.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    every = [number for mine in acknowledged for number in mine]
    return Asked(len(every), took, [] if task.kind == "get" else every)


def _status(web: socket.socket) -> int:
    """Read one response to its end and return its status."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = web.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    lower = head.lower()
    length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += web.recv(65536)
    return int(head[9:12])


def _get(task: Task, number: str, turn: int) -> bytes:
    path = task.paths[turn % len(task.paths)]
    return _request("GET", path, task.port, f"User-Agent: {AGENT}\r\nAccept-Language: ru\r\n")


def _smsc(task: Task, number: str, turn: int) -> bytes:
    body = urlencode(
        {
            "id": number,
            "phone": f"7998{turn:07}",
            "status": "1",
            "time": "28.11.2026 12:00:00",
            "err": "0",
            "cost": "2.50",
        }
    )
    return _request("POST", task.paths[0], task.port, f"Content-Type: {FORM}\r\n", body)


def _twilio(task: Task, number: str, turn: int) -> bytes:
    fields = {
        "AccountSid": "AC" + "0123456789abcdef" * 2,
        "ApiVersion": "2010-04-01",
        "From": "+15005550006",
        "MessageSid": number,
        "MessageStatus": "delivered",
        "SmsSid": number,
        "SmsStatus": "delivered",
        "To": f"+7998{turn:07}",
    }
    url = f"http://127.0.0.1:{task.port}{task.paths[0]}"
    said = url + "".join(name + value for name, value in fields.items())  # sorted already
    digest = hmac.digest(task.token.encode(), said.encode(), hashlib.sha1)
    signature = base64.b64encode(digest).decode()
    headers = f"Content-Type: {FORM}\r\nX-Twilio-Signature: {signature}\r\n"
    return _request("POST", task.paths[0], task.port, headers, urlencode(fields))


def _request(method: str, path: str, port: int, headers: str, body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}{length}\r\n"
    return f"{head}{body}".encode()


def main(read: Callable[[], str] = sys.stdin.read) -> int:
    print(json.dumps(ask(Task(*json.loads(read())))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
