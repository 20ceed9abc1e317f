"""Compares the counters with the message rows: compare() finds differences, and repair() removes them.

The ledger keeps them equal. This module is for proof, for history that was written without the ledger,
and for rows that somebody changed by hand.
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import (
    Count,
    DateTimeField,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)

from mailings.models import Click, ClickHour, Counters, Link, Mailing, Message
from mailings.tracking import aggregate

CLICKS = ("clicks", "clicked", "robots")
COLUMNS = (*Message.Status.values, "parts", "price", *CLICKS)
PEOPLE = Q(kind=Click.Kind.PERSON)
ROBOTS = ~PEOPLE
CENT = Decimal("0.0001")  # prices are rounded to this, because SQLite adds them up as floats


class Difference(NamedTuple):
    """A column whose counted value differs from the sum of the rows."""

    mailing: int
    column: str
    counted: Decimal | int
    rows: Decimal | int


def compare(mailings: QuerySet[Mailing] | None = None) -> list[Difference]:
    """Return every difference, in these mailings or in all. The two sides of a comparison are read in one
    statement, and so at one moment, even while messages move and clicks are counted. Mailings whose messages
    were removed are left out: only their counters tell what became of them.
    """
    counted = (Mailing.objects.all() if mailings is None else mailings).order_by("id")
    counted = counted.filter(messages_removed_at__isnull=True)
    found = counted.values("id", *(f"counters__{name}" for name in COLUMNS)).annotate(**_rows())
    differences = [_difference(line, name) for line in found for name in COLUMNS]
    differences += [*_of_links(counted), *_of_hours(counted)]
    return [each for each in differences if each.counted != each.rows]


def repair(mailing_id: int) -> None:
    """Count the rows of one mailing anew.

    Its counters are locked first. The ledger changes them last, so moves that it has not counted yet are
    not visible here, and are added when this is done. Does nothing for a mailing whose messages were
    removed.
    """
    if Mailing.objects.filter(id=mailing_id, messages_removed_at__isnull=False).exists():
        return
    Counters.objects.get_or_create(mailing_id=mailing_id)
    with transaction.atomic():
        counters = Counters.objects.select_for_update().get(mailing_id=mailing_id)
        chosen = Mailing.objects.filter(id=mailing_id).values("id")
        line: dict[str, Any] = dict(chosen.annotate(**_rows()).get())
        for name in COLUMNS:
            setattr(counters, name, line[f"rows_{name}"] or 0)
        counters.save()
        aggregate.count_anew(mailing_id)


def _rows() -> dict[str, Any]:
    counts: dict[str, Any] = {
        f"rows_{status}": Count("messages", filter=Q(messages__status=status))
        for status in Message.Status.values
    }
    taken = Q(messages__status__in=Message.TAKEN)
    counts["rows_parts"] = Sum("messages__parts", filter=taken)
    counts["rows_price"] = Sum("messages__price")
    counts["rows_clicked"] = Count("messages", filter=Q(messages__first_click_at__isnull=False))
    counts["rows_clicks"] = _clicks(PEOPLE, mailing=OuterRef("pk"))
    counts["rows_robots"] = _clicks(ROBOTS, mailing=OuterRef("pk"))
    return counts


def _of_links(mailings: QuerySet[Mailing]) -> Iterator[Difference]:
    same: dict[str, Any] = {"mailing": OuterRef("mailing"), "position": OuterRef("position")}
    rows = Link.objects.filter(mailing__in=mailings.values("id")).annotate(
        rows_clicks=_clicks(PEOPLE, **same),
        rows_clicked=_clicks(PEOPLE, of=Count("message", distinct=True), **same),
        rows_robots=_clicks(ROBOTS, **same),
    )
    lines: QuerySet[Any, Any] = rows.order_by("mailing", "position").values()
    for link in lines:
        for name in CLICKS:
            column = f"{name} of link {link['position']}"
            yield Difference(link["mailing_id"], column, link[name], link[f"rows_{name}"] or 0)


def _of_hours(mailings: QuerySet[Mailing]) -> Iterator[Difference]:
    """Compare each hour, and the sum of all hours, since every click belongs to an hour."""
    hour: dict[str, Any] = {
        "mailing": OuterRef("mailing"),
        "at__gte": OuterRef("hour"),
        "at__lt": ExpressionWrapper(
            OuterRef("hour") + timedelta(hours=1), output_field=DateTimeField()
        ),
    }
    rows = ClickHour.objects.filter(mailing__in=mailings.values("id")).annotate(
        rows_clicks=_clicks(PEOPLE, **hour), rows_robots=_clicks(ROBOTS, **hour)
    )
    lines: QuerySet[Any, Any] = rows.order_by("mailing", "hour").values()
    for line in lines:
        for name in ("clicks", "robots"):
            column = f"{name} from {line['hour']:%Y-%m-%d %H}"
            yield Difference(line["mailing_id"], column, line[name], line[f"rows_{name}"] or 0)
    for mailing, *sums in mailings.values_list(
        "id",
        _sum_of_hours("clicks"),
        _clicks(PEOPLE, mailing=OuterRef("pk")),
        _sum_of_hours("robots"),
        _clicks(ROBOTS, mailing=OuterRef("pk")),
    ):
        yield Difference(mailing, "clicks by the hour", sums[0] or 0, sums[1] or 0)
        yield Difference(mailing, "robots by the hour", sums[2] or 0, sums[3] or 0)


def _clicks(kinds: Q, *, of: Count | None = None, **same: Any) -> Subquery:
    rows = Click.objects.filter(kinds, processed_at__isnull=False, **same)
    groups = rows.order_by().values("mailing")
    return Subquery(groups.annotate(n=of or Count("pk")).values("n"))


def _sum_of_hours(name: str) -> Subquery:
    rows = ClickHour.objects.filter(mailing=OuterRef("pk")).order_by().values("mailing")
    return Subquery(rows.annotate(n=Sum(name)).values("n"))


def _difference(line: dict[str, Any], name: str) -> Difference:
    counted, rows = line[f"counters__{name}"] or 0, line[f"rows_{name}"] or 0
    if name == "price":
        counted, rows = Decimal(counted).quantize(CENT), Decimal(rows).quantize(CENT)
    return Difference(line["id"], name, counted, rows)
