"""What the pages of mailings show: figures from the counters, lists from the messages. Reads only.

Numbers of statuses come from Counters alone, never from counting messages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from integrations.reasons import About, Reason
from smsmail import keyset
from users import phones, rules
from users.models import AuditEvent, User

from .models import Click, Counters, Mailing, Message
from .models.message import AT_THE_SERVICE

PAGE = 50
Status = Message.Status


@dataclass(frozen=True, slots=True)
class Part:
    """Statuses that the statistics show as one figure. slug is the end of a CSS class."""

    slug: str
    label: str | Promise
    statuses: tuple[Status, ...]
    asked: str  # the query of the list it opens


def _alone(status: Status, slug: str = "") -> Part:
    return Part(slug or status.value, status.label, (status,), f"status={status.value}")


ERROR = Part(
    "error",
    pgettext_lazy("figure", "Error"),
    (Status.UNDELIVERED, Status.EXPIRED, Status.REFUSED),
    "category=error",
)
# In the order of the page, and of the colours in a bar.
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
    part: Part
    count: int
    share: int  # percent of what was to be sent; 0 for those left out


@dataclass(frozen=True, slots=True)
class Slice:
    """One piece of a bar: where it begins and how wide it is, as SVG takes them."""

    part: Part
    x: str
    width: str


@dataclass(frozen=True, slots=True)
class ReasonCount:
    reason: str
    about: About | None
    count: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, newest first; older is the key to go on with, or None."""

    rows: list[Any]
    older: int | None


@dataclass(frozen=True, slots=True)
class Month:
    """What the last thirty days came to: handed over = delivered + failed + open."""

    mailings: int
    handed_over: int
    delivered: int
    failed: int
    price: Decimal

    @property
    def open(self) -> int:
        """On the way, without a report, or of unknown fate."""
        return self.handed_over - self.delivered - self.failed

    @property
    def share(self) -> int:
        return percent(self.delivered, self.handed_over)


# --- figures ----------------------------------------------------------------------------------
def figures(counters: Counters, kept: int = 0) -> list[Figure]:
    """The four that are always shown, and those that are not zero. kept: messages that the service keeps
    until a time to come. When it has sent none of them yet, they are not on the way.
    """
    shown = []
    for part in PARTS:
        if part.slug == "sent" and 0 < counters.accepted <= kept:
            part = replace(part, label=AT_THE_SERVICE)
        count = counters.of(*part.statuses)
        if count or part.slug in ALWAYS_SHOWN:
            of = 0 if part.slug == "skipped" else counters.to_send
            shown.append(Figure(part, count, percent(count, of)))
    return shown


def spread(counters: Counters) -> list[Slice]:
    """How what was to be sent divides, left to right."""
    slices, done = [], 0
    for part in PARTS:
        count = 0 if part.slug == "skipped" else counters.of(*part.statuses)
        if count:
            x, width = (100 * each / counters.to_send for each in (done, count))
            slices.append(Slice(part, f"{x:.3f}%", f"{width:.3f}%"))
            done += count
    return slices


def percent(count: int, of: int) -> int:
    """Whole percent that never claims all or nothing when it is not so."""
    if not of or not count:
        return 0
    return max(1, min(99, round(100 * count / of))) if count < of else 100


def is_over(mailing: Mailing) -> bool:
    """Nothing about it will change any more: the page need not ask again."""
    if mailing.state == Mailing.State.CANCELLED:
        return mailing.counters.of(*Message.OPEN) == 0
    return mailing.state == Mailing.State.DONE


def month() -> Month:
    """One query over the counters of what was launched in the last thirty days."""
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
def mailings(named: str = "") -> QuerySet[Mailing]:
    mailings = Mailing.objects.filter(kind=Mailing.Kind.MAILING)
    rows = mailings.select_related("counters", "asked_by")
    if not named:
        return rows
    # SQLite folds the case of ASCII only; these are the cases in which names are written.
    cases = {named, named.lower(), named.upper(), named.capitalize(), named.title()}
    return rows.filter(reduce(or_, (Q(name__icontains=each) for each in cases)))


