"""SMSC (smsc.ru and its sites in other countries): the HTTP API with JSON answers.

What its codes mean is in codes.py. SMSC has no idempotency key: a message is addressed by our
reference (its `id`) and the phone, and the books are asked about that pair when no answer came.
"""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import ClassVar

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.providers.base import Provider
from integrations.providers.contract import (
    Balance,
    BooksPage,
    Credentials,
    DeliveryReport,
    DeliveryStatus,
    InboundSms,
    LookupItem,
    LookupRequest,
    Outcome,
    SendResult,
    Sms,
    WebhookPayload,
)
from integrations.providers.reading import digits, text_of
from integrations.providers.transport import Failure
from smsmail import uptime

from . import history
from .answers import error_code, line, money, parsed, results_of, rows_of, trouble_of
from .api import HOSTS, SmscApi, log
from .books import read_until
from .callbacks import replies_of, reports_of, signed_by
from .lookup import SmscLookup


class Smsc(Provider):
    slug = "smsc"
    title = "SMSC"
    site = "https://smsc.ru"
    description = _(
        "Enter the login and the password of the account, or better an API key made there. "
        "Register the sender name with SMSC first. Write the address for receipts into the "
        "account's settings; with a secret word there, enter the same word here."
    )
    quirk = _(
        "SMSC itself puts off mass messages to between 9 and 22 o'clock of the recipient's time. An interval of your own under “Limits and restrictions” in its account switches that off."
    )
    callback_query = "?charset=utf-8&md5=1"
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
    batch = 1000
    one_request_per_batch = True
    parallel = 4  # it wants fewer than 5 calls at once for one login
    settle_seconds = 180
    can_look_up = True
    lists_sent = True
    can_cancel = True
    puts_off = (21, 10)  # an hour more on both sides than it says
    cancel_pause = 60  # one request about several messages a minute, and no more
    validity = (60, 24 * 60)
    has_balance = True

    def __init__(self, credentials: Credentials, receipt_url: str = "") -> None:
        super().__init__(credentials, receipt_url)
        self.api = SmscApi(credentials, self.heard)

    @classmethod
    def credentials_error(cls, values: Mapping[str, str]) -> str:
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
        # One request has one time and one lifetime.
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
        answer = self.api.ask(
            "send",
            {
                "id": reference,
                "list": "\n".join(line(sms) for sms in messages),
                "nl": "1",
                "cost": "3",
                "op": "1",
                **({"sender": self.credentials.sender} if self.credentials.sender else {}),
                # "0" and a Unix time: the one form that needs no time zone.
                **({"time": f"0{int(at.timestamp())}"} if (at := messages[0].at) else {}),
                **_valid(messages[0]),
            },
            deadline=deadline,
            last_look=lambda: self.gate.passes(messages),
        )
        if answer.failure == Failure.WITHHELD:
            results = [SendResult(sms.key, Outcome.UNSENT, withheld=True) for sms in messages]
        else:
            results = results_of(messages, answer)
        counts = Counter(str(result.outcome) for result in results)
        log("send", reference, len(messages), answer, began, dict(counts))
        return results

    # --- asking ------------------------------------------------------------------------------

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        """Raises ProviderError when nothing could be read."""
        lookup = SmscLookup(self.api, lambda: self.clock_off)
        reports = lookup.read(lookups)
        self.read_to = lookup.read_to
        return reports

    @classmethod
    def read_until(cls, read_to: str) -> datetime | None:
        return read_until(read_to)

    def sent_since(self, since: datetime, cursor: str = "") -> BooksPage:
        return history.page(self.api, since, cursor)

    def balance(self) -> Balance:
        began = time.monotonic()
        answer = self.api.ask(
            "balance", {"cur": "1"}, deadline=uptime.clock() + settings.BATCH_DEADLINE
        )
        log("balance", "", 0, answer, began, {})
        data = parsed(answer)
        if not isinstance(data, dict) or (amount := money(data.get("balance"))) is None:
            raise trouble_of(answer, data)
        currency = text_of(data.get("currency")).upper() or settings.CURRENCY
        return Balance(amount, "RUB" if currency == "RUR" else currency)

    def cancel(self, reference: str, asked: Sequence[LookupItem]) -> list[DeliveryReport]:
        """Works until SMSC has passed the message on. It returns "OK" for one phone, or a list."""
        phones = [each.phone for each in asked]
        began = time.monotonic()
        answer = self.api.ask(
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
        log("status", reference, len(phones), answer, began, {"cancelled": len(gone)})
        return [
            DeliveryReport(reference, phone, DeliveryStatus.CANCELLED)
            for phone in phones
            if digits(phone) in gone
        ]

    # --- what comes to our webhook --------------------------------------------------------------

    def check_note(self, note: WebhookPayload) -> bool:
        """Without a secret word the unguessable address is all there is."""
        secret = self.credentials.get("callback_secret")
        return signed_by(secret, note) if secret else True

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        return reports_of(note)

    def read_replies(self, note: WebhookPayload) -> list[InboundSms]:
        return replies_of(note)


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
