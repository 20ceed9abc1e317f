"""SevenTech, as far as its documents and clients of the same platform tell: send, and calls to the
address that each request names. What it says in other cases is made up (see providers/seventech/codes.py).

Fates go by the last two digits of the phone. In a test: `with SevenTechEmulator() as seventech`, or
the fixture; as a process: `python -m tests.emulators.seventech --help`.
"""

import argparse
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from email.message import Message
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.emulators.callbacks import Call, Caller, Manner
from tests.emulators.journal import Journal
from tests.emulators.smsc_format import dialable
from tests.emulators.web import Emulator, Reply, login_of

LOGIN, PASSWORD = "school", "made-up"
ENDINGS = {signal.SIGTERM, signal.SIGINT}
SILENT = "06"  # accepted, but nothing is ever told; "00" is no number (dialable)
STATES = {
    "01": "UNDELIVERED",
    "02": "REJECTED",
    "03": "FAILED",
    "04": "ON_THE_MOON",  # a word that nobody knows
    "05": "EXPIRED",
    "07": "SEEN",
}
SHAPES = ("json", "array", "nested", "form")  # of calls: nobody knows the real one


class Refused(Exception):
    """The words of a 400."""


class SevenTechEmulator(Emulator):
    def __init__(
        self,
        *,
        port: int = 0,
        journal: Path | None = None,
        manner: Manner | None = None,
        shape: str = "json",
    ) -> None:
        super().__init__(port=port)
        self.manner = manner or Manner()
        self.shape = shape
        self.requests: list[dict[str, Any]] = []  # the last hundred
        self.caller = Caller()
        self.journal = Journal(journal)
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._dice = random.Random(1)

    @property
    def accepted(self) -> list[tuple[str, str, str]]:
        """(clientRequestId, phone, text) of everything ever taken, double ones too."""
        return [
            (entry["id"], phone, text)
            for entry in self.journal.entries
            for phone, text in entry["messages"]
        ]

    def reply_from(self, webhook: str, phone: str, text: str, to: str = "79980009999") -> None:
        """A person writes back, in the words of the older interface, as JSON."""
        fields = {"clientId": phone, "message": text, "shortNumber": to, "id": "1"}
        body = json.dumps(fields).encode()
        self.caller.call_later(
            [Call(time.time(), next(self._numbers), webhook, body, "application/json", 5)]
        )

    def stop(self) -> None:
        self.caller.stop()
        super().stop()
        self.journal.close()

    # --- what is asked ---------------------------------------------------------------------

    def command(self, path: str) -> str:
        return "send" if path == "/messaging/v1/send" else path

    def refusal(self, headers: Message) -> Reply | None:
        return None if login_of(headers) == (LOGIN, PASSWORD) else self.error(401)

    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        if command != "send":
            return Reply(404, b"<html>404</html>", "text/html")
        try:
            return self._send(json.loads(body))
        except Refused as refused:
            return _as_json({"error": str(refused)}, 400)

    def error(self, number: int) -> Reply:
        return _as_json({"error": f"error {number}"}, number)

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        for name, value in order.get("manner", {}).items():
            setattr(self.manner, name, value)
        counts = {
            "accepted": len(self.accepted),
            "called": self.caller.made,
            "missed": self.caller.failed,
        }
        return super().control(order) | counts

    # --- send ------------------------------------------------------------------------------

    def _send(self, told: dict[str, Any]) -> Reply:
        with self._lock:
            self.requests = [*self.requests[-99:], told]
        phone, text = _recipient(told)
        number = next(self._numbers)
        self.journal.write(
            {
                "id": told.get("clientRequestId", ""),
                "at": time.time(),
                "sender": told["scenario"][0]["sender"],
                "messages": [[phone, text]],
            }
        )
        transaction = f"tx{number}"
        self._report(told.get("callback", ""), phone, transaction, told.get("clientRequestId", ""))
        return _as_json({"txId": transaction, "state": "ACCEPTED"})

    # --- callbacks -------------------------------------------------------------------------

    def _report(self, callback: str, phone: str, transaction: str, client_id: str) -> None:
        if not callback or self.manner.silent:
            return
        calls = list(self._calls(callback, phone, transaction, client_id))
        if self.manner.early:
            self.caller.call_now(calls)
        else:
            self.caller.call_later(calls)

    def _calls(self, callback: str, phone: str, transaction: str, client_id: str) -> Iterator[Call]:
        now = time.time()
        final_at = now + self.manner.delay + self._dice.random() * self.manner.jitter
        news = [(final_at, STATES.get(phone[-2:], "DELIVERED"))]
        if phone.endswith(SILENT):
            news = []
        if self.manner.steps:
            news.insert(0, (now, "ACCEPTED"))
        if self.manner.backwards:
            news.append((final_at + 0.05, "ACCEPTED"))
        for at, state in news:
            fields = {"txId": transaction, "clientRequestId": client_id, "state": state}
            yield self._call(at, callback, fields)
            if self._dice.random() < self.manner.twice:
                yield self._call(at + 0.05, callback, fields)

    def _call(self, at: float, callback: str, fields: dict[str, str]) -> Call:
        body, content_type = _shaped(self.shape, fields)
        return Call(at, next(self._numbers), callback, body, content_type, self.manner.tries)


def _recipient(told: dict[str, Any]) -> tuple[str, str]:
    """(digits, text) of the one message in a request that is as it must be."""
    try:
        [element] = told["scenario"]
        recipient = element["recipient"]
        phone, text, sender = recipient["value"], element["text"], element["sender"]
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"bad scenario: {error}") from error
    if element["channel"] != "sms" or recipient["type"] != "MSISDN" or not sender or not text:
        raise Refused("bad scenario")
    if not isinstance(phone, int) or not dialable(str(phone)):
        raise Refused(f"bad recipient {phone}")
    if len(told.get("clientRequestId", "")) > 100:
        raise Refused("clientRequestId is too long")
    return str(phone), text


def _shaped(shape: str, fields: dict[str, str]) -> tuple[bytes, str]:
    if shape == "form":
        return urlencode(fields).encode(), "application/x-www-form-urlencoded"
    told: Any = {
        "json": fields,
        "array": [fields],
        "nested": {"type": "status", "message": fields},
    }[shape]
    return json.dumps(told).encode(), "application/json"


def _as_json(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value, ensure_ascii=False).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description="SevenTech, emulated on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="json", help="of calls to our door")
    parser.add_argument("--manner", type=json.loads, default={}, help="JSON; see callbacks.Manner")
    parser.add_argument("--plan", type=json.loads, default={}, help="JSON, as to /_control")
    given = vars(parser.parse_args())
    plan, manner = given.pop("plan"), Manner(**given.pop("manner"))
    # Before any thread starts: one that did not block them would be the one they kill.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    with SevenTechEmulator(manner=manner, **given) as emulator:
        emulator.control(plan)
        print(emulator.url, flush=True)  # noqa: T201  # whoever started us waits for this line
        signal.sigwait(ENDINGS)


if __name__ == "__main__":
    main()