def with_statistics() -> QuerySet[Mailing]:
    """Mailings that have left the desk, and notifications: they share the pages behind figures."""
    rows = Mailing.objects.filter(kind__in=[Mailing.Kind.MAILING, Mailing.Kind.NOTIFICATION])
    return rows.exclude(state__in=Mailing.BEFORE_LAUNCH).select_related("counters")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recipients the address asks for: ?status= or ?category=error, ?reason=, ?q=phone, ?clicked=1
    and ?link=position (who clicked this one).
    """

    part: Part | None
    reason: str
    q: str
    clicked: bool = False
    link: int | None = None
    unknown: bool = False  # it asks for something that the list does not know

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Selection":
        status, reason = query.get("status", ""), query.get("reason", "")
        part = None
        if query.get("category") == "error":
            part = ERROR
        elif status in set(Status):
            part = next((each for each in PARTS if each.statuses == (status,)), None)
            part = part or _alone(Status(status))
        link = query.get("link", "")
        position = int(link) if link.isascii() and link.isdecimal() and len(link) < 3 else None
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
            query.get("q", "").strip(),
            clicked=query.get("clicked") == "1" or position is not None,
            link=position,
            unknown=not known,
        )

    def of(self, mailing: Mailing) -> QuerySet[Message]:
        # A person may have been deleted since: the message stays, its user is then None.
        rows = Message.objects.filter(mailing=mailing).select_related("user", "dispatch")
        if self.unknown:
            return rows.none()
        if self.part is not None:
            rows = rows.filter(status__in=self.part.statuses)
        if self.reason:
            rows = rows.filter(reason=self.reason).exclude(reason="")  # the partial index
        if self.clicked:
            rows = rows.filter(first_click_at__isnull=False)  # the partial index
        if self.link is not None:
            by_people = Click.objects.filter(message=OuterRef("pk"), position=self.link)
            by_people = by_people.filter(kind=Click.Kind.PERSON, folded_at__isnull=False)
            rows = rows.filter(Exists(by_people))
        if self.q:
            rows = rows.filter(_phone_like(self.q))
        return rows


def _phone_like(typed: str) -> Q:
    """A whole phone is found by its index, in whatever way it is written; a piece by looking."""
    try:
        return Q(phone=phones.normalize(typed, settings.DEFAULT_COUNTRY))
    except phones.BadPhone:
        digits = "".join(char for char in typed if char in "0123456789")
        return Q(phone__contains=digits) if digits else Q(pk__in=())


def page_of(rows: QuerySet[Any], before: str) -> Page:
    """By id, never by OFFSET: the hundredth page costs as much as the first."""
    below = keyset.before(before)
    if below is not None:
        rows = rows.filter(id__lt=below)
    found = list(rows.order_by("-id")[: PAGE + 1])
    older = found[PAGE - 1].id if len(found) > PAGE else None
    return Page(found[:PAGE], older)


def reasons(mailing: Mailing, part: Part) -> list[ReasonCount]:
    """The reasons of messages in this part, the commonest first: one GROUP BY over the partial
    index of rows that have one.
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


# --- history ----------------------------------------------------------------------------------
HISTORY: dict[str, Promise] = {
    "written": _("Draft written"),
    "changed": _("Draft changed"),
    "asked": _("Launch asked for: a second person must confirm it"),
    "taken_back": _("Taken back: a draft again"),
    "withdrawn": _("Launch taken back: a draft again"),
    "sent_back": _("Not confirmed: sent back to the drafts"),
    "launched": _("Launched"),
    "launched_urgent": _("Launched as urgent: quiet hours do not hold it"),
    "event_added": _("Notification added"),
    "text_changed": _("Notification changed"),
    "switched_on": _("Switched on"),
    "switched_off": _("Switched off"),
    "paused": _("Paused"),
    "resumed": _("Resumed"),
    "cancelled": _("Cancelled"),
    "recalled": _("The service was asked to give back what it kept"),
    "watching_stopped": _("Watching stopped: nobody new is taken"),
    "links_revoked": _("Sign-in links revoked"),
    "test_sent": _("Test message sent"),
    "let_be": _("Messages of unknown fate let be"),
    "set_aside": _("Something about it failed, and is tried again"),
    "set_aside_over": _("What had failed has been done"),
    "sent_again": _("Messages of unknown fate sent again"),
}


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    words: str | Promise
    by: User | None


def history(mailing: Mailing) -> list[Event]:
    """What people did to it, and what stopped it, newest first."""
    rows = AuditEvent.objects.filter(target=f"mailing {mailing.pk}").select_related("by")
    return [Event(row.at, _words(row), row.by) for row in rows.order_by("-id")[:20]]


def _words(row: AuditEvent) -> str | Promise:
    if row.what == "halted":
        return gettext("Paused automatically: %(why)s") % {"why": _why(row.details.get("reason"))}
    if row.what != "rule_changed":
        return HISTORY.get(row.what, row.what)
    try:
        rule = rules.sentence(rules.read(row.details.get("now")))
    except rules.BadRule:  # what it named is gone since
        return gettext("The rule was changed")
    return gettext("The rule was changed, and counts from then on: %(rule)s") % {"rule": rule}


def _why(reason: str | None) -> str | Promise:
    if reason is None or reason not in set(Reason):
        return gettext("no reason was written down")
    return Reason(reason).about.title
