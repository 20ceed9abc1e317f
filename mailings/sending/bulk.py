"""Writes and reads many message rows in one statement, in both dialects: COPY and unnest on
PostgreSQL, executemany and json_each on SQLite. This module contains no rules of sending.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet

from . import parameters

FEW = 8  # so many different changes are written one after the other


class Entry(NamedTuple):
    """A new message; the fields are columns of mailings_message, in the order of the INSERT."""

    mailing_id: int
    key: str
    user_id: int | None
    phone: str
    text: str
    parts: int
    status: str
    reason: str
    batch_id: int | None
    final_at: datetime | None
    raw_code: str = ""
    provider_id: str = ""


class LockedMessage(NamedTuple):
    """A message row that is locked for a change."""

    id: int
    mailing_id: int
    status: str
    parts: int
    price: Decimal | None
    batch_id: int | None


class FoundMessage(NamedTuple):
    """A message found by its batch and its phone."""

    id: int
    batch_id: int
    phone: str


class MessageChange(NamedTuple):
    """The new values of messages. An empty provider_id keeps the stored one, and so does None for
    price and batch_id. The time of submission is written only once; every other field is always written.
    """

    status: str
    reason: str
    raw_code: str
    provider_id: str
    price: Decimal | None
    batch_id: int | None
    submitted_at: datetime | None
    final_at: datetime | None


class PersonClick(NamedTuple):
    """A click as it is received; the fields are columns of mailings_click, in the order of the
    INSERT.
    """

    message_id: int
    mailing_id: int
    position: int
    at: datetime
    kind: str
    method: str
    user_agent: str
    signs: str
    network: str


class FirstClick(NamedTuple):
    """The time at which a person first clicked a link of a message."""

    id: int
    at: datetime


class Judged(NamedTuple):
    """The new kind (`becomes`) of the clicks that have this method, user agent, signs and kind."""

    method: str
    user_agent: str
    signs: str
    kind: str
    becomes: str


class Learnt(NamedTuple):
    """A provider id and a price that arrive after the status of a message is settled."""

    id: int
    provider_id: str
    price: Decimal | None


def insert_messages(entries: Iterable[Entry]) -> None:
    """Insert the messages. COPY writes 150,000 rows a second where bulk_create writes 15,000."""
    columns = ", ".join(Entry._fields)
    with connection.cursor() as cursor:
        if parameters.is_postgres():
            # Django does not wrap COPY: without the wrapper, its errors would be psycopg's own.
            with (
                connection.wrap_database_errors,
                cursor.copy(f"COPY mailings_message ({columns}) FROM STDIN") as copy,
            ):
                for entry in entries:
                    copy.write_row(entry)
            return
        marks = ", ".join(["%s"] * len(Entry._fields))
        cursor.executemany(
            f"INSERT INTO mailings_message ({columns}) VALUES ({marks})",  # noqa: S608 - our own names
            [entry._replace(final_at=parameters.moment(entry.final_at)) for entry in entries],
        )


def insert_arrivals(mailing_id: int, ids: "QuerySet[Any, int]", at: datetime) -> None:
    """Record everybody whom this query of user ids finds as present before (`before` is true). It
    is one statement, so all of them are read at one moment.
    """
    query, values = ids.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mailings_arrival (mailing_id, user_id, at, before) "  # noqa: S608 - Django's own SQL
            f"SELECT %s, found.id, %s, %s FROM ({query}) AS found "
            "WHERE true ON CONFLICT DO NOTHING",  # without WHERE, SQLite takes ON for a join
            [mailing_id, parameters.moment(at), True, *values],
        )


def lock_messages(ids: Sequence[int]) -> list[LockedMessage]:
    """Lock the messages in the order of their ids, as all code does, and return their rows."""
    lock = "FOR NO KEY UPDATE" if parameters.is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, mailing_id, status, parts, price, batch_id FROM mailings_message "  # noqa: S608 - our own words
            f"WHERE id {parameters.among()} ORDER BY id {lock}",
            [parameters.ids_of(ids)],
        )
        rows = cursor.fetchall()
    if parameters.is_postgres():
        return [LockedMessage(*row) for row in rows]
    return [
        LockedMessage(
            key, mailing, status, parts, None if price is None else Decimal(str(price)), batch
        )
        for key, mailing, status, parts, price, batch in rows
    ]


def change_messages(changes: Mapping[MessageChange, Sequence[int]]) -> None:
    """Apply each change to the messages with these ids.

    Nearly always a few changes fit all messages of a batch, or of a thousand receipts: one UPDATE each, with
    the ids alone as a list. It takes 1 us of CPU a message where arrays of all values take 9. Many different
    changes are one UPDATE with arrays: 94,000 rows a second where bulk_update writes 2,700.
    """
    if len(changes) <= FEW:
        for change, ids in changes.items():
            _change_alike(change, ids)
    else:
        _change_each([(each, *change) for change, ids in changes.items() for each in ids])


def _change_alike(change: MessageChange, ids: Sequence[int]) -> None:
    sets = {
        "status": change.status,
        "reason": change.reason,
        "raw_code": change.raw_code,
        "final_at": parameters.moment(change.final_at),
    }
    if change.provider_id:
        sets["provider_id"] = change.provider_id
    if change.price is not None:
        sets["price"] = (
            parameters.plain(change.price) if not parameters.is_postgres() else change.price
        )
    if change.batch_id is not None:
        sets["batch_id"] = change.batch_id
    assignments = [f"{column} = %s" for column in sets]
    if change.submitted_at is not None:
        assignments.append("submitted_at = COALESCE(submitted_at, %s)")
        sets["submitted_at"] = parameters.moment(change.submitted_at)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE mailings_message SET {', '.join(assignments)} WHERE id {parameters.among()}",  # noqa: S608 - our own names
            [*sets.values(), parameters.ids_of(ids)],
        )


def _change_each(rows: Sequence[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE mailings_message AS m SET
                status = d.status,
                reason = d.reason,
                raw_code = d.raw_code,
                provider_id = CASE WHEN d.provider_id = '' THEN m.provider_id ELSE d.provider_id END,
                price = COALESCE(d.price, m.price),
                batch_id = COALESCE(d.batch_id, m.batch_id),
                submitted_at = COALESCE(m.submitted_at, d.submitted_at),
                final_at = d.final_at
            FROM {parameters.table(_CHANGE_TYPES)} WHERE m.id = d.id
            """,  # noqa: S608 - our own names
            parameters.columns(rows, len(_CHANGE_TYPES)),
        )


