"""The SMS service of the benchmark: a program that costs a few us a message, where the emulator of the tests
costs 31 to 35 and would be measured instead of smsmail. It believes every request, takes every message, and keeps
a journal on disk.
"""

import argparse
import asyncio
import json
import os
import re
import time
from email.utils import formatdate
from io import BufferedWriter
from pathlib import Path
from urllib.parse import unquote_plus

# `list` of SMSC: "phone:text" lines, as a form writes them; the colon and the plus may be left as they are.
LISTED = re.compile(rb"(?:=|%0A|\n)(?:%2B|\+)(\d+)(?:%3A|:)")
FIELD = {
    name: re.compile(rb"(?:^|&)" + name + rb"=([^&]*)") for name in (b"id", b"phones", b"list")
}
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
FEW = 3  # messages; of a longer list the journal has the phones alone


class Books:
    """What the service was given."""

    def __init__(self, journal: BufferedWriter) -> None:
        self.journal = journal
        self.delay = 0.0  # seconds until each answer
        self.requests = self.messages = 0

    def answer(self, path: bytes, body: bytes) -> bytes:
        if path.startswith(b"/_control"):
            return self._control(body)
        if path.startswith(b"/sys/send.php"):
            return self._send(body)
        if path.startswith(b"/sys/balance.php"):
            return b'{"balance":"1000000000","currency":"RUR"}'
        return b"[]"

    def _send(self, body: bytes) -> bytes:
        listed = FIELD[b"list"].search(body)
        phones = LISTED.findall(listed[0]) if listed else [_digits(_field(b"phones", body))]
        self.requests += 1
        self.messages += len(phones)
        reference = _field(b"id", body)
        words = body if len(phones) <= FEW else b",".join(phones)
        self.journal.write(b"%.6f\t%s\t%s\n" % (time.time(), reference, words))
        rows = b",".join(
            b'{"phone":"%b","mccmnc":"25001","cost":"3","status":"0"}' % phone for phone in phones
        )
        return b'{"id":"%b","cnt":%d,"cost":"%d","balance":"1000000","phones":[%b]}' % (
            *(reference, len(phones), 3 * len(phones)),
            rows,
        )

    def _control(self, body: bytes) -> bytes:
        """Take a new delay, if there is one in the body, and tell what has come so far."""
        if body:
            self.delay = float(json.loads(body)["delay"])
        self.journal.flush()
        told = {
            "requests": self.requests,
            "messages": self.messages,
            "cpu": time.process_time(),
            "pid": os.getpid(),
        }
        return json.dumps(told).encode()


def _field(name: bytes, body: bytes) -> bytes:
    found = FIELD[name].search(body)
    return unquote_plus(found[1].decode()).encode() if found else b""


def _digits(phone: bytes) -> bytes:
    return phone.lstrip(b"+")


class Line(asyncio.Protocol):
    """One connection, kept as long as the client likes."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.held = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.held[:end])
            length = LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.held) < whole:
                return
            path, body = head.split(b" ", 2)[1], bytes(self.held[end + 4 : whole])
            del self.held[:whole]
            answer = self.books.answer(path, body)
            if self.books.delay and not path.startswith(b"/_control"):
                asyncio.get_running_loop().call_later(self.books.delay, self.tell, answer)
            else:
                self.tell(answer)

    def tell(self, answer: bytes) -> None:
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: {formatdate(usegmt=True)}"
            f"\r\nContent-Length: {len(answer)}\r\n\r\n"
        )
        if not self.transport.is_closing():
            self.transport.write(head.encode() + answer)


async def serve(journal: Path) -> None:
    with journal.open("wb") as opened:
        books = Books(opened)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Line(books), "127.0.0.1", 0, backlog=1024)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An SMS service that costs next to nothing")
    parser.add_argument("--journal", type=Path, required=True)
    asyncio.run(serve(parser.parse_args().journal))
