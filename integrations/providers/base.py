"""The contract of a provider: what we submit and what we get back. No database here.

A new provider is one package or module in providers/, one line in the registry, and recorded
responses for its tests.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from django import forms
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.reasons import Reason

from .transport import Answer


class Outcome(StrEnum):
    """The four results of a submission. All rules of sending depend on them."""

    TAKEN = "taken"  # the provider said yes
    UNSENT = "unsent"  # certainly not sent: may be sent again, in a new batch
    REFUSED = "refused"  # the provider answered that it will not send this message
    # It may have arrived: not sent again unless look_up says that it was never received.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sms:
    """One message to submit. key is the message's id; phone is E.164 with '+'."""

    key: int
    phone: str
    text: str
    at: datetime | None = None  # the provider holds it until then; only if can_schedule()
    valid_until: datetime | None = None  # of no use after this time; None: no limit

    def minutes_valid(self, now: datetime) -> float | None:
        """Return the lifetime in minutes, counted from when the message is to be sent."""
        if self.valid_until is None:
            return None
        return (self.valid_until - max(now, self.at or now)).total_seconds() / 60


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of submitting one Sms once."""

    key: int
    outcome: Outcome
    provider_id: str = ""
    price: Decimal | None = None
    reason: Reason | None = None
    raw: str = ""  # the provider's own code, e.g. "smsc:error 7"
    retry_after: float | None = None  # seconds for which the provider wants no requests
    untimed: bool = False  # unsent only because of its time: the provider accepts it without one
    withheld: bool = False  # unsent because the gate said no at the last moment


class DeliveryStatus(StrEnum):
    """Later news of a message. The words match mailings.models.Message.Status where both have them."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"  # cancelled at our request
    NOT_FOUND = "not_found"  # the provider's records were read, and it never had the message


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """News of one message, matched by our reference and the phone (E.164 with '+')."""

    reference: str
    phone: str
    status: DeliveryStatus
    reason: Reason | None = None
    raw: str = ""
    provider_id: str = ""
    price: Decimal | None = None
    # When the provider accepted it, by its clock. Set only in look-ups; ignored in comparisons.
    at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class InboundSms:
    """An SMS that a person sent to us."""

    phone: str
    text: str
    at: datetime | None = None
    stop: bool | None = None  # how the provider itself read it: True is stop, False is start


@dataclass(frozen=True, slots=True)
class LookupItem:
    """One message to look up or cancel. phone is E.164; provider_id is '' if no response gave it."""

    phone: str
    text: str = ""
    provider_id: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """A message that the provider is known to have accepted with the same login. Records that do not
    show it prove nothing about other messages.
    """

    reference: str
    phone: str
    since: datetime
    provider_id: str = ""
    # True if it was accepted before the submission in question, whatever the clocks said. A later one does
    # not tell how far back the records must be read.
    earlier: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """Another message of ours, without a known provider id, to which the same record may belong."""

    phone: str
    since: datetime
    text: str | None = None  # None: no longer known


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """One submission to look up: its messages, and since when the provider may have them."""

    reference: str
    asked: tuple[LookupItem, ...]
    since: datetime
    witness: Witness | None = None  # the result must include a report on it
    read_to: str = ""  # where an earlier look-up stopped: Provider.read_to
    # For providers that do not store our reference: provider ids known to belong to other messages.
    taken: frozenset[str] = frozenset()
    rivals: tuple[Rival, ...] = ()

    @property
    def phones(self) -> tuple[str, ...]:
        return tuple(each.phone for each in self.asked)


@dataclass(frozen=True, slots=True)
class WebhookPayload:
    """A raw webhook request: header names in lower case, body as text."""

    headers: Mapping[str, str]
    query: str
    body: str
    url: str = ""  # our public URL as called, with its query; only for check_note()


@dataclass(frozen=True, slots=True)
class Booked:
    """One message in a provider's records, ours or not. Its report has no reference if the records
    do not show one.
    """

    report: DeliveryReport
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BooksPage:
    """One page of a provider's records, newest first. cursor: where the next page begins, '' at the end."""

    rows: tuple[Booked, ...]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """The decrypted credentials of an account, and the sender name. repr() never shows the values."""

    values: Mapping[str, str] = field(repr=False)
    sender: str = ""

    def get(self, name: str) -> str:
        return self.values.get(name, "")


class ProviderError(Exception):
    """A check, a balance request or a look-up failed. `reason` is ours, `raw` the provider's code."""

    def __init__(self, reason: Reason, raw: str = "") -> None:
        super().__init__(f"{reason.name} {raw}".strip())
        self.reason = reason
        self.raw = raw


class Gate:
    """The last check before a request: may these messages still be sent? This one says yes to all."""

    def passes(self, messages: Sequence[Sms]) -> bool:
        """Called from any thread just before each request leaves (last_look of transport.post); may
        block. False: none of these messages may leave in this submission; they are withheld.
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
    hint: ClassVar[Promise | str] = ""  # shown on the settings page: who it suits, how to connect
    quirk: ClassVar[Promise | str] = ""  # shown on its card: what it does on its own
    # name -> form field: the settings form is built from these. Secrets use PasswordInput.
    fields: ClassVar[Mapping[str, forms.Field]]
    sender_help: ClassVar[Promise | str] = _(
        "As registered with the service. Empty: the service's own choice."
    )
    # What to append to our callback URL when it is entered in the provider's own settings.
    callback_hint: ClassVar[str] = ""
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
    def complaint(cls, values: Mapping[str, str]) -> str:
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
        """Submit the messages and return exactly one SendResult for each, whatever happens. Network
        errors are results, not exceptions. No request starts after the deadline (in seconds of
        smsmail.uptime): such messages are unsent. None starts without a yes from self.gate: such
        messages are withheld.

        Phones within one call are distinct.
        """

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
