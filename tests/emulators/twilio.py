"""Twilio as its documents describe it: create, fetch, list, cancel, redact, delete, balance, signed
callbacks. What it refuses stands in twilio_checks.py.

Fates go by the last two digits of the phone (twilio_rows). In a test: `with TwilioEmulator() as
twilio`, or the fixture; as a process: `python -m tests.emulators.twilio --help`.
"""

import argparse
import base64
import hmac
import json
import random
import re
import secrets
import signal
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal
from email.message import Message
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.emulators.callbacks import Call, Caller, Manner
from tests.emulators.journal import Journal
from tests.emulators.smsc_format import digits, parts_of
from tests.emulators.twilio_checks import NUMBERS, OF_OTHERS, Ground, TwilioError, check, listed
from tests.emulators.twilio_rows import ACCOUNT, CURRENCY, PRICE, SILENT, Row, as_json, error, told
from tests.emulators.web import Emulator, Reply, login_of

TOKEN = "made-up-token"
KEY, KEY_SECRET = "SK" + "fedcba9876543210" * 2, "made-up-secret"
LOGINS = {(ACCOUNT, TOKEN), (KEY, KEY_SECRET)}
PAGE = 50  # messages in one page of the list, unless PageSize says otherwise
FORM = "application/x-www-form-urlencoded"
ENDINGS = {signal.SIGTERM, signal.SIGINT}


