"""SMSC as its documents describe it: send, status, history, balance, cancel, callbacks.

In all forms of answer (smsc_writing). Fates go by the last two digits of the phone (smsc_rows). In a test:
`with SmscEmulator() as smsc`, or the fixture; as a process: `python -m tests.emulators.smsc --help`.
"""

import argparse
import hashlib
import json
import random
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.emulators.callbacks import Call, Caller, Manner
from tests.emulators.journal import Journal
from tests.emulators.smsc_format import (
    dialable,
    digits,
    fields_of,
    midnight,
    moscow,
    parts_of,
    recipients_of,
)
from tests.emulators.smsc_rows import NOTHING, PRICE, SILENT, Row, result, told
from tests.emulators.smsc_writing import FORMS, written
from tests.emulators.web import Emulator, Reply

LOGIN, PASSWORD, APIKEY = "school", "made-up", "made-up-key"
OTHER = "other"  # a second account with the same password; its books are its own
PAGE = 1000  # rows of history at once
LONGEST = 1000  # characters of a text
ENDINGS = {signal.SIGTERM, signal.SIGINT}


class SmscError(Exception):
    def __init__(self, number: int, **more: Any) -> None:
        super().__init__(number)
        self.answer = {"error": f"error {number}", "error_code": number, **more}


