"""Stores receipts: those of all threads that wait at the same time in one INSERT, which also looks whether the
accounts are still as they were when the receipts were checked.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection

from integrations.providers.contract import WebhookPayload
from smsmail.web.group_commit import GroupCommit, on_live_connection
from smsmail.web.together import Gathering

from .known_accounts import KnownAccount

# Seconds for which PostgreSQL may keep the INSERT waiting. SQLite has the timeout of its connection, 20 s.
PATIENCE = 5
COLUMNS = ("account_id", "headers", "query", "body")


class CheckedReceipt(NamedTuple):
    """A receipt, and the account by whose keys and credentials it was let in."""

    account: KnownAccount
    headers: str
    query: str
    body: str


def store(account: KnownAccount, payload: WebhookPayload) -> bool:
    """Return True when the receipt is committed; False if it is not stored, because an account has changed
    since it was read. Raises DatabaseError.
    """
    return _receipts.put(_entry(account, payload))


def leave(gathering: Gathering, account: KnownAccount, payload: WebhookPayload) -> None:
    """Do the same with other requests, after this one."""
    gathering.leave(_receipts, _entry(account, payload))


def _entry(account: KnownAccount, payload: WebhookPayload) -> CheckedReceipt:
    return CheckedReceipt(account, json.dumps(dict(payload.headers)), payload.query, payload.body)


def _write(entries: Sequence[CheckedReceipt]) -> bool:
    return on_live_connection(lambda: _insert(entries))


def _insert(entries: Sequence[CheckedReceipt]) -> bool:
    """Insert all entries or none. The query for the accounts is a part of the INSERT: 0.5 ms of CPU less a
    receipt than a query of its own by the ORM.
    """
    accounts = list({entry.account: None for entry in entries})
    given: list[Any] = []
    for entry in entries:
        given += (entry.account.id, *entry[1:])
    for account in accounts:
        given += (account.id, account.receipt_key, account.old_receipt_key, account.credentials)
    given.append(len(accounts))
    with connection.cursor() as cursor:
        cursor.execute(_statement(len(entries), len(accounts)), given)
        while cursor.nextset() if connection.vendor == "postgresql" else False:
            pass
        return bool(cursor.rowcount == len(entries))


def _statement(entries: int, accounts: int) -> str:
    postgres = connection.vendor == "postgresql"
    # One message to the server, and one transaction. Inside an outer one, the limit would outlive the INSERT.
    limited = postgres and not connection.in_atomic_block
    limit = f"SET LOCAL statement_timeout = {PATIENCE * 1000}; " if limited else ""
    same = "(id = %s AND receipt_key = %s AND old_receipt_key = %s AND credentials = %s)"
    return (
        f"{limit}INSERT INTO integrations_receipt ({', '.join(COLUMNS)}) "  # noqa: S608 - our own words
        f"SELECT column1, column2{'::jsonb' if postgres else ''}, column3, column4 "
        f"FROM (VALUES {', '.join(['(%s, %s, %s, %s)'] * entries)}) AS given "
        f"WHERE (SELECT count(*) FROM integrations_account WHERE {' OR '.join([same] * accounts)}) = %s"
    )


# Whoever waits gets as long as the INSERT before and its own may take.
_receipts: GroupCommit[CheckedReceipt, bool] = GroupCommit(_write, patience=2 * PATIENCE + 1)
