"""Do the counters equal the rows? compare() proves it, repair() makes it so.

The ledger keeps them equal; this is for proof, for history written beside the ledger, and for rows
that somebody changed by hand.
"""

from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum

from .models import Counters, Mailing, Message

COLUMNS = (*Message.Status.values, "parts", "price")
CENT = Decimal("0.0001")  # SQLite adds up prices as floats


class Difference(NamedTuple):
    mailing: int
    column: str
    counted: Decimal | int
    rows: Decimal | int


def compare(mailings: QuerySet[Mailing] | None = None) -> list[Difference]:
    """Every difference there is. One statement, hence one moment, also while messages move."""
    counted = (Mailing.objects.all() if mailings is None else mailings).order_by("id")
    found = counted.values("id", *(f"counters__{name}" for name in COLUMNS)).annotate(**_rows())
    return [
        difference
        for line in found
        for name in COLUMNS
        if (difference := _difference(line, name)).counted != difference.rows
    ]


def repair(mailing_id: int) -> None:
    """Count the rows of one mailing anew.

    Its counters are locked first. The ledger changes them last, so whatever it has moved and not
    yet counted is not to be seen here, and is added when this is done.
    """
    Counters.objects.get_or_create(mailing_id=mailing_id)
    with transaction.atomic():
        counters = Counters.objects.select_for_update().get(mailing_id=mailing_id)
        chosen = Mailing.objects.filter(id=mailing_id).values("id")
        line: dict[str, Any] = dict(chosen.annotate(**_rows()).get())
        for name in COLUMNS:
            setattr(counters, name, line[f"rows_{name}"] or 0)
        counters.save()


def _rows() -> dict[str, Any]:
    counts: dict[str, Any] = {
        f"rows_{status}": Count("messages", filter=Q(messages__status=status))
        for status in Message.Status.values
    }
    taken = Q(messages__status__in=Message.TAKEN)
    counts["rows_parts"] = Sum("messages__parts", filter=taken)
    counts["rows_price"] = Sum("messages__price")
    return counts


def _difference(line: dict[str, Any], name: str) -> Difference:
    counted, rows = line[f"counters__{name}"] or 0, line[f"rows_{name}"] or 0
    if name == "price":
        counted, rows = Decimal(counted).quantize(CENT), Decimal(rows).quantize(CENT)
    return Difference(line["id"], name, counted, rows)
