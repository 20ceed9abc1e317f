"""The words of the contract between smsmail and a service: what goes out, and what comes back. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from integrations.reasons import Reason


class Outcome(StrEnum):
    """The four results of a submission. All rules of sending depend on them."""

    TAKEN = "taken"  # the provider said yes
    UNSENT = "unsent"  # surely not sent: may go again, in a new Batch
    REFUSED = "refused"  # an answer: not this message
    UNKNOWN = "unknown"  # it may have arrived: never again until look_up says it had not


@dataclass(frozen=True, slots=True)
class Sms:
    """One message to submit. key is the message's id; phone is E.164 with '+'."""

    key: int
    phone: str
    text: str
    at: datetime | None = None  # the provider keeps it until then; only where it can_schedule()
    valid_until: datetime | None = None  # of no use to anybody later; None: as long as it likes

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
    retry_after: float | None = None  # seconds for which the service wants to be left alone
    untimed: bool = False  # unsent for its time alone: without one the service takes it
    withheld: bool = False  # unsent, because the gate said no at the last moment


class DeliveryStatus(StrEnum):
    """Later news of a message. The words match mailings.models.Message.Status where both have them."""

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
    """An SMS that a person sent to us."""

    phone: str
    text: str
    at: datetime | None = None
    stop: bool | None = None  # the service itself took it for "no more" (True) or "again" (False)


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
    # Answered before the messages asked about were handed over, whatever the clocks said. Else it was
    # taken later, and says nothing about how far back the books must be read.
    earlier: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """Another message of ours, without a known provider id, to which the same record may belong."""

    phone: str
    since: datetime
    text: str | None = None  # None: not known any more


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """One submission to look up: its messages, and since when the provider may have them."""

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
    """A raw webhook request: header names in lower case, body as text."""

    headers: Mapping[str, str]
    query: str
    body: str
    url: str = ""  # our public address as called, query and all: for check_note() only


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