def add_to_counters(mailing_id: int, added: Mapping[str, int | Decimal]) -> bool:
    """Add to these columns of a mailing's counters. Returns False when there are no counters."""
    sets = [f"{column} = {column} + CAST(%s AS numeric)" for column in added]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE mailings_counters SET {', '.join(sets)} WHERE mailing_id = %s",  # noqa: S608 - our own names
            [
                *(
                    parameters.plain(each) if not parameters.is_postgres() else each
                    for each in added.values()
                ),
                mailing_id,
            ],
        )
        return bool(cursor.rowcount)


def learn(rows: Sequence[Learnt]) -> None:
    """Fill in missing provider ids and prices in one UPDATE; values that are stored already stay."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE mailings_message AS m SET
                provider_id = CASE WHEN m.provider_id = '' THEN d.provider_id ELSE m.provider_id END,
                price = COALESCE(m.price, d.price)
            FROM {parameters.table(_LEARNT_TYPES)} WHERE m.id = d.id
            """,  # noqa: S608 - our own names
            parameters.columns(rows, len(_LEARNT_TYPES)),
        )


def set_first_clicks(rows: Sequence[FirstClick]) -> None:
    """Write the first click of each message in one UPDATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE mailings_message AS m SET first_click_at = d.at "  # noqa: S608 - our own names
            f"FROM {parameters.table(_FIRST_CLICK_TYPES)} WHERE m.id = d.id",
            parameters.columns(rows, len(_FIRST_CLICK_TYPES)),
        )


def first_clicks_anew(messages: Sequence[int]) -> None:
    """Recompute the first click of each of these messages from the processed clicks of people."""
    chosen = parameters.among()
    differs = "IS DISTINCT FROM" if parameters.is_postgres() else "IS NOT"
    first = (
        "(SELECT min(c.at) FROM mailings_click c WHERE c.message_id = m.id "
        "AND c.kind = 'person' AND c.processed_at IS NOT NULL)"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE mailings_message AS m SET first_click_at = {first} "  # noqa: S608 - our own words
            f"WHERE m.id {chosen} AND m.first_click_at {differs} {first}",
            [parameters.ids_of(messages)],
        )


def judge_clicks(messages: Sequence[int], rows: Sequence[Judged]) -> int:
    """Change the kind of the processed clicks on these messages; return how many were changed."""
    chosen = parameters.among()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE mailings_click AS c SET kind = d.becomes FROM {parameters.table(_JUDGED_TYPES)}
            WHERE c.method = d.method AND c.user_agent = d.user_agent AND c.signs = d.signs
                AND c.kind = d.kind AND c.processed_at IS NOT NULL AND c.message_id {chosen}
            """,  # noqa: S608 - our own names
            [*parameters.columns(rows, len(_JUDGED_TYPES)), parameters.ids_of(messages)],
        )
        return int(cursor.rowcount)


