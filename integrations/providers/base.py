"""The contract of a provider: what we hand over, what comes back. No database here.

A new provider is one file in providers/, one line in its registry, and recorded answers.
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
    """The four answers that carry the whole policy of sending."""

    TAKEN = "taken"  # the provider said yes
    UNSENT = "unsent"  # surely not sent: may go again, in a new Batch
    REFUSED = "refused"  # an answer: not this message
    UNKNOWN = "unknown"  # it may have arrived: never again until look_up says it had not


@dataclass(frozen=True, slots=True)
class Sms:
    """One message to hand over. key is ours (the message's id); phone is E.164 with '+'."""

    key: int
    phone: str
    text: str
    at: datetime | None = None  # the provider keeps it until then; only where it can_schedule()
    valid_until: datetime | None = None  # of no use to anybody later; None: as long as it likes

    def minutes_valid(self, now: datetime) -> float | None:
        """From when it is to be sent."""
        if self.valid_until is None:
            return None
        return (self.valid_until - max(now, self.at or now)).total_seconds() / 60


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one Sms in one hand-over."""

    key: int
    outcome: Outcome
    provider_id: str = ""
    price: Decimal | None = None
    reason: Reason | None = None
    raw: str = ""  # the provider's own code, e.g. "smsc:error 7"
    retry_after: float | None = None  # seconds for which the service wants to be left alone
    untimed: bool = False  # unsent for its time alone: without one the service takes it
    withheld: bool = False  # unsent, because the gate said no at the last moment


class DeliveryStatus(StrEnum):
    """Later news of a message; the words of mailings.models.Message.Status where they agree."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"  # taken back at our wish
    NOT_FOUND = "not_found"  # the provider's books were read and it never had the message


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
    # When the service took it, by its clock; only in what is looked up, and no part of the news.
    at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class InboundSms:
    """What a person wrote back."""

    phone: str
    text: str
    at: datetime | None = None
    stop: bool | None = None  # the service itself took it for "no more" (True) or "again" (False)


@dataclass(frozen=True, slots=True)
class LookupItem:
    """One message that we ask about or take back. phone is E.164; provider_id is '' when no answer
    told it.
    """

    phone: str
    text: str = ""
    provider_id: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """A message that the service is known to have taken with the same login. Books that do not show it
    prove nothing about another one.
    """

    reference: str
    phone: str
    since: datetime
    provider_id: str = ""
    # Answered before the messages asked about were handed over, whatever the clocks said. Else it was
    # taken later, and says nothing about how far back the books must be read.
    earlier: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """Another message of ours that may stand in the same place of the books: nobody told its id."""

    phone: str
    since: datetime
    text: str | None = None  # None: not known any more


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """A hand-over we ask about: its messages, and since when the provider may know of them."""

    reference: str
    asked: tuple[LookupItem, ...]
    since: datetime
    witness: Witness | None = None  # a report on it shall be among the answers
    read_to: str = ""  # where an earlier look stopped: Provider.read_to
    # For services that know no reference of ours: what in their books is known to be another's.
    taken: frozenset[str] = frozenset()
    rivals: tuple[Rival, ...] = ()

    @property
    def phones(self) -> tuple[str, ...]:
        return tuple(each.phone for each in self.asked)


@dataclass(frozen=True, slots=True)
class WebhookPayload:
    """A raw receipt as it came to our webhook: header names in lower case, body as text."""

    headers: Mapping[str, str]
    query: str
    body: str
    url: str = ""  # our public address as called, query and all: for check_note() only


@dataclass(frozen=True, slots=True)
class Booked:
    """One message in a service's books, ours or not. Its report has no reference where the books do
    not show it.
    """

    report: DeliveryReport
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BooksPage:
    """Some of a service's books, the newest first; cursor: where the next page begins, '' at the end."""

    rows: tuple[Booked, ...]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account holds, decrypted, with the sender name. repr never shows the values."""

    values: Mapping[str, str] = field(repr=False)
    sender: str = ""

    def get(self, name: str) -> str:
        return self.values.get(name, "")


class ProviderError(Exception):
    """A check, a balance or a look-up did not succeed. The reason says why, in our own words."""

    def __init__(self, reason: Reason, raw: str = "") -> None:
        super().__init__(f"{reason.name} {raw}".strip())
        self.reason = reason
        self.raw = raw


class Gate:
    """The last look before a request: may these messages still go? This one lets everything pass."""

    def passes(self, messages: Sequence[Sms]) -> bool:
        """Asked from any thread just before each request leaves (http.post's last_look), and may wait.
        No: none of these messages may leave in this hand-over any more; they are withheld.
        """
        return True


class Provider(ABC):
    """One SMS service. Instances hold the credentials of one account, are made for one batch or one
    look-up, may be used from several threads, and never touch the database (the simulator,
    whose table is its network, is the one exception).
    """

    slug: ClassVar[str]
    title: ClassVar[Promise | str]
    site: ClassVar[str] = ""
    hint: ClassVar[Promise | str] = ""  # shown on the settings page: who it is for, how to connect
    quirk: ClassVar[Promise | str] = ""  # shown on its card: what it does by itself
    # name -> form field; the settings form is built from these. Secrets use PasswordInput.
    fields: ClassVar[Mapping[str, forms.Field]]
    sender_help: ClassVar[Promise | str] = _(
        "As registered with the service. Empty: the service's own choice."
    )
    # What must follow our callback address when it is pasted into the provider's own settings.
    callback_hint: ClassVar[str] = ""
    callback_is_sent: ClassVar[bool] = False  # with every message: nobody needs to enter it
    # What our webhook says when it has kept a receipt or a reply, and the kind of text that it is.
    ack_response: ClassVar[tuple[str, str]] = ("OK", "text/plain")
    batch: ClassVar[int]  # messages in one hand-over
    at_once: ClassVar[int] = 0  # requests at once of a batch of many requests; 0: all of them
    one_request_per_batch: ClassVar[bool] = False  # so that one bad message may refuse all of them
    parallel: ClassVar[int]  # hand-overs at once for one account, over all workers
    settle_seconds: ClassVar[int] = 0  # its own books may lag this long behind
    can_look_up: ClassVar[bool] = False
    # Its books cannot be another login's, of other days or cut short: no witness is needed.
    books_are_sure: ClassVar[bool] = False
    # They know no reference of ours: a message is found there by phone, text and time.
    books_by_text: ClassVar[bool] = False
    # Hours of the recipients' time, from and until, in which it may put messages off by itself: what was
    # handed over then may be missing in its books until they are over.
    puts_off: ClassVar[tuple[int, int] | None] = None
    # Do its books surely show what it keeps until a time set? Else that they do not know a message
    # proves nothing before that time.
    books_show_kept: ClassVar[bool] = False
    lists_sent: ClassVar[bool] = False  # shows all that it has sent for us: sent_since()
    can_cancel: ClassVar[bool] = False  # gives back what it keeps until a time set
    cancel_pause: ClassVar[float] = 0  # seconds that it wants between two requests of cancel()
    # Minutes of lifetime that it takes, at least and at most; None: it takes none, and only what has not
    # been handed over yet can become too old.
    validity: ClassVar[tuple[int, int] | None] = None
    is_simulator: ClassVar[bool] = False  # sends nothing to anybody: never stands in for a service
    has_balance: ClassVar[bool] = False

    def __init__(self, credentials: Credentials, receipt_url: str = "") -> None:
        self.credentials = credentials
        self.receipt_url = receipt_url
        # Seconds that our clock is ahead of the service's, by its answers; None: it has not said.
        self.clock_off: float | None = None
        # Hand-overs (by reference) whose books are longer than this look: where the next goes on.
        self.read_to: dict[str, str] = {}
        self.gate = Gate()

    def heard(self, answer: Answer) -> Answer:
        """What each answer tells beside its words: the service's clock."""
        if answer.date is not None:
            off = (timezone.now() - answer.date).total_seconds()
            if self.clock_off is None or abs(off) > abs(self.clock_off):
                self.clock_off = off
        return answer

    @classmethod
    def login(cls, values: Mapping[str, str]) -> str:
        """What tells one login of the service from another: whose books it keeps. By default
        everything, so that any change makes another login.
        """
        return "\0".join(f"{name}={values.get(name, '')}" for name in sorted(cls.fields))

    @classmethod
    def complaint(cls, values: Mapping[str, str]) -> str:
        """What is wrong with the fields as a whole, in the person's language; '' when nothing is.
        Secrets left as they are must be filled in by the caller; "sender" is among the values.
        """
        return ""

    @classmethod
    def check_sender(cls, sender: str) -> str:
        """What is wrong with the sender name by this provider's rules; '' when nothing is."""
        return ""

    @abstractmethod
    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        """Hand over; exactly one Result per message, whatever happens. Raises nothing for the
        network. No request starts after the deadline (smsmail.uptime seconds): those are unsent. None
        starts without a yes of self.gate: those are withheld.
        Phones within one call are distinct.
        """

    def can_schedule(self, at: datetime) -> bool:
        """Does it take a message now to send it at this time?"""
        return False

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        """What the provider's books say, of each witness too. NOT_FOUND only where they were read
        completely, back to an earlier witness; what could not be learnt is left out. What is too long
        for one look goes on where read_to says. Raises Trouble when nothing could be read. Asked only
        of those that can_look_up.
        """
        raise NotImplementedError(self.slug)

    @classmethod
    def read_until(cls, read_to: str) -> datetime | None:
        """To which moment of its books a look came that stopped there; None: unknown."""
        return None

    def sent_since(self, since: datetime, cursor: str = "") -> BooksPage:
        """One page of all messages that it has taken for us since then, whether we know of them or
        not. Raises Trouble. Asked only of those that list them: lists_sent.
        """
        raise NotImplementedError(self.slug)

    @abstractmethod
    def check_note(self, note: WebhookPayload) -> bool:
        """Is this receipt really the provider's (signature or check value)? Constant time."""

    @abstractmethod
    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        """Pure. [] when there is none; ValueError when it cannot be read."""

    def read_replies(self, note: WebhookPayload) -> list[InboundSms]:
        """Pure. [] when there is none. Asked only of notes in which read_receipts finds none."""
        return []

    def balance(self) -> Balance:
        """Raises Trouble. Asked only of those that have one: has_balance."""
        raise NotImplementedError(self.slug)

    def cancel(self, reference: str, asked: Sequence[LookupItem]) -> list[DeliveryReport]:
        """Try to take back what was handed over; one CANCELLED report for each taken back. Raises
        Trouble when it could not be asked.
        """
        return []
