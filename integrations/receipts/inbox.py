"""The inbox of raw receipts. The webhook inserts them; processing takes them out in bulk and moves them
into packs (packs.py) in the same transaction.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from django.db import connection
from django.db.models import QuerySet

from integrations.models import Account, Receipt


class RawReceipt(NamedTuple):
    """A receipt as it was received, and the account and the provider that it came from."""

    id: int
    account_id: int
    provider: str
    headers: dict[str, str]
    query: str
    body: str
    received_at: datetime


def take(chosen: "QuerySet[Receipt, int]") -> list[RawReceipt]:
    """Remove the receipts that this query of ids finds, and return them, oldest first. Those that another
    worker is taking are left to it. Call it inside the transaction that processes them: after a crash they
    are in the inbox again.

    One statement. Marking rows as processed wrote each of them twice, in all indexes: 29 us and 619 bytes
    of WAL a receipt, where removing it takes 4 to 7 us and 120 bytes (together with its place in a pack).
    """
    postgres = connection.vendor == "postgresql"
    if postgres:
        chosen = chosen.select_for_update(skip_locked=True)
    query, values = chosen.query.sql_with_params()
    where = f"= ANY(ARRAY({query}))" if postgres else f"IN ({query})"
    headers = "headers::text" if postgres else "headers"
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM integrations_receipt WHERE id {where} "  # noqa: S608 - Django's own SQL
            f"RETURNING id, account_id, {headers}, query, body, received_at",
            values,
        )
        rows = sorted(cursor.fetchall())
    providers = dict(Account.objects.values_list("id", "provider")) if rows else {}
    return [
        RawReceipt(key, account, providers[account], _headers(headers), query, body, _moment(at))
        for key, account, headers, query, body, at in rows
    ]


def put_back(receipts: Sequence[RawReceipt]) -> None:
    """Put receipts into the inbox again, as they came, to be processed anew."""
    Receipt.objects.bulk_create(
        Receipt(
            account_id=each.account_id,
            headers=each.headers,
            query=each.query,
            body=each.body,
            received_at=each.received_at,
        )
        for each in receipts
    )


@lru_cache(maxsize=256)
def _headers(text: str) -> dict[str, str]:
    """Nearly all receipts of a provider carry the same ones. Nobody may change what this returns."""
    return dict(json.loads(text))


def _moment(at: datetime) -> datetime:
    """SQLite returns it without its time zone, which is UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)