def find_messages(pairs: Sequence[tuple[int, str]]) -> list[FoundMessage]:
    """Find messages by pairs of (batch id, phone)."""
    return _find(pairs, "m.batch_id = d.holder AND m.phone = d.phone")


def find_moved_messages(pairs: Sequence[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Find messages by pairs of (mailing id, phone), for references whose message has moved to
    another batch. Returns rows of (message id, mailing id, phone). A pair that fits several
    messages is left out: that happens with test messages to one phone.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT min(m.id), m.mailing_id, m.phone FROM {parameters.table(_PAIR_TYPES)} "  # noqa: S608 - our own names
            "JOIN mailings_message m ON m.mailing_id = d.holder AND m.phone = d.phone "
            "AND m.batch_id IS NOT NULL GROUP BY m.mailing_id, m.phone HAVING count(*) = 1",
            parameters.columns(sorted(set(pairs)), 2),
        )
        return list(cursor.fetchall())


def keys_taken(mailing_id: int, keys: Sequence[str]) -> set[str]:
    """Return those of the keys that the mailing already has."""
    chosen = (
        "= ANY(%s::text[])" if parameters.is_postgres() else "IN (SELECT value FROM json_each(%s))"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT key FROM mailings_message WHERE mailing_id = %s AND key {chosen}",  # noqa: S608 - our own words
            [
                mailing_id,
                parameters.array(keys) if parameters.is_postgres() else json.dumps(list(keys)),
            ],
        )
        return {key for (key,) in cursor.fetchall()}


_FIRST_CLICK_TYPES = {"id": "bigint", "at": "timestamptz"}
_JUDGED_TYPES = dict.fromkeys(Judged._fields, "text")
_PAIR_TYPES = {"holder": "bigint", "phone": "text"}
_LEARNT_TYPES = {"id": "bigint", "provider_id": "text", "price": "numeric"}
_CHANGE_TYPES = {
    "id": "bigint",
    "status": "text",
    "reason": "text",
    "raw_code": "text",
    "provider_id": "text",
    "price": "numeric",
    "batch_id": "bigint",
    "submitted_at": "timestamptz",
    "final_at": "timestamptz",
}


def _find(pairs: Sequence[tuple[int, str]], on: str) -> list[FoundMessage]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT m.id, m.batch_id, m.phone FROM {parameters.table(_PAIR_TYPES)} "  # noqa: S608 - our own names
            f"JOIN mailings_message m ON {on}",
            parameters.columns(pairs, 2),
        )
        return [FoundMessage(*row) for row in cursor.fetchall()]