class TwilioEmulator(Emulator):
    def __init__(
        self,
        *,
        port: int = 0,
        journal: Path | None = None,
        manner: Manner | None = None,
        balance: Decimal = Decimal(1_000_000),
        parallel: int = 0,
        numbers: Collection[str] = NUMBERS,
        of_others: Collection[str] = OF_OTHERS,
        loopback: bool = False,
    ) -> None:
        super().__init__(port=port)
        self.ground = Ground(numbers, of_others, loopback)
        self.manner = manner or Manner()
        self.balance = balance
        self.parallel = parallel  # requests at once before 429
        self.most = 0  # requests at once, ever
        self.requests: list[tuple[str, dict[str, str]]] = []  # the last thousand
        self.caller = Caller()
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}  # by sid, the oldest first
        self._to: dict[str, list[Row]] = defaultdict(list)
        self._under_way = 0
        self._numbers = count(1)
        self._dice = random.Random(1)
        self.journal = Journal(journal)
        for entry in self.journal.entries:
            self._remember(entry)

    @property
    def accepted(self) -> list[tuple[str, str, str]]:
        """(our reference, phone, text) of everything ever taken, double ones too."""
        return [
            (reference_of(entry["callback"]), digits(entry["to"]), entry["body"])
            for entry in self.journal.entries
            if "to" in entry
        ]

    def reply_from(self, webhook: str, phone: str, text: str, **more: str) -> None:
        """A person writes back."""
        fields = {
            "MessageSid": _new_sid(),
            "SmsStatus": "received",
            "AccountSid": ACCOUNT,
            "From": phone,
            "To": "+79980009999",
            "Body": text,
            "NumMedia": "0",
            **more,
        }
        self.caller.call_later([self._call(self.now(), webhook, fields)])

    def stop(self) -> None:
        self.caller.stop()
        super().stop()
        self.journal.close()

    # --- what is asked ---------------------------------------------------------------------

    def command(self, path: str) -> str:
        self.asked.path = path
        verb = self.asked.method.lower()
        place = re.sub(r"^/2010-04-01/Accounts/[^/]+", "", path)
        place = re.sub(r"/Messages/[^/]+\.json", "/one", place)
        commands = {
            ("post", "/Messages.json"): "send",
            ("get", "/Messages.json"): "list",
            ("get", "/one"): "fetch",
            ("post", "/one"): "cancel",
            ("delete", "/one"): "delete",
            ("get", "/Balance.json"): "balance",
        }
        return commands.get((verb, place), path)

    def refusal(self, headers: Message) -> Reply | None:
        return None if login_of(headers) in LOGINS else error(20003)

    def answer(self, command: str, query: str, body: bytes, content_type: str) -> Reply:
        raw = body.decode("ascii") if self.asked.method == "POST" else query
        fields = dict(parse_qsl(raw, keep_blank_values=True))
        asked = {
            "send": self._send,
            "list": self._list,
            "fetch": self._fetch,
            "cancel": self._cancel,
            "delete": self._delete,
            "balance": self._balance,
        }
        with self._lock:
            self.requests = [*self.requests[-999:], (command, fields)]
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            if self.parallel and self._under_way > self.parallel:
                return error(20429)
            if command not in asked or ACCOUNT not in self.asked.path.split("/"):
                return error(20404)
            return asked[command](fields)
        except TwilioError as refused:
            return error(refused.code)
        finally:
            with self._lock:
                self._under_way -= 1

    def error(self, number: int) -> Reply:
        return error(number)

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        for name, value in order.get("manner", {}).items():
            setattr(self.manner, name, value)
        with self._lock:
            accepted = len(self.accepted)
        counts = {"accepted": accepted, "called": self.caller.made, "missed": self.caller.failed}
        return super().control(order) | counts

    # --- create ----------------------------------------------------------------------------

    def _send(self, fields: dict[str, str]) -> Reply:
        check(fields, self.ground)
        body = fields.get("Body", "")
        parts = parts_of(body)
        with self._lock:
            if PRICE * parts > self.balance:
                raise TwilioError(20005)
            self.balance -= PRICE * parts
            entry = {
                "sid": _new_sid(),
                "at": self.now(),
                "to": fields["To"],
                "from": fields.get("From", ""),
                "service": fields.get("MessagingServiceSid", ""),
                "body": body,
                "callback": fields.get("StatusCallback", ""),
                "send_at": fields.get("SendAt", ""),
                "validity": fields.get("ValidityPeriod", ""),
            }
            row = self._remember(entry)
        self.journal.write(entry)
        answer = as_json(told(row, row.created_at - 1), 201)
        self._report(row)
        return answer

    def _remember(self, entry: dict[str, Any]) -> Row:
        if "canceled" in entry:
            row = self._rows[entry["canceled"]]
            row.canceled = True
            return row
        if "redacted" in entry:
            row = self._rows[entry["redacted"]]
            row.body = ""
            return row
        if "deleted" in entry:
            row = self._rows.pop(entry["deleted"])
            self._to[row.to].remove(row)
            return row
        scheduled = bool(entry["send_at"])
        at = datetime.fromisoformat(entry["send_at"]).timestamp() if scheduled else entry["at"]
        row = Row(
            sid=entry["sid"],
            to=entry["to"],
            sender=entry["from"],
            service=entry["service"],
            body=entry["body"],
            callback=entry["callback"],
            created_at=entry["at"],
            sent_at=at,
            final_at=at + self.manner.delay + self._dice.random() * self.manner.jitter,
            parts=parts_of(entry["body"]),
            scheduled=scheduled,
        )
        self._rows[row.sid] = row
        self._to[row.to].append(row)
        return row

    # --- callbacks -------------------------------------------------------------------------

    def _report(self, row: Row) -> None:
        if not row.callback or row.scheduled or self.manner.silent:
            return
        if self.manner.early:
            self.caller.call_now(self._calls(row))
        else:
            self.caller.call_later(self._calls(row))

    def _calls(self, row: Row) -> Iterator[Call]:
        """About the first status there is none: it is in the answer."""
        news = [] if row.to.endswith(SILENT) else [(row.final_at, *row.fate)]
        if self.manner.steps:
            news = [(row.created_at, "sending", None), (row.created_at, "sent", None), *news]
        if self.manner.backwards:
            news.append((row.final_at + 0.05, "sent", None))
        for at, status, code in news:
            fields = {
                "SmsSid": row.sid,
                "SmsStatus": status,
                "MessageStatus": status,
                "To": row.to,
                "MessageSid": row.sid,
                "AccountSid": ACCOUNT,
                "From": row.sender or "+15005550006",
                "ApiVersion": "2010-04-01",
                **({"MessagingServiceSid": row.service} if row.service else {}),
                **({"ErrorCode": str(code)} if code else {}),
            }
            yield self._call(at, row.callback, fields)
            if self._dice.random() < self.manner.twice:
                yield self._call(at + 0.05, row.callback, fields)

    def _call(self, at: float, url: str, fields: dict[str, str]) -> Call:
        """What follows # in the address tells Twilio how to call: it is neither sent nor signed."""
        url = url.partition("#")[0]
        signed = url + "".join(name + fields[name] for name in sorted(fields))
        signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), "sha1")).decode()
        return Call(
            at - self.clock_off,
            next(self._numbers),
            url,
            urlencode(fields).encode(),
            FORM,
            self.manner.tries,
            {"X-Twilio-Signature": signature},
        )

    # --- fetch, cancel, list, balance --------------------------------------------------------

    def _fetch(self, fields: dict[str, str]) -> Reply:
        return as_json(told(self._row(), self.now()))

    def _cancel(self, fields: dict[str, str]) -> Reply:
        """Takes back what is scheduled, or takes the text out."""
        row = self._row()
        if fields.get("Body") == "" and "Status" not in fields:
            return self._changed(row, {"redacted": row.sid})
        if fields.get("Status") != "canceled" or row.state(self.now())[0] != "scheduled":
            raise TwilioError(30409)
        return self._changed(row, {"canceled": row.sid})

    def _delete(self, fields: dict[str, str]) -> Reply:
        self._changed(row := self._row(), {"deleted": row.sid})
        return Reply(204, b"")

    def _changed(self, row: Row, entry: dict[str, Any]) -> Reply:
        with self._lock:
            self._remember(entry)
        self.journal.write(entry)
        return as_json(told(row, self.now()))

    def _row(self) -> Row:
        sid = self.asked.path.rsplit("/", 1)[-1].removesuffix(".json")
        if sid not in self._rows:
            raise TwilioError(20404)
        return self._rows[sid]

    def _list(self, fields: dict[str, str]) -> Reply:
        """The newest first. A page starts after the message that its token names."""
        size = int(fields.get("PageSize") or PAGE)
        if not 1 <= size <= 1000:
            raise TwilioError(20001)
        with self._lock:
            some = self._to[fields["To"]] if fields.get("To") else self._rows.values()
            now = self.now()
            rows = [row for row in list(some)[::-1] if listed(row, fields, now)]
        after = fields.get("PageToken", "").removeprefix("PA")
        start = next((n for n, row in enumerate(rows, 1) if row.sid == after), 0)
        page, rest = rows[start : start + size], rows[start + size :]
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        here = {name: value for name, value in fields.items() if name != "PageToken"}
        number = int(fields.get("Page") or 0)
        later = here | {"Page": str(number + 1), "PageToken": f"PA{page[-1].sid}" if page else ""}
        return as_json(
            {
                "end": start + len(page) - 1 if page else start,
                "first_page_uri": f"{path}?{urlencode(here | {'Page': '0'})}",
                "next_page_uri": f"{path}?{urlencode(later)}" if rest else None,
                "page": number,
                "page_size": size,
                "previous_page_uri": None,
                "start": start,
                "uri": f"{path}?{urlencode(fields)}",
                "messages": [told(row, now) for row in page],
            }
        )

    def _balance(self, fields: dict[str, str]) -> Reply:
        balance = {"account_sid": ACCOUNT, "balance": str(self.balance), "currency": CURRENCY}
        return as_json(balance)


def reference_of(callback: str) -> str:
    return parse_qs(urlsplit(callback).query).get("ref", [""])[0]


def _new_sid() -> str:
    return f"SM{secrets.token_hex(16)}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Twilio, emulated on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--manner", type=json.loads, default={}, help="JSON; see callbacks.Manner")
    parser.add_argument("--plan", type=json.loads, default={}, help="JSON, as to /_control")
    parser.add_argument("--parallel", type=int, default=0)
    # A process of its own is started where our webhook is on loopback, too.
    parser.add_argument("--loopback", action=argparse.BooleanOptionalAction, default=True)
    given = vars(parser.parse_args())
    plan, manner = given.pop("plan"), Manner(**given.pop("manner"))
    # Before any thread starts: one that did not block them would be the one they kill.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    with TwilioEmulator(manner=manner, **given) as emulator:
        emulator.control(plan)
        print(emulator.url, flush=True)  # noqa: T201  # whoever started us waits for this line
        signal.sigwait(ENDINGS)


if __name__ == "__main__":
    main()
