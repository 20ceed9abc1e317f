"""SMSC (smsc.ru and its sites in other countries): the HTTP API with JSON responses.

providers/smsc/codes.py explains its codes. SMSC has no idempotency key: a message is identified by our
reference (its `id`) and the phone, and we look that pair up in its history if no response came.
"""

import hashlib
import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.providers import transport
from integrations.providers.base import Provider
from integrations.providers.contract import (
    Balance,
    BooksPage,
    DeliveryReport,
    DeliveryStatus,
    InboundSms,
    LookupItem,
    LookupRequest,
    Outcome,
    ProviderError,
    SendResult,
    Sms,
    WebhookPayload,
)
from smsmail import uptime

from . import history
from .answers import (
    Row,
    digits,
    error_code,
    fields_of,
    line,
    moment,
    money,
    parsed,
    report_from_call,
    results_of,
    rows_of,
    text_of,
    trouble_of,
)
from .books import Page, Reading, by_phone, earliest, read_until
from .codes import NOTHING_FOUND

logger = logging.getLogger(__name__)

MOSCOW = ZoneInfo("Europe/Moscow")  # the dates of its history
HOSTS = ("smsc.ru", "smsc.kz", "smsc.ua", "smscentre.com")

PAGE = 1000  # rows of history in one response, which is the maximum
PAGES = 100  # pages in one look-up; the next one continues there
PAGE_CAP = 16_000_000  # bytes: a page of long texts in \\uXXXX escapes
FEW = 3  # up to this many phones are looked up one by one instead of reading the whole history


