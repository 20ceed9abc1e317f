"""Writes many rows in one statement, so that a million people or receipts are there within seconds. The values
are a model's own defaults, so a new column needs nothing here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from integrations.models import Account, Receipt
from mailings.models import Counters, Link, Mailing, Message
from mailings.text import tokens
from users.models import Group, User

TEXT = "{first_name|Здравствуйте}! Вебинар начнётся в 19:00, ссылка придёт на {email}."
FIRST_PHONE = 79_980_000_000
PLAIN = "Plain receipts"  # the mailing that the plain receipt view looks in


def insert_like(pattern: Model, count: int, first: int = 1, **expressions: str) -> None:
    """Insert `count` copies of an unsaved object. `expressions` are SQL for its other columns, where n is
    the number of the row.
    """
    columns, values, parameters = _columns(pattern, expressions)
    table = connection.ops.quote_name(pattern._meta.db_table)
    numbers = (
        "WITH RECURSIVE numbers(n) AS (SELECT %s UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)"
        if connection.vendor == "sqlite"
        else "WITH numbers AS (SELECT n FROM generate_series(%s::bigint, %s::bigint) AS n)"
    )
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            insert = f"INSERT INTO {table} ({columns}) {numbers} SELECT {values} FROM numbers"  # noqa: S608 - our own words
        else:
            insert = f"{numbers} INSERT INTO {table} ({columns}) SELECT {values} FROM numbers"  # noqa: S608 - our own words
        cursor.execute(insert, [first, first + count - 1, *parameters])


def _columns(pattern: Model, expressions: Mapping[str, str]) -> tuple[str, str, list[Any]]:
    columns, values, parameters = [], [], []
    for field in pattern._meta.concrete_fields:
        quoted = connection.ops.quote_name(str(field.column))
        if field.attname in expressions:
            columns.append(quoted)
            values.append(expressions[field.attname].replace("%", "%%"))
        elif not (field.primary_key or field.has_db_default()):
            columns.append(quoted)
            values.append("%s")
            parameters.append(field.get_db_prep_save(getattr(pattern, field.attname), connection))
    return ", ".join(columns), ", ".join(values), parameters


def make_people(count: int, first: int = 1) -> None:
    pattern = User(email="person@example.com", first_name="Анна", password="!")
    pattern.phone = f"+{FIRST_PHONE + 1}"
    pattern.prepare_for_saving()
    phone = f"'+' || ({FIRST_PHONE} + n)"
    insert_like(
        pattern,
        count,
        first,
        email="'person' || n || '@example.com'",
        phone=phone,
        search=f"'анна person' || n || '@example.com ' || {phone}",
    )


def owner() -> User:
    return User.objects.get(email="person1@example.com")


def school(people: int) -> None:
    """Create the people and the account at the SMS service, and tell the database how much there is."""
    Group.objects.create(name="Benchmark")
    make_people(people)
    Account.objects.create(
        provider="smsc", credentials={"login": "school", "password": "made-up"}, parallel=4
    )
    analyze()


def analyze() -> None:
    """Autovacuum would do this a minute later."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def draft(name: str) -> Mailing:
    return Mailing.objects.create(name=name, text=TEXT, everyone=True)


def insert_receipts(table: str, account: Account, bodies: Sequence[str]) -> None:
    """Insert what the service has called with, in one statement."""
    columns, values, parameters = _columns(Receipt(account=account), {"body": "told.value"})
    given: list[str] | str = list(bodies)
    source = "unnest(%s::text[]) AS told (value)"
    if connection.vendor == "sqlite":
        source, given = "json_each(%s) AS told", json.dumps(bodies)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM {source}",  # noqa: S608 - our own words
            [*parameters, given],
        )


def made_links(count: int = 5000) -> list[str]:
    """Create this many delivered messages with a short link; return the paths of the links."""
    mailing = Mailing.objects.create(
        name="Links", state=Mailing.State.DONE, wrap_links=True, launched_at=timezone.now()
    )
    Counters.objects.create(mailing=mailing)
    Link.objects.create(mailing=mailing, position=0, url="https://school.example.com/open")
    pattern = Message(mailing=mailing, status=Message.Status.DELIVERED)
    insert_like(pattern, count, key="'link ' || n")
    ids = mailing.messages.order_by("id").values_list("id", flat=True)
    return [f"/r/{tokens.make(key, 0, tokens.Purpose.CLICK)}" for key in ids]
