"""What the pages of mailings show: figures from the counters, and lists from the messages. Reads only.

The numbers of each status come only from Counters, never from counting messages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

from integrations.reasons import About, Reason
from mailings.models import Click, Counters, Mailing, Message
from mailings.models.message import AT_THE_SERVICE
from smsmail.web import charts
from smsmail.web.query import number, search_text
from users.parsing import phones

Status = Message.Status


@dataclass(frozen=True, slots=True)
class Part:
    """Statuses that the statistics show as one figure. `slug` is the end of a CSS class."""

    slug: str
    label: str | Promise
    statuses: tuple[Status, ...]
    asked: str  # the query string of the list that the figure links to


def _alone(status: Status, slug: str = "") -> Part:
    return Part(slug or status.value, status.label, (status,), f"status={status.value}")


ERROR = Part(
    "error",
    pgettext_lazy("figure", "Error"),
    (Status.UNDELIVERED, Status.EXPIRED, Status.REFUSED),
    "category=error",
)
# In the order of the page and of the colours in a bar.
PARTS = (
    _alone(Status.DELIVERED),
    _alone(Status.ACCEPTED, "sent"),
    ERROR,
    _alone(Status.NO_RECEIPT),
    _alone(Status.UNKNOWN),
    _alone(Status.WAITING),
    _alone(Status.CANCELLED),
    _alone(Status.SKIPPED),
)
SKIPPED = PARTS[-1]
ALWAYS_SHOWN = {"delivered", "sent", "error", "waiting"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the statistics, in messages."""

    part: Part
    count: int
    share: int  # percent of the messages that were to be sent; 0 for skipped ones


@dataclass(frozen=True, slots=True)
class Slice:
    """One piece of a bar, with its position and width as SVG takes them ("12.500%")."""

    part: Part
    x: str
    width: str


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """A reason, its explanation if it is known, and the number of its messages."""

    reason: str
    about: About | None
    count: int


@dataclass(frozen=True, slots=True)
class Month:
    """The sums of the last thirty days: handed_over = delivered + failed + open."""

    mailings: int
    handed_over: int
    delivered: int
    failed: int
    price: Decimal

    @property
    def open(self) -> int:
        """Messages on their way, without a receipt, or of unknown fate."""
        return self.handed_over - self.delivered - self.failed

    @property
    def share(self) -> int:
        """Percent of the submitted messages that were delivered."""
        return percent(self.delivered, self.handed_over)


# --- figures ----------------------------------------------------------------------------------
def figures(counters: Counters, scheduled: int = 0) -> list[Figure]:
    """Return the four figures that are always shown, and those that are not zero. scheduled: messages that the
    provider keeps until a time in the future. If these are all accepted ones, the label says so.
    """
    shown = []
    for part in PARTS:
        if part.slug == "sent" and 0 < counters.accepted <= scheduled:
            part = replace(part, label=AT_THE_SERVICE)
        count = counters.of(*part.statuses)
        if count or part.slug in ALWAYS_SHOWN:
            of = 0 if part.slug == "skipped" else counters.to_send
            shown.append(Figure(part, count, percent(count, of)))
    return shown


def spread(counters: Counters) -> list[Slice]:
    """Return the pieces of the bar, from left to right: the shares of the messages to be sent."""
    counted = [(part, counters.of(*part.statuses)) for part in PARTS if part.slug != "skipped"]
    shown = [(part, count) for part, count in counted if count]
    bands = charts.bands([count for _part, count in shown], counters.to_send)
    return [Slice(part, *band) for (part, _count), band in zip(shown, bands, strict=True)]


def percent(count: int, of: int) -> int:
    """Return whole percent: 0 and 100 only if they are exact, else between 1 and 99."""
    if not of or not count:
        return 0
    return max(1, min(99, round(100 * count / of))) if count < of else 100


def is_over(mailing: Mailing) -> bool:
    """Are the figures of the mailing final? Then its page stops polling."""
    if mailing.state == Mailing.State.CANCELLED:
        return mailing.counters.of(*Message.OPEN) == 0
    return mailing.state == Mailing.State.DONE


