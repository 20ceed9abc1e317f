"""Twilio, Programmable Messaging. providers/twilio/codes.py explains its codes.

One request takes one message, so a batch is a burst of requests. Twilio has neither an idempotency
key nor a field for our reference: the reference is part of each message's callback URL, and a
message without a response is looked up by phone, text and time.
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.providers import transport
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
    ProviderError,
    SendResult,
    Sms,
    WebhookPayload,
)
from smsmail import uptime

from . import history
from .answers import (
    Row,
    moment,
    money,
    parsed,
    reply_from_call,
    report_from_call,
    report_of,
    result_of,
    sid_of,
    signed_by,
    trouble_of,
    word,
)
from .matching import Search, WantedSms

logger = logging.getLogger(__name__)

BURST = 20  # parallel requests of one batch
PAGE = 1000  # messages in one page of the list, which is the maximum
PAGES = 20  # pages for one phone; after that the look-up fails
PAGE_CAP = 16_000_000
# Tells Twilio to retry our webhook three times. Not covered by the signature.
TRY_AGAIN = "#rc=3&rp=all"

T = TypeVar("T")
R = TypeVar("R")


def _sid(prefix: str, **more: Any) -> forms.RegexField:
    return forms.RegexField(
        rf"^{prefix}[0-9a-fA-F]{{32}}$",
        max_length=34,
        error_messages={
            "invalid": format_lazy(
                _("It starts with {prefix}, and 32 digits and letters a–f follow."), prefix=prefix
            )
        },
        **more,
    )


class Twilio(Provider):
    slug = "twilio"
    title = "Twilio"
    site = "https://www.twilio.com"
    hint = _(
        "Enter the Account SID and the Auth Token from the Twilio Console. To send with an API key, "
        "enter it too: receipts are signed with the Auth Token all the same. Enter a sender, or the "
        "SID of a Messaging Service, which then chooses one. For replies, write the address for receipts "
        "into the settings of the number or service at Twilio, as the webhook of incoming messages. "
        "Twilio signs with the primary Auth Token only: when you promote the secondary one in the Console, "
        "enter it here at once, or receipts and replies are refused."
    )
    callback_is_sent = True
    # Plain text would be sent as an SMS to whoever wrote to us.
    ack_response = ("<Response></Response>", "text/xml")
    sender_help = _(
        "A number of the account or a registered name. Empty: the Messaging Service chooses."
    )
    fields: ClassVar[Mapping[str, forms.Field]] = {
        "account_sid": _sid("AC", label=_("Account SID")),
        "auth_token": forms.CharField(
            label=_("Auth Token"), max_length=100, widget=forms.PasswordInput
        ),
        "api_key_sid": _sid(
            "SK", label=_("SID of an API key"), required=False, widget=forms.PasswordInput
        ),
        "api_key_secret": forms.CharField(
            label=_("Secret of the API key"),
            required=False,
            max_length=100,
            widget=forms.PasswordInput,
        ),
        "messaging_service_sid": _sid("MG", label=_("SID of a Messaging Service"), required=False),
        "shared_key": forms.CharField(
            label=_("Shared key of a Webhooks Rule"),
            required=False,
            max_length=200,
            widget=forms.PasswordInput,
            help_text=_(
                "Only if you have made a Webhooks Rule with a shared key at Twilio that fits our address: Twilio signs receipts and replies with that key then, and without it they are refused. This part of Twilio is new (a public beta), and we could not try it with a real account: send yourself a message and see that it becomes “Delivered”."
            ),
        ),
    }
    batch = 100
    at_once = BURST
    parallel = 2
    settle_seconds = 180
    can_look_up = True
    lists_sent = True
    books_show_kept = True
    books_by_text = True
    can_cancel = True
    validity = (1, 600)
    has_balance = True

    def __init__(self, credentials: Credentials, receipt_url: str = "") -> None:
        super().__init__(credentials, receipt_url)
        login = (credentials.get("api_key_sid"), credentials.get("api_key_secret"))
        self.auth = (
            login if all(login) else (credentials.get("account_sid"), credentials.get("auth_token"))
        )

    @classmethod
    def complaint(cls, values: Mapping[str, str]) -> str:
        if bool(values.get("api_key_sid")) != bool(values.get("api_key_secret")):
            return gettext("Enter both the SID and the secret of the API key, or neither.")
        if not values.get("sender") and not values.get("messaging_service_sid"):
            return gettext("Enter a sender or the SID of a Messaging Service.")
        return ""

    @classmethod
    def login(cls, values: Mapping[str, str]) -> str:
        """Tokens and keys may change and still open the same records."""
        return values.get("account_sid", "").lower()

    @classmethod
    def check_sender(cls, sender: str) -> str:
        """'' lets the Messaging Service choose; otherwise a number, a short code, or letters.
        Registered names in Hong Kong begin with a #.
        """
        letters = r"#?(?=[0-9 ]*[A-Za-z])[A-Za-z0-9 ]{1,11}"
        if not sender or re.fullmatch(rf"\+[1-9][0-9]{{6,14}}|[0-9]{{3,8}}|{letters}", sender):
            return ""
        return gettext(
            "A number like +14155550100, a short code, or up to 11 Latin letters, digits and spaces "
            "with at least one letter; for Hong Kong a # may stand before them."
        )

    # --- sending -----------------------------------------------------------------------------

    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        """Submit a burst. If one of its requests could not be made or was postponed, the rest of
        the batch is not tried: the provider is down, asks us to slow down, or refuses our settings.
        """
        began = time.monotonic()
        stop: list[SendResult] = []

        def send_one(sms: Sms) -> SendResult:
            if stop:
                return SendResult(sms.key, Outcome.UNSENT, reason=stop[0].reason, raw=stop[0].raw)
            fields = self._fields(reference, sms)
            answer = self._post(
                "Messages", fields, deadline=deadline, last_look=lambda: self.gate.passes([sms])
            )
            if answer.failure == transport.Failure.WITHHELD:
                return SendResult(sms.key, Outcome.UNSENT, withheld=True)
            result = result_of(sms, answer)
            if result.outcome == Outcome.UNSENT:
                stop.append(result)
            return result

        results = _burst(send_one, messages)
        _log("send", reference, (str(result.outcome) for result in results), began)
        return results

    def can_schedule(self, at: datetime) -> bool:
        """Only with a Messaging Service, from 15 minutes (newer pages: 5) to 35 days ahead."""
        ahead = at - timezone.now()
        in_time = timedelta(minutes=15) <= ahead <= timedelta(days=35)
        return bool(self.credentials.get("messaging_service_sid")) and in_time

    def _fields(self, reference: str, sms: Sms) -> dict[str, str]:
        """The callback URL holds no phone, because proxies on the way log URLs."""
        callback = f"{self.receipt_url}?ref={reference}{TRY_AGAIN}" if self.receipt_url else ""
        fields = {
            "To": sms.phone,
            "From": self.credentials.sender,
            "MessagingServiceSid": self.credentials.get("messaging_service_sid"),
            "Body": sms.text,
            "StatusCallback": callback,
            "ScheduleType": "fixed" if sms.at else "",
            "SendAt": f"{sms.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if sms.at else "",
            "ValidityPeriod": _seconds_valid(sms),
        }
        return {name: value for name, value in fields.items() if value}

    # --- asking ------------------------------------------------------------------------------

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        """Look messages up by Twilio's id if a response or a call gave it, else by phone
        (matching.py). No date filter is sent, because a waiting message has no sending date.
        """
        began = time.monotonic()
        deadline = uptime.clock() + settings.BATCH_DEADLINE
        search = Search.of(lookups)
        troubles: list[ProviderError] = []

        def told(learn: Callable[[], T]) -> T | None:
            try:
                return learn()
            except ProviderError as trouble:
                troubles.append(trouble)
                return None

        phones = search.phones
        lists = _burst(lambda phone: told(lambda: self._rows(phone, deadline)), phones)
        fates = _burst(lambda each: told(lambda: self._fetch(each, deadline)), search.known)
        reports = [report for some in fates if some for report in some]
        rows = {p: some for p, some in zip(phones, lists, strict=True) if some is not None}
        reports += search.read(rows, timezone.now())
        _log("look-up", "", (str(report.status) for report in reports), began)
        if troubles and not reports:
            raise troubles[0]
        return reports

    def _fetch(self, wanted: WantedSms, deadline: float) -> list[DeliveryReport]:
        answer = self._get(f"Messages/{quote(wanted.asked.provider_id, safe='')}", deadline)
        row = parsed(answer)
        if answer.status != 200 or sid_of(row) != wanted.asked.provider_id:
            raise trouble_of(answer, row)
        report = report_of(wanted.reference, wanted.asked.phone, row)
        return [report] if report else []

    def _rows(self, phone: str, deadline: float) -> list[Row]:
        """All messages to a phone. Raises ProviderError unless it is all of them."""
        rows: list[Row] = []
        answer = self._get("Messages", deadline, To=phone, PageSize=str(PAGE))
        for _page in range(PAGES):
            page = parsed(answer)
            some = page.get("messages")
            if answer.status != 200 or not isinstance(some, list):
                raise trouble_of(answer, page)
            if not all(isinstance(row, dict) and moment(row.get("date_created")) for row in some):
                raise trouble_of(answer, {})
            rows += some
            following = page.get("next_page_uri")
            if not following:
                return rows
            if not word(following).startswith("/"):
                break
            answer = self.heard(
                transport.get(
                    self.address + following, deadline=deadline, auth=self.auth, cap=PAGE_CAP
                )
            )
        raise trouble_of(answer, {})

    def sent_since(self, since: datetime, cursor: str = "") -> BooksPage:
        deadline = uptime.clock() + settings.BATCH_DEADLINE
        if cursor:
            answer = transport.get(
                self.address + cursor, deadline=deadline, auth=self.auth, cap=PAGE_CAP
            )
        else:
            answer = self._get("Messages", deadline, PageSize=str(PAGE))
        return history.page(answer, since)

    def balance(self) -> Balance:
        began = time.monotonic()
        answer = self._get("Balance", uptime.clock() + settings.BATCH_DEADLINE)
        _log("balance", "", [answer.error or f"http {answer.status}"], began)
        row = parsed(answer)
        amount = money(row.get("balance"))
        if answer.status != 200 or amount is None:
            raise trouble_of(answer, row)
        return Balance(amount, word(row.get("currency")).upper() or settings.CURRENCY)

    def cancel(self, reference: str, asked: Sequence[LookupItem]) -> list[DeliveryReport]:
        """Twilio cancels only what was scheduled with a Messaging Service, and refuses the rest."""
        began = time.monotonic()
        deadline = uptime.clock() + settings.BATCH_DEADLINE

        def cancel_one(each: LookupItem) -> transport.Answer:
            path = f"Messages/{quote(each.provider_id, safe='')}"
            return self._post(path, {"Status": "canceled"}, deadline=deadline)

        known = [each for each in asked if each.provider_id]
        answers = _burst(cancel_one, known)
        gone = [each for each, answer in zip(known, answers, strict=True) if _canceled(answer)]
        unheard = [answer for answer in answers if answer.error or answer.status >= 500]
        if unheard and not gone:
            raise trouble_of(unheard[0], parsed(unheard[0]))
        _log("cancel", reference, ["cancelled" for _each in gone], began)
        return [
            DeliveryReport(
                reference, each.phone, DeliveryStatus.CANCELLED, provider_id=each.provider_id
            )
            for each in gone
        ]

    @property
    def address(self) -> str:
        return settings.PROVIDER_URLS["twilio"] or "https://api.twilio.com"

    def _url(self, path: str) -> str:
        account = quote(self.credentials.get("account_sid"), safe="")
        return f"{self.address}/2010-04-01/Accounts/{account}/{path}.json"

    def _post(
        self,
        path: str,
        fields: Mapping[str, str],
        *,
        deadline: float,
        last_look: Callable[[], bool] | None = None,
    ) -> transport.Answer:
        url = self._url(path)
        return self.heard(
            transport.post(url, data=fields, deadline=deadline, auth=self.auth, last_look=last_look)
        )

    def _get(self, path: str, deadline: float, **params: str) -> transport.Answer:
        return self.heard(
            transport.get(
                self._url(path), params=params, deadline=deadline, auth=self.auth, cap=PAGE_CAP
            )
        )

    # --- what comes to our webhook --------------------------------------------------------------

    def check_note(self, note: WebhookPayload) -> bool:
        """The account of a disconnected provider has no token: then the unguessable URL is the only
        protection.
        """
        token = self.credentials.get("auth_token")
        return signed_by(token, self.credentials.get("shared_key"), note) if token else True

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        report = report_from_call(note)
        return [report] if report else []

    def read_replies(self, note: WebhookPayload) -> list[InboundSms]:
        reply = reply_from_call(note)
        return [reply] if reply else []


def _canceled(answer: transport.Answer) -> bool:
    return answer.status == 200 and parsed(answer).get("status") == "canceled"


def _seconds_valid(sms: Sms) -> str:
    """ "" leaves it to Twilio: ten hours, which is the maximum."""
    minutes = sms.minutes_valid(timezone.now())
    if minutes is None:
        return ""
    least, most = (60 * each for each in Twilio.validity)
    return str(round(min(max(60 * minutes, least), most)))


def _burst(do: Callable[[T], R], what: Sequence[T]) -> list[R]:
    """Run all of them, BURST at once; the threads end with the call."""
    if not what:
        return []
    with ThreadPoolExecutor(min(BURST, len(what)), thread_name_prefix="twilio") as threads:
        return list(threads.map(do, what))


def _log(what: str, reference: str, outcomes: Iterable[str], began: float) -> None:
    """Log one line for each burst, without phones, texts or secrets."""
    counts = Counter(outcomes)
    logger.info(
        "twilio %s %s: %s, %d ms",
        what,
        reference or "-",
        " ".join(f"{name} {n}" for name, n in counts.items()) or "-",
        (time.monotonic() - began) * 1000,
    )