class Smsc(Provider):
    slug = "smsc"
    title = "SMSC"
    site = "https://smsc.ru"
    hint = _(
        "Enter the login and the password of the account, or better an API key made there. "
        "Register the sender name with SMSC first. Write the address for receipts into the "
        "account's settings; with a secret word there, enter the same word here."
    )
    quirk = _(
        "SMSC itself puts off mass messages to between 9 and 22 o'clock of the recipient's time. An interval of your own under “Limits and restrictions” in its account switches that off."
    )
    callback_hint = "?charset=utf-8&md5=1"
    fields: ClassVar[Mapping[str, forms.Field]] = {
        "host": forms.ChoiceField(
            label=_("Site of the account"), choices=[(host, host) for host in HOSTS]
        ),
        "login": forms.CharField(label=_("Login"), required=False, max_length=100),
        "password": forms.CharField(
            label=_("Password"), required=False, max_length=100, widget=forms.PasswordInput
        ),
        "apikey": forms.CharField(
            label=_("API key"), required=False, max_length=200, widget=forms.PasswordInput
        ),
        "callback_secret": forms.CharField(
            label=_("Secret word of receipts"),
            required=False,
            max_length=100,
            widget=forms.PasswordInput,
        ),
    }
    batch = 500
    one_request_per_batch = True
    parallel = 4  # it wants fewer than 5 parallel calls for one login
    settle_seconds = 180
    can_look_up = True
    lists_sent = True
    can_cancel = True
    puts_off = (21, 10)  # one hour more on both sides than documented
    cancel_pause = 60  # only one request about several messages a minute is allowed
    validity = (60, 24 * 60)
    has_balance = True

    @classmethod
    def complaint(cls, values: Mapping[str, str]) -> str:
        if values.get("apikey") or (values.get("login") and values.get("password")):
            return ""
        return gettext("Enter the login and the password, or an API key.")

    @classmethod
    def login(cls, values: Mapping[str, str]) -> str:
        """Each site has separate accounts. A new password opens the same history."""
        who = values.get("apikey") or values.get("login", "").strip().lower()
        return f"{values.get('host') or HOSTS[0]} {who}"

    @classmethod
    def check_sender(cls, sender: str) -> str:
        """'' is the account's own default. Operators allow letters, digits and ! ? - _ . ( ); SMSC was
        seen to accept a space and & as well. A sender that it does not accept is refused with error 6.
        """
        if not sender or re.fullmatch(r"\+?\d{1,15}|[A-Za-z0-9 ._!?&()-]{1,11}", sender):
            return ""
        return gettext(
            "Up to 11 Latin letters, digits, spaces and . _ ! ? & ( ) -, or up to 15 digits."
        )

    # --- sending -----------------------------------------------------------------------------

    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        results: list[SendResult] = []
        # A request has one scheduled time and one lifetime.
        for _at, same_time in groupby(messages, key=lambda sms: (sms.at, sms.valid_until)):
            together = list(same_time)
            for start in range(0, len(together), self.batch):
                some = together[start : start + self.batch]
                results += self._send_some(reference, some, deadline)
        return results

    def can_schedule(self, at: datetime) -> bool:
        """The furthest possible date is unknown; a week ahead is certainly accepted."""
        return timedelta(minutes=1) <= at - timezone.now() <= timedelta(days=7)

    def _send_some(
        self, reference: str, messages: Sequence[Sms], deadline: float
    ) -> list[SendResult]:
        began = time.monotonic()
        answer = self._ask(
            "send",
            {
                "id": reference,
                "list": "\n".join(line(sms) for sms in messages),
                "nl": "1",
                "cost": "3",
                "op": "1",
                **({"sender": self.credentials.sender} if self.credentials.sender else {}),
                # "0" and a Unix time: the only form that needs no time zone.
                **({"time": f"0{int(at.timestamp())}"} if (at := messages[0].at) else {}),
                **_valid(messages[0]),
            },
            deadline=deadline,
            last_look=lambda: self.gate.passes(messages),
        )
        if answer.failure == transport.Failure.WITHHELD:
            results = [SendResult(sms.key, Outcome.UNSENT, withheld=True) for sms in messages]
        else:
            results = results_of(messages, answer)
        counts = Counter(str(result.outcome) for result in results)
        _log("send", reference, len(messages), answer, began, dict(counts))
        return results

    # --- asking ------------------------------------------------------------------------------

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        """Read through the history once, or once for each phone if they are few. If one look-up does
        not suffice, the next one continues.
        """
        deadline = uptime.clock() + settings.BATCH_DEADLINE
        phones = {digits(phone) for lookup in lookups for phone in lookup.phones}
        if not phones:
            return []
        since = min(earliest(lookup) for lookup in lookups)
        under_way = any(lookup.read_to for lookup in lookups)
        if len(phones) > FEW or under_way:
            reading = Reading(lookups)
            reading.read(self._pages(since, deadline), PAGES)
            self.read_to = reading.read_to
            return reading.reports
        return self._by_phone(lookups, since, deadline)

    def _by_phone(
        self, lookups: Sequence[LookupRequest], since: datetime, deadline: float
    ) -> list[DeliveryReport]:
        """The few phones, and those of the witnesses. Raises ProviderError when nothing could be read."""
        reports: dict[tuple[str, str], DeliveryReport] = {}
        trouble = None
        for phone, some in by_phone(lookups, since).items():
            try:
                reading = Reading(some, alone=True)
                reading.read(self._pages(since, deadline, phone=phone), PAGES)
            except ProviderError as met:
                trouble = met
                continue
            reports |= {(report.reference, report.phone): report for report in reading.reports}
        if trouble and not reports:
            raise trouble
        asked = {(each.reference, phone) for each in lookups for phone in each.phones}
        return [
            report
            for pair, report in reports.items()
            if pair in asked or report.status != DeliveryStatus.NOT_FOUND
        ]

    @classmethod
    def read_until(cls, read_to: str) -> datetime | None:
        return read_until(read_to)

    def _pages(self, since: datetime, deadline: float, **only: str) -> Page:
        """Return a function that reads a page. The days are those of SMSC's clock, which its first
        response tells: a history asked for tomorrow would be empty.
        """

        def page(before: str) -> list[Row]:
            asked = self._days(since)
            rows = self._history(asked, before, deadline, **only)
            days = self._days(since)
            return rows if days == asked else self._history(days, before, deadline, **only)

        return page

    def _days(self, since: datetime) -> dict[str, str]:
        """Return the days to ask for, with one more on both sides."""
        now = timezone.now()
        theirs = now - timedelta(seconds=self.clock_off or 0)
        first, last = min(since, now, theirs), max(now, theirs)
        day = timedelta(days=1)
        return {
            "start": f"{(first - day).astimezone(MOSCOW):%d.%m.%Y}",
            "end": f"{(last + day).astimezone(MOSCOW):%d.%m.%Y}",
        }

    def _history(
        self, days: Mapping[str, str], before: str, deadline: float, **only: str
    ) -> list[Row]:
        began = time.monotonic()
        answer = self._ask(
            "get",
            {
                "get_messages": "1",
                **days,
                "cnt": str(PAGE),
                **({"prev_id": before} if before else {}),
                **only,
            },
            deadline=deadline,
            cap=PAGE_CAP,
        )
        data = parsed(answer)
        rows = rows_of(data)
        _log("get", "", len(rows), answer, began, {})
        if error_code(data) == NOTHING_FOUND or (isinstance(data, list) and len(rows) == len(data)):
            return rows
        raise trouble_of(answer, data)

    def sent_since(self, since: datetime, cursor: str = "") -> BooksPage:
        return history.page(self._ask, since, cursor)

    def balance(self) -> Balance:
        began = time.monotonic()
        answer = self._ask(
            "balance", {"cur": "1"}, deadline=uptime.clock() + settings.BATCH_DEADLINE
        )
        _log("balance", "", 0, answer, began, {})
        data = parsed(answer)
        if not isinstance(data, dict) or (amount := money(data.get("balance"))) is None:
            raise trouble_of(answer, data)
        currency = text_of(data.get("currency")).upper() or settings.CURRENCY
        return Balance(amount, "RUB" if currency == "RUR" else currency)

    def cancel(self, reference: str, asked: Sequence[LookupItem]) -> list[DeliveryReport]:
        """Works until SMSC has passed the message on. It returns "OK" for one phone, or a list."""
        phones = [each.phone for each in asked]
        began = time.monotonic()
        answer = self._ask(
            "status",
            {
                "del": "1",
                "phone": ",".join(digits(phone) for phone in phones),
                "id": ",".join(reference for _phone in phones),
            },
            deadline=uptime.clock() + settings.BATCH_DEADLINE,
        )
        data = parsed(answer)
        if answer.error or data is None or error_code(data) in (1, 2, 4, 9):
            raise trouble_of(answer, data)
        rows = rows_of(data)
        if isinstance(data, dict) and len(phones) == 1:
            rows = [data | {"phone": phones[0]}]
        gone = {digits(row.get("phone")) for row in rows if text_of(row.get("result")) == "OK"}
        _log("status", reference, len(phones), answer, began, {"cancelled": len(gone)})
        return [
            DeliveryReport(reference, phone, DeliveryStatus.CANCELLED)
            for phone in phones
            if digits(phone) in gone
        ]

    @property
    def address(self) -> str:
        host = self.credentials.get("host")
        return settings.PROVIDER_URLS["smsc"] or f"https://{host if host in HOSTS else HOSTS[0]}"

    def _ask(
        self,
        command: str,
        fields: Mapping[str, str],
        *,
        deadline: float,
        cap: int = transport.BODY_CAP,
        last_look: Callable[[], bool] | None = None,
    ) -> transport.Answer:
        """Always use POST: proxies on the way log URLs."""
        who = {"apikey": self.credentials.get("apikey")}
        if not who["apikey"]:
            who = {
                "login": self.credentials.get("login"),
                "psw": self.credentials.get("password"),
            }
        data = {**who, "fmt": "3", "charset": "utf-8", **fields}
        address = f"{self.address}/sys/{command}.php"
        answer = transport.post(address, data=data, deadline=deadline, cap=cap, last_look=last_look)
        return self.heard(answer)

    # --- what comes to our webhook --------------------------------------------------------------

    def check_note(self, note: WebhookPayload) -> bool:
        """The check value covers id, phone and status. Without a secret word, the unguessable URL
        is the only protection.
        """
        secret = self.credentials.get("callback_secret")
        if not secret:
            return True
        try:
            fields, charset = fields_of(note)
        except ValueError:
            return False
        names = ("phone", "mes", "to") if "mes" in fields else ("id", "phone", "status")
        signed = ":".join([*(fields.get(name, "") for name in names), secret])
        return any(
            hmac.compare_digest(
                hashlib.new(method, signed.encode(charset, "replace"), usedforsecurity=False)
                .hexdigest()
                .encode(),
                fields.get(method, "").lower().encode("utf-8", "replace"),
            )
            for method in ("md5", "sha1")
        )

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        fields, _charset = fields_of(note)
        if "mes" in fields:
            return []
        return [report_from_call(fields)]

    def read_replies(self, note: WebhookPayload) -> list[InboundSms]:
        try:
            fields, _charset = fields_of(note)
        except ValueError:
            return []
        if "mes" not in fields or not (phone := digits(fields.get("phone"))):
            return []
        return [InboundSms(f"+{phone}", fields["mes"], moment(fields.get("ts")))]


def _valid(sms: Sms) -> dict[str, str]:
    """Return the lifetime as hh:mm, counted from sending. Values outside SMSC's range are clamped: it
    may reject less than an hour as invalid, and then nobody would get the message.
    """
    minutes = sms.minutes_valid(timezone.now())
    if minutes is None:
        return {}
    least, most = Smsc.validity
    hours, rest = divmod(round(min(max(minutes, least), most)), 60)
    return {"valid": f"{hours:02}:{rest:02}"}


def _log(
    command: str,
    reference: str,
    count: int,
    answer: transport.Answer,
    began: float,
    counts: Mapping[str, int],
) -> None:
    """Log one line for each request, without phones, texts or secrets."""
    logger.info(
        "smsc %s %s: %d messages, %s, %s, %d ms",
        command,
        reference or "-",
        count,
        answer.error or f"http {answer.status}",
        " ".join(f"{name} {n}" for name, n in counts.items()) or "-",
        (time.monotonic() - began) * 1000,
    )