class SmscEmulator(Emulator):
    def __init__(
        self,
        *,
        port: int = 0,
        journal: Path | None = None,
        callback: str = "",
        secret: str = "",
        manner: Manner | None = None,
        balance: Decimal = Decimal(1_000_000),
        repeats: float = 0,
        parallel: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.callback = callback  # our receipt webhook, with its options: ?charset=utf-8&md5=1
        self.secret = secret
        self.manner = manner or Manner()
        self.balance = balance
        self.repeats = repeats  # seconds in which an equal request gets error 9; 60 at the real one
        self.parallel = parallel  # requests at once before error 9; 15 at the real one
        self.hides_kept = False  # its history does not show what waits for its time
        self.requests: list[tuple[str, dict[str, str]]] = []  # the last hundred
        self.caller = Caller()
        self._lock = threading.Lock()
        self._rows: list[Row] = []  # by int_id
        self._book: dict[tuple[str, str], Row] = {}
        self._recent: dict[str, float] = {}
        self._under_way = 0
        self._numbers = count(1)
        self._dice = random.Random(1)
        self.journal = Journal(journal)
        for entry in self.journal.entries:
            self._remember(entry)

    @property
    def accepted(self) -> list[tuple[str, str, str]]:
        """(id, phone, text) of everything ever taken, double ones too."""
        return [
            (entry["id"], phone, text)
            for entry in self.journal.entries
            for phone, text in entry.get("messages", ())
        ]

    def reply_from(self, phone: str, text: str, to: str = "79980009999") -> None:
        """A person writes back."""
        fields = {"phone": phone, "mes": text, "to": to, "ts": str(int(self.now()))}
        self.caller.call_later([self._call(self.now(), fields, f"{phone}:{text}:{to}")])

    def stop(self) -> None:
        self.caller.stop()
        super().stop()
        self.journal.close()

    # --- what is asked ---------------------------------------------------------------------

    def command(self, path: str) -> str:
        return path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".php")

    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        fields = fields_of(query, body, content_type)
        asked = {
            "send": self._send,
            "status": self._status,
            "get": self._history,
            "balance": self._balance,
        }
        with self._lock:
            self.requests = [*self.requests[-99:], (command, fields)]
            self._under_way += 1
        try:
            if command not in asked:
                return Reply(404, b"<html>404</html>", "text/html")
            self._check(fields)
            return written(command, asked[command](fields), fields)
        except SmscError as error:
            return written(command, error.answer, fields)
        finally:
            with self._lock:
                self._under_way -= 1

    def error(self, number: int) -> Reply:
        more = {"id": "1"} if number in {3, 6, 7, 8} else {}
        return written("send", SmscError(number, **more).answer, {"fmt": "3", "charset": "utf-8"})

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        self.callback = order.get("callback", self.callback)
        for name, value in order.get("manner", {}).items():
            setattr(self.manner, name, value)
        with self._lock:
            accepted = sum(len(entry.get("messages", ())) for entry in self.journal.entries)
        counts = {"accepted": accepted, "called": self.caller.made, "missed": self.caller.failed}
        return super().control(order) | counts

    def _check(self, fields: dict[str, str]) -> None:
        if self.parallel and self._under_way > self.parallel:
            raise SmscError(9)
        psw = {PASSWORD, hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()}
        by_login = fields.get("login") in {LOGIN, OTHER} and fields.get("psw") in psw
        if not by_login and fields.get("apikey") != APIKEY:
            raise SmscError(2)
        if fields.get("fmt", "0") not in FORMS:
            raise SmscError(1)

    # --- send ------------------------------------------------------------------------------

    def _send(self, fields: dict[str, str]) -> dict[str, Any]:
        recipients = list(recipients_of(fields))
        if not recipients or not re.fullmatch(r"[\w.-]{0,40}", fields.get("id", "")):
            raise SmscError(1)
        if not re.fullmatch(r"(0[1-9]|1\d|2[0-3]):[0-5]\d|24:00|", fields.get("valid", "")):
            raise SmscError(1)
        if not re.fullmatch(r"\+?\d{0,15}|[\w .!?()&-]{1,11}", fields.get("sender", "")):
            raise SmscError(6, id=fields.get("id") or "1")
        if any(not 1 <= len(text) <= LONGEST for phone, text in recipients if phone):
            raise SmscError(1)
        # Of its forms, the one we use; 0 alone is now.
        if not re.fullmatch(r"(0(\d{10})?)?", fields.get("time", "")):
            raise SmscError(5)
        good = [(phone, text) for phone, text in recipients if dialable(phone)]
        if not good and len(recipients) == 1:
            raise SmscError(7, id=fields.get("id", "1"))
        parts = sum(parts_of(text) for _, text in good)
        if fields.get("cost") == "1":
            return {"cost": str(PRICE * parts), "cnt": parts}
        return self._accept(fields, recipients, good, parts)

    def _accept(
        self,
        fields: dict[str, str],
        recipients: Sequence[tuple[str, str]],
        good: Sequence[tuple[str, str]],
        parts: int,
    ) -> dict[str, Any]:
        with self._lock:
            self._refuse_repeats(good)
            if PRICE * parts > self.balance:
                raise SmscError(3, id=fields.get("id", "1"))
            self.balance -= PRICE * parts
            named = fields.get("id", "") not in {"", "0"}
            entry = {
                "id": fields["id"] if named else str(next(self._numbers)),
                "at": self.now(),
                "login": _whose(fields),
                "sender": fields.get("sender", ""),
                "time": int(fields.get("time") or 0),
                "valid": fields.get("valid", ""),
                "messages": good,
            }
            rows = self._remember(entry)
        self.journal.write(entry)
        self._report(rows)
        answer: dict[str, Any] = {"id": entry["id"], "cnt": parts}
        if fields.get("cost") in {"2", "3"}:
            answer["cost"] = str(PRICE * parts)
        if fields.get("cost") == "3":
            answer["balance"] = str(self.balance)
        if fields.get("op") == "1":
            answer["phones"] = [result(phone, text) for phone, text in recipients]
        return answer

    def _refuse_repeats(self, messages: Sequence[tuple[str, str]]) -> None:
        if not self.repeats:
            return
        print_of = hashlib.sha256(repr(messages).encode()).hexdigest()
        if time.time() - self._recent.get(print_of, 0) < self.repeats:
            raise SmscError(9)
        self._recent[print_of] = time.time()

    def _remember(self, entry: dict[str, Any]) -> list[Row]:
        """Into the books. An id given twice for a phone hides the first, as at the real one."""
        rows = []
        sent_at = max(entry["at"], entry["time"]) if "messages" in entry else 0
        for phone, text in entry.get("messages", ()):
            later = self.manner.delay + self._dice.random() * self.manner.jitter
            row = Row(
                id=entry["id"],
                int_id=len(self._rows) + 1,
                phone=phone,
                text=text,
                sender=entry["sender"],
                sent_at=sent_at,
                final_at=sent_at + later,
                parts=parts_of(text),
                login=entry.get("login", LOGIN),
            )
            self._rows.append(row)
            self._book[row.id, phone] = row
            rows.append(row)
        for id_, phone in entry.get("deleted", ()):
            self._book.pop((id_, phone), None)
        return rows

    # --- callbacks -------------------------------------------------------------------------

    def _report(self, rows: Sequence[Row]) -> None:
        if not self.callback or self.manner.silent:
            return
        calls = [call for row in rows for call in self._calls(row)]
        if self.manner.early:
            self.caller.call_now(calls)
        else:
            self.caller.call_later(calls)

    def _calls(self, row: Row) -> Iterator[Call]:
        news = [] if row.phone.endswith(SILENT) else [(row.final_at, row.fate)]
        if self.manner.steps:
            news.insert(0, (row.sent_at, (0, 0)))
        if self.manner.backwards:
            news.append((row.final_at + 0.05, (0, 0)))
        for at, (status, err) in news:
            fields = {
                "id": row.id,
                "phone": row.phone,
                "status": str(status),
                "err": str(err),
                "ts": str(int(at)),
                "time": moscow(at),
                "type": "0",
            }
            call = self._call(at, fields, f"{row.id}:{row.phone}:{status}")
            yield call
            if self._dice.random() < self.manner.twice:
                yield self._call(at + 0.05, fields, f"{row.id}:{row.phone}:{status}")

    def _call(self, at: float, fields: dict[str, str], signed: str) -> Call:
        """The options in the address say what the call looks like."""
        options = dict(parse_qsl(urlsplit(self.callback).query))
        charset = options.get("charset", "windows-1251")
        for method in {"md5", "sha1"} & options.keys():
            digest = hashlib.new(method, f"{signed}:{self.secret}".encode(charset, "replace"))
            fields = fields | {method: digest.hexdigest()}
        if options.get("fmt") == "3":
            body, content_type = json.dumps(fields), "application/json"
        else:
            body = urlencode(fields, encoding=charset)
            content_type = "application/x-www-form-urlencoded"
        number = next(self._numbers)
        return Call(
            at - self.clock_off,
            number,
            self.callback,
            body.encode(),
            content_type,
            self.manner.tries,
        )

    # --- status, cancel, history, balance ----------------------------------------------------

    def _status(self, fields: dict[str, str]) -> Any:
        phones, ids = fields.get("phone", ""), fields.get("id", "")
        if not phones or not ids:
            raise SmscError(1)
        tell = self._delete if fields.get("del") == "1" else self._tell
        if "," not in phones:
            told = tell(ids, phones)
            if "error_code" in told:
                raise SmscError(told["error_code"])
            return told
        pairs = zip(ids.split(","), phones.split(","), strict=True)
        return [tell(id_, phone) for id_, phone in pairs if phone]

    def _tell(self, id_: str, phone: str) -> dict[str, Any]:
        row = self._book.get((id_, digits(phone)))
        if row is None:
            return dict.fromkeys(NOTHING) | {"id": id_, "phone": phone, "status": -3, "err": 0}
        return told(row, self.now())

    def _delete(self, id_: str, phone: str) -> dict[str, Any]:
        """Takes back what has no final status yet."""
        known = {"id": id_, "phone": phone}
        with self._lock:
            row = self._book.get((id_, digits(phone)))
            if row is None or row.state(self.now())[0] not in {-1, 0}:
                return known | {"error": "cannot be deleted", "error_code": 5}
            del self._book[id_, row.phone]
        self.journal.write({"deleted": [[id_, row.phone]]})
        return known | {"result": "OK"}

    def _history(self, fields: dict[str, str]) -> list[dict[str, Any]]:
        if fields.get("get_messages") != "1":
            raise SmscError(3)  # no answers were ever received
        rows = islice(self._backwards(fields), min(int(fields.get("cnt") or PAGE), PAGE))
        found = [told(row, self.now()) for row in rows]
        if not found:
            raise SmscError(3)
        return found

    def _backwards(self, fields: dict[str, str]) -> Iterator[Row]:
        start, end = midnight(fields.get("start", "")), midnight(fields.get("end", ""), 1)
        phone = digits(fields.get("phone", ""))
        last = int(fields["prev_id"]) - 1 if fields.get("prev_id") else len(self._rows)
        for at in range(last - 1, -1, -1):
            row = self._rows[at]
            if row.sent_at < start:
                return
            if row.login != _whose(fields) or (self.hides_kept and self.now() < row.sent_at):
                continue
            if row.sent_at < end and phone in {"", row.phone} and (row.id, row.phone) in self._book:
                yield row

    def _balance(self, fields: dict[str, str]) -> dict[str, Any]:
        return {"balance": str(self.balance)} | ({"currency": "RUR"} if "cur" in fields else {})


def _whose(fields: dict[str, str]) -> str:
    """An API key is of the first account."""
    return fields.get("login") or LOGIN


def main() -> None:
    parser = argparse.ArgumentParser(description="SMSC, emulated on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--callback", default="", help="our receipt door with its options")
    parser.add_argument("--secret", default="")
    parser.add_argument("--manner", type=json.loads, default={}, help="JSON; see callbacks.Manner")
    parser.add_argument("--plan", type=json.loads, default={}, help="JSON, as to /_control")
    parser.add_argument("--repeats", type=float, default=0)
    parser.add_argument("--parallel", type=int, default=0)
    parser.add_argument("--balance", type=Decimal, default=Decimal(1_000_000))
    given = vars(parser.parse_args())
    plan, manner = given.pop("plan"), Manner(**given.pop("manner"))
    # Before any thread starts: one that did not block them would be the one they kill.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    with SmscEmulator(manner=manner, **given) as emulator:
        emulator.control(plan)
        print(emulator.url, flush=True)  # noqa: T201  # whoever started us waits for this line
        signal.sigwait(ENDINGS)


if __name__ == "__main__":
    main()
