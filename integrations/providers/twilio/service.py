"""Twilio, Programmable Messaging. What its codes mean is in codes.py.

One request takes one message, so a batch is a burst of requests. Twilio has neither an idempotency
key nor a field for our reference: the reference rides in the callback address of each message, and
for a message without an answer its books are asked by phone, text and time.
"""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.providers.base import Provider
from integrations.providers.burst import Senders, send_each, senders_of, side_by_side
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
from integrations.providers.reading import word
from integrations.providers.transport import Answer
from smsmail import uptime

from . import history
from .answers import money, parsed, result_of, trouble_of
from .api import TwilioApi, log, message_path
from .callbacks import replies_of, reports_of, signed_by
from .lookup import TwilioLookup

BURST = 20  # requests at once in one batch; all batches together: window.py
# How Twilio shall call our webhook: three more times when it fails. Not covered by the signature.
TRY_AGAIN = "#rc=3&rp=all"


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
    description = _(
        "Enter the Account SID and the Auth Token from the Twilio Console. To send with an API key, "
        "enter it too: receipts are signed with the Auth Token all the same. Enter a sender, or the "
        "SID of a Messaging Service, which then chooses one. For replies, write the address for receipts "
        "into the settings of the number or service at Twilio, as the webhook of incoming messages. "
        "Twilio signs with the primary Auth Token only: when you promote the secondary one in the Console, "
        "enter it here at once, or receipts and replies are refused."
    )
    callback_is_sent = True
    ack_response = (
        "<Response></Response>",
        "text/xml",
    )  # plain text would be sent to who wrote to us
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
    batch = 200
    at_once = BURST
    parallel = (
        10  # 180 requests at once for mailings, over all workers; the last place is kept free
    )
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
        self.api = TwilioApi(credentials, self.heard)

    @classmethod
    def credentials_error(cls, values: Mapping[str, str]) -> str:
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

        def request(sms: Sms) -> Answer:
            fields = self._fields(reference, sms)
            return self.api.submit(
                fields, deadline=deadline, last_look=lambda: self.gate.passes([sms])
            )

        results = send_each(
            messages,
            request,
            result_of,
            lambda result: result.outcome == Outcome.UNSENT,
            at_once=self.at_once,
            name=self.slug,
            senders=self._senders,
            has_room=self.on_room,
        )
        log("send", reference, (str(result.outcome) for result in results), began)
        return results

    def has_room(self) -> bool:
        return self._senders.has_room()

    @property
    def _senders(self) -> Senders:
        return senders_of((self.slug, self.login(self.credentials.values)))

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
        """Raises ProviderError when nothing could be read."""
        return TwilioLookup(self.api, self.at_once).read(lookups)

    def sent_since(self, since: datetime, cursor: str = "") -> BooksPage:
        deadline = uptime.clock() + settings.BATCH_DEADLINE
        answer = self.api.following(cursor, deadline) if cursor else self.api.messages(deadline)
        return history.page(answer, since)

    def balance(self) -> Balance:
        began = time.monotonic()
        answer = self.api.get("Balance", uptime.clock() + settings.BATCH_DEADLINE)
        log("balance", "", [answer.error or f"http {answer.status}"], began)
        row = parsed(answer)
        amount = money(row.get("balance"))
        if answer.status != 200 or amount is None:
            raise trouble_of(answer, row)
        return Balance(amount, word(row.get("currency")).upper() or settings.CURRENCY)

    def cancel(self, reference: str, asked: Sequence[LookupItem]) -> list[DeliveryReport]:
        """Twilio cancels only what was scheduled with a Messaging Service, and refuses the rest."""
        began = time.monotonic()
        deadline = uptime.clock() + settings.BATCH_DEADLINE

        def cancel_one(each: LookupItem) -> Answer:
            return self.api.post(
                message_path(each.provider_id), {"Status": "canceled"}, deadline=deadline
            )

        known = [each for each in asked if each.provider_id]
        answers = side_by_side(cancel_one, known, at_once=self.at_once, name=self.slug)
        gone = [each for each, answer in zip(known, answers, strict=True) if _canceled(answer)]
        unheard = [answer for answer in answers if answer.error or answer.status >= 500]
        if unheard and not gone:
            raise trouble_of(unheard[0], parsed(unheard[0]))
        log("cancel", reference, ["cancelled" for _each in gone], began)
        return [
            DeliveryReport(
                reference, each.phone, DeliveryStatus.CANCELLED, provider_id=each.provider_id
            )
            for each in gone
        ]

    # --- what comes to our webhook --------------------------------------------------------------

    def check_note(self, note: WebhookPayload) -> bool:
        """The account of a disconnected provider has no token: then the unguessable URL is the only
        protection.
        """
        token = self.credentials.get("auth_token")
        return signed_by(token, self.credentials.get("shared_key"), note) if token else True

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        return reports_of(note)

    def read_replies(self, note: WebhookPayload) -> list[InboundSms]:
        return replies_of(note)


def _canceled(answer: Answer) -> bool:
    return answer.status == 200 and parsed(answer).get("status") == "canceled"


def _seconds_valid(sms: Sms) -> str:
    """ "" leaves it to Twilio: ten hours, which is the maximum."""
    minutes = sms.minutes_valid(timezone.now())
    if minutes is None:
        return ""
    least, most = (60 * each for each in Twilio.validity)
    return str(round(min(max(60 * minutes, least), most)))
