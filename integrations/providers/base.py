"""The class that each service implements. What goes out and comes back is in contract.py. No database here.

A new provider is one package in providers/, one line in its registry, and recorded answers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from django import forms
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .contract import (
    Balance,
    BooksPage,
    Credentials,
    DeliveryReport,
    InboundSms,
    LookupItem,
    LookupRequest,
    SendResult,
    Sms,
    WebhookPayload,
)
from .transport import Answer


class Gate:
    """The last check before a request: may these messages still be sent? This one says yes to all."""

    def passes(self, messages: Sequence[Sms]) -> bool:
        """Asked from any thread just before each request leaves (last_look of submission.post()), and may wait.
        No: none of these messages may leave in this hand-over any more; they are withheld.
        """
        return True


class Provider(ABC):
    """One SMS provider. An instance holds the credentials of one account and is made for one batch
    or one look-up. It may be used from several threads and never touches the database, except the
    simulator, whose network is a table.
    """

    slug: ClassVar[str]
    title: ClassVar[Promise | str]
    site: ClassVar[str] = ""
    # Shown on the settings page: who it suits, how to connect.
    description: ClassVar[Promise | str] = ""
    quirk: ClassVar[Promise | str] = ""  # shown on its card: what it does on its own
    # name -> form field: the settings form is built from these. Secrets use PasswordInput.
    fields: ClassVar[Mapping[str, forms.Field]]
    sender_help: ClassVar[Promise | str] = _(
        "As registered with the service. Empty: the service's own choice."
    )
    # What to append to our callback URL when it is entered in the provider's own settings.
    callback_query: ClassVar[str] = ""
    callback_is_sent: ClassVar[bool] = False  # sent with every message, so nobody needs to enter it
    # The webhook's response after storing a receipt or a reply: body and content type.
    ack_response: ClassVar[tuple[str, str]] = ("OK", "text/plain")
    batch: ClassVar[int]  # messages in one submission
    at_once: ClassVar[int] = 0  # parallel requests of one batch, if it takes several; 0: all
    # If True, one bad message may cause the refusal of all.
    one_request_per_batch: ClassVar[bool] = False
    parallel: ClassVar[int]  # parallel submissions for one account, over all workers
    settle_seconds: ClassVar[int] = 0  # its records may lag this many seconds behind
    can_look_up: ClassVar[bool] = False
    # Its records always belong to this login and are complete: no witness is needed.
    books_are_sure: ClassVar[bool] = False
    # Its records do not hold our reference: messages are matched by phone, text and time.
    books_by_text: ClassVar[bool] = False
    # Hours (from, until) in the recipient's time zone in which the provider may delay messages by itself. A
    # message submitted then may be missing from its records until they end.
    puts_off: ClassVar[tuple[int, int] | None] = None
    # True if its records show scheduled messages. Otherwise a missing message proves nothing before
    # its scheduled time.
    books_show_kept: ClassVar[bool] = False
    lists_sent: ClassVar[bool] = False  # can list all messages it has sent for us: sent_since()
    can_cancel: ClassVar[bool] = False  # can cancel scheduled messages
    cancel_pause: ClassVar[float] = 0  # seconds between two requests of cancel()
    # Lifetimes that it accepts, in minutes: least and most. None: it accepts none, so only messages that have
    # not been submitted yet can expire.
    validity: ClassVar[tuple[int, int] | None] = None
    # It sends nothing to anybody, so it never replaces a real provider.
    is_simulator: ClassVar[bool] = False
    has_balance: ClassVar[bool] = False

    def __init__(self, credentials: Credentials, receipt_url: str = "") -> None:
        self.credentials = credentials
        self.receipt_url = receipt_url
        # Seconds that our clock is ahead of the provider's, by its responses; None: unknown.
        self.clock_off: float | None = None
        # Reference -> where the next look-up continues, for submissions that this look-up did not
        # finish.
        self.read_to: dict[str, str] = {}
        self.gate = Gate()
        # Called from any thread when has_room() has become true.
        self.on_room: Callable[[], None] = lambda: None

    def heard(self, answer: Answer) -> Answer:
        """Note how far the provider's clock is from ours, and return the answer unchanged."""
        if answer.date is not None:
            off = (timezone.now() - answer.date).total_seconds()
            if self.clock_off is None or abs(off) > abs(self.clock_off):
                self.clock_off = off
        return answer

    @classmethod
    def login(cls, values: Mapping[str, str]) -> str:
        """Return what identifies a login of the provider, which has its own records. By default all
        fields, so that any change makes another login.
        """
        return "\0".join(f"{name}={values.get(name, '')}" for name in sorted(cls.fields))

    @classmethod
    def credentials_error(cls, values: Mapping[str, str]) -> str:
        """Return what is wrong with the fields as a whole, in the user's language; '' if nothing.
        The caller fills in secrets that were left unchanged; "sender" is among the values.
        """
        return ""

    @classmethod
    def check_sender(cls, sender: str) -> str:
        """Return what is wrong with the sender name by this provider's rules; '' if nothing."""
        return ""

    @abstractmethod
    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        """Hand over; exactly one SendResult per message, whatever happens. Raises nothing for the
        network. No request starts after the deadline (smsmail.uptime seconds): those are unsent. None
        starts without a yes of self.gate: those are withheld.
        Phones within one call are distinct.
        """

    def has_room(self) -> bool:
        """False while the batches that this process sends for the account use all the requests at once
        that the service bears. One that takes a batch in a request has no such limit but `parallel`.
        """
        return True

    def can_schedule(self, at: datetime) -> bool:
        """True if the provider accepts a message now and sends it at this time."""
        return False

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        """Return what the provider's records say about these messages and each witness. NOT_FOUND is
        reported only if the records were read completely, back to an earlier witness; anything not
        learnt is left out. If there is too much for one look-up, the next continues at read_to.
        Called only if can_look_up.

        Raises ProviderError if nothing could be read.
        """
        raise NotImplementedError(self.slug)

    @classmethod
    def read_until(cls, read_to: str) -> datetime | None:
        """Return down to which time the records were read by a look-up that stopped at read_to;
        None: unknown.
        """
        return None

    def sent_since(self, since: datetime, cursor: str = "") -> BooksPage:
        """Return one page of all messages that the provider has accepted for us since then, whether
        we know of them or not. Called only if lists_sent. Raises ProviderError.
        """
        raise NotImplementedError(self.slug)

    @abstractmethod
    def check_note(self, note: WebhookPayload) -> bool:
        """True if this webhook request really comes from the provider (signature or check value).
        Compares in constant time.
        """

    @abstractmethod
    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        """Return the delivery reports in it; [] if there are none. Pure. Raises ValueError if it is
        unreadable.
        """

    def read_replies(self, note: WebhookPayload) -> list[InboundSms]:
        """Return the replies in it; [] if there are none. Pure. Called only if read_receipts finds
        nothing.
        """
        return []

    def balance(self) -> Balance:
        """Return the balance. Called only if has_balance. Raises ProviderError."""
        raise NotImplementedError(self.slug)

    def cancel(self, reference: str, asked: Sequence[LookupItem]) -> list[DeliveryReport]:
        """Try to cancel submitted messages; return one CANCELLED report for each that was
        cancelled. Raises ProviderError if the request failed.
        """
        return []