def month() -> Month:
    """Sum up the mailings launched in the last thirty days, in one query over their counters."""
    since = timezone.now() - timedelta(days=30)
    counters = Counters.objects.filter(
        mailing__kind=Mailing.Kind.MAILING, mailing__launched_at__gte=since
    )
    columns = [*Message.HANDED_OVER, "price"]
    sums = counters.aggregate(mailings=Count("pk"), **{each: Sum(each) for each in columns})
    found = {name: value or 0 for name, value in sums.items()}
    return Month(
        mailings=found["mailings"],
        handed_over=sum(found[each] for each in Message.HANDED_OVER),
        delivered=found[Status.DELIVERED],
        failed=sum(found[each] for each in Message.FAILED),
        price=Decimal(found["price"]),
    )


# --- lists ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Selection:
    """The recipients that a query string selects: ?status= or ?category=error, ?reason=, ?q=phone,
    ?clicked=1 and ?link=position (people who clicked this link).
    """

    part: Part | None
    reason: str
    q: str
    clicked: bool = False
    link: int | None = None
    unknown: bool = False  # the query string contains a value that the list does not know

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Selection":
        """Read a selection from the parameters of a query string."""
        status, reason = query.get("status", ""), query.get("reason", "")
        part = None
        if query.get("category") == "error":
            part = ERROR
        elif status in set(Status):
            part = next((each for each in PARTS if each.statuses == (status,)), None)
            part = part or _alone(Status(status))
        link = query.get("link", "")
        position = number(link, digits=2)
        known = (
            status in {"", *Status}
            and reason in {"", *Reason}
            and query.get("category", "") in {"", "error"}
            and query.get("clicked", "") in {"", "1"}
            and (position is not None or not link)
        )
        return cls(
            part,
            reason if reason in set(Reason) else "",
            search_text(query.get("q", "")),
            clicked=query.get("clicked") == "1" or position is not None,
            link=position,
            unknown=not known,
        )

    def of(self, mailing: Mailing) -> QuerySet[Message]:
        """Select the messages of the mailing; none if the selection is unknown."""
        # The user of a message is None if the person was deleted since.
        rows = Message.objects.filter(mailing=mailing).select_related("user", "batch")
        if self.unknown:
            return rows.none()
        if self.part is not None:
            rows = rows.filter(status__in=self.part.statuses)
        if self.reason:
            rows = rows.filter(reason=self.reason).exclude(reason="")  # the partial index
        if self.clicked:
            rows = rows.clicked()  # the partial index
        if self.link is not None:
            by_people = Click.objects.filter(message=OuterRef("pk"), position=self.link)
            by_people = by_people.filter(kind=Click.Kind.PERSON, processed_at__isnull=False)
            rows = rows.filter(Exists(by_people))
        if self.q:
            rows = rows.filter(_phone_like(self.q))
        return rows


def _phone_like(typed: str) -> Q:
    """Return the condition for a phone as typed. A whole phone, in whatever way it is written, uses the
    index; a part of one needs a scan.
    """
    try:
        return Q(phone=phones.normalize(typed, settings.DEFAULT_COUNTRY))
    except phones.BadPhone:
        digits = "".join(char for char in typed if char in "0123456789")
        return Q(phone__contains=digits) if digits else Q(pk__in=())


def reasons(mailing: Mailing, part: Part) -> list[ReasonCount]:
    """Count the reasons of the messages in this part, the most common first: one GROUP BY over the
    partial index of messages that have a reason.
    """
    rows = (
        Message.objects.filter(mailing=mailing, status__in=part.statuses)
        .exclude(reason="")
        .values_list("reason")
        .annotate(count=Count("id"))
        .order_by("-count", "reason")
    )
    return [
        ReasonCount(reason, Reason(reason).about if reason in set(Reason) else None, count)
        for reason, count in rows
    ]
