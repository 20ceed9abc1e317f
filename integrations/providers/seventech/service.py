"""SevenTech (seven.tech): one message in one request, a batch as a burst of them.

It cannot be asked about a message, a balance or a price: what no answer and no receipt settles stays
unknown until a person decides (mailings.lifecycle.unresolved). Its words, certain or not: codes.py.
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.providers import submission
from integrations.providers.base import Provider
from integrations.providers.burst import Senders, send_each, senders_of
from integrations.providers.contract import (
    DeliveryReport,
    InboundSms,
    Outcome,
    SendResult,
    Sms,
    WebhookPayload,
)
from integrations.providers.reading import digits
from integrations.providers.transport import Answer
from integrations.reasons import Reason

from .answers import client_id, result_of
from .callbacks import replies_of, reports_of
from .codes import PATH, request_of

logger = logging.getLogger(__name__)

AT_ONCE = 20  # requests of one batch under way; its own limit is not known, and found by window.py
ANSWER_CAP = 100_000  # characters: an answer about one message is short
# What would meet every other request too: the rest of the burst is spared.
FOR_ALL = frozenset({Reason.BAD_LOGIN, Reason.NO_MONEY, Reason.BUSY})


class SevenTech(Provider):
    slug = "seventech"
    title = "SevenTech"
    site = "https://seven.tech/contact"
    description = _(
        "For large senders: SevenTech takes from 100,000 messages a month. To connect: 1) write to "
        "SevenTech by the link above; 2) sign the contract and register a sender name; 3) enter the "
        "sender name, the login and the password that they give you here. If replies are to come here too, give "
        "them the address for receipts. Not everything about its "
        "interface is published: the names of some delivery statuses, the form of receipts and "
        "replies, and the codes of refusals are our best guess. Confirm with a test message before "
        "the first mailing: see that it arrives and that it becomes “Delivered” here."
    )
    sender_help = _("As registered with SevenTech; it sends nothing without a name.")
    fields: ClassVar[Mapping[str, forms.Field]] = {
        "login": forms.CharField(label=_("Login"), max_length=100),
        "password": forms.CharField(
            label=_("Password"), max_length=100, widget=forms.PasswordInput
        ),
    }
    batch = 100  # all of them are questions for a person if their worker dies
    at_once = AT_ONCE
    parallel = (
        10  # 180 requests at once for mailings, over all workers; the last place is kept free
    )
    one_request_per_batch = False
    callback_is_sent = True
    ack_response = ("", "text/plain")  # any words would go to the person as an SMS

    @classmethod
    def check_sender(cls, sender: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9 ._!&-]{1,11}", sender):
            return ""
        return gettext(
            "Enter the sender name of the contract: up to 11 Latin letters, digits, spaces and . _ ! & -"
        )

    # --- sending -----------------------------------------------------------------------------

    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        began = time.monotonic()
        results = send_each(
            messages,
            lambda sms: self._request(reference, sms, deadline),
            result_of,
            lambda result: result.outcome == Outcome.UNSENT and result.reason in FOR_ALL,
            at_once=self.at_once,
            name=self.slug,
            senders=self._senders,
            has_room=self.on_room,
        )
        counts = Counter(f"{each.outcome} {each.reason or ''}".strip() for each in results)
        # One line per batch; no phones, texts or secrets.
        logger.info(
            "seventech send %s: %d messages, %s, %d ms",
            reference,
            len(messages),
            ", ".join(f"{words}: {n}" for words, n in sorted(counts.items())) or "-",
            (time.monotonic() - began) * 1000,
        )
        return results

    def has_room(self) -> bool:
        return self._senders.has_room()

    @property
    def _senders(self) -> Senders:
        return senders_of((self.slug, self.login(self.credentials.values)))

    def _request(self, reference: str, sms: Sms, deadline: float) -> Answer:
        phone = digits(sms.phone)
        named = urlencode({"ref": reference, "phone": phone})
        return submission.post(
            (settings.PROVIDER_URLS["seventech"] or "https://my.seven.tech") + PATH,
            json=request_of(
                phone,
                sms.text,
                self.credentials.sender,
                f"{self.receipt_url}?{named}",
                client_id(reference, phone),
            ),
            auth=(self.credentials.get("login"), self.credentials.get("password")),
            deadline=deadline,
            cap=ANSWER_CAP,
            last_look=lambda: self.gate.passes([sms]),
        )

    # --- what comes to our webhook --------------------------------------------------------------

    def check_note(self, note: WebhookPayload) -> bool:
        """No signature is known: the unguessable URL, which every request of ours carries, is the
        only protection.
        """
        return True

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        return reports_of(note)

    def read_replies(self, note: WebhookPayload) -> list[InboundSms]:
        return replies_of(note)
