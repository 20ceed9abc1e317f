"""A made-up school of any size (a million people take a minute): people, groups, opt-outs, two
former mailings with their messages and clicks. The rows are the same each time; it contains no
rules.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from mailings.demo.words import CITIES, ENGLISH_NAMES, ENGLISH_SURNAMES, MEN, SURNAMES, WOMEN
from mailings.models import Batch, Counters, Mailing, Message
from users.models import Group, OwnField, Segment, User
from users.parsing import phone_classes
from users.rights import Role

CHUNK = 10_000
GROUPS = 20
BATCH = 500
COURSES = ("Python", "Дизайн", "Английский", "Marketing", "Химия", "Бухгалтерский учёт")
MOBILE = phone_classes.class_of("+79980000001")
KNOWN = {"version": 1, "all": [{"field": "phone", "op": "confirmed", "value": None}]}
TEXT = (
    "Здравствуйте, {first_name|друзья}! Занятие по курсу {course|вашему} начнётся завтра в 19:00."
)
COLUMNS = (
    *("id", "email", "first_name", "last_name", "role", "rights", "is_active", "date_joined"),
    *("last_seen_at", "password", "phone", "phone_confirmed_at", "time_zone", "language", "city"),
    *("fields", "sms_forbidden", "search", "phone_class"),
)


def fill(people: int) -> User:
    """Create this many people with all their data, and an owner in addition; return the owner."""
    owner = User.objects.create_user("owner@example.com", role=Role.OWNER)
    fields = {
        "course": OwnField.Kind.TEXT,
        "age": OwnField.Kind.NUMBER,
        "born": OwnField.Kind.DATE,
        "vip": OwnField.Kind.YES_NO,
    }
    for slug, kind in fields.items():
        OwnField.objects.create(slug=slug, label=slug.title(), kind=kind)
    Segment.objects.create(name="Known phones", rule=KNOWN)
    with transaction.atomic():
        insert("users_user", COLUMNS, _people(people, first=owner.pk + 1))
        _join_groups()
        _opt_out()
        for name, days, share in (("Autumn", 40, 70), ("Last week", 3, 20)):
            _send(name, timezone.now() - timedelta(days=days), share, owner)
    # Autovacuum would do this a minute later.
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return owner


def fill_up(messages: int, owner: User) -> None:
    """Send mailings of former months to everybody until there are so many messages."""
    month = 2
    while (there := Message.objects.count()) < messages:
        at = timezone.now() - timedelta(days=30 * month)
        _send(f"{month} months ago", at, 100, owner)
        if Message.objects.count() == there:
            raise RuntimeError("there is nobody with a phone")
        month += 1
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def insert(table: str, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    named = ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({named}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # noqa: S608 - our own words
            )
            return
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(f"INSERT INTO {table} ({named}) VALUES ({marks})", list(rows))  # noqa: S608 - our own words


def _people(count: int, first: int) -> Iterator[tuple[Any, ...]]:
    some = Random(4)
    cities, zones = list(CITIES), ["", "Europe/Moscow", "Asia/Omsk", "Asia/Almaty", "Europe/Minsk"]
    weights = [1 / (1 + n) for n in range(len(cities))]
    now = datetime.now(UTC)
    moments = [now - timedelta(minutes=4 * n) for n in range(500_000)]  # almost four years
    in_city = some.choices(["", *cities], [0.5, *weights], k=count)
    phone = ""
    for number in range(count):
        if some.random() < 0.9:
            woman = some.random() < 0.5
            name = some.choice(WOMEN if woman else MEN)
            surname = some.choice(SURNAMES) + ("а" if woman else "")
        else:
            name, surname = some.choice(ENGLISH_NAMES), some.choice(ENGLISH_SURNAMES)
        kind = some.random()
        if kind < 0.03:
            phone = ""
        elif kind < 0.035:
            phone = "8 998 what"
        # Otherwise it is the phone of the previous person: a family.
        elif kind < 0.95 or not phone.startswith("+"):
            phone = f"+7998{number % 10_000_000:07}"
        joined = some.choice(moments)
        seen = some.choice(moments) if some.random() < 0.6 else None
        email = f"person{number}@example.com"
        own = {
            "course": some.choice(COURSES),
            "age": some.randrange(7, 70),
            "born": f"{some.randrange(1956, 2019)}-{some.randrange(1, 13):02}-{some.randrange(1, 29):02}",
            "vip": some.random() < 0.05,
        }
        yield (
            first + number,
            email,
            name,
            surname,
            "student",
            "[]",
            some.random() < 0.98,
            joined,
            seen,
            "!",
            phone,
            joined if phone and some.random() < 0.72 else None,
            some.choice(zones),
            some.choice(("", "ru", "en")),
            in_city[number],
            json.dumps(own, ensure_ascii=False),
            some.random() < 0.02,
            f"{name} {surname} {email} {phone}".lower(),
            MOBILE if phone.startswith("+") else "",
        )


def _join_groups() -> None:
    """Group 1 has a third of all people, each following group fewer; most people are in one or two
    groups.
    """
    groups = Group.objects.bulk_create(
        [Group(name=f"Group {number:02}") for number in range(1, GROUPS + 1)]
    )
    with connection.cursor() as cursor:
        for number, group in enumerate(groups):
            cursor.execute(
                "INSERT INTO users_membership (user_id, group_id, added_at)"
                " SELECT id, %s, date_joined FROM users_user WHERE (id * 7919 + %s) %% 1000 < %s",
                [group.pk, number * 333, 330 // (number + 1)],
            )


def _opt_out() -> None:
    """Opt out every tenth phone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users_optout (phone, source, at)"
            " SELECT phone, 'reply', min(date_joined) FROM users_user"
            " WHERE phone LIKE %s AND id %% 10 = 3 GROUP BY phone",
            ["+%"],
        )


def _send(name: str, at: datetime, share: int, owner: User) -> None:
    """Create a mailing to `share` percent of the phones, with receipts, and clicks on every eighth
    message.
    """
    mailing = Mailing.objects.create(
        name=name,
        text=TEXT,
        everyone=True,
        state=Mailing.State.DONE,
        launched_at=at,
        launched_by=owner,
        prepared_at=at,
        finished_at=at,
    )
    phones = User.objects.filter(phone__startswith="+").values("phone").distinct().count()
    Batch.objects.bulk_create(
        [
            Batch(
                mailing=mailing,
                state=Batch.State.ANSWERED,
                size=BATCH,
                reference=Batch.new_reference(),
                claimed_at=at,
                answered_at=at,
            )
            for _ in range(phones // BATCH + 1)
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mailings_message (mailing_id, key, user_id, phone, text, parts, status,"
            " reason, raw_code, batch_id, provider_id, submitted_at, final_at, first_click_at)"
            " SELECT %s, phone, id, phone, 'Здравствуйте, ' || first_name ||"
            " '! Занятие по вашему курсу начнётся завтра в 19:00, ссылка внутри.', 2,"
            " CASE WHEN id %% 20 = 0 THEN 'undelivered' WHEN id %% 20 = 1 THEN 'no_receipt'"
            " ELSE 'delivered' END, '', '', %s + (row_number() OVER (ORDER BY id) - 1) / %s, '',"
            " %s, %s, CASE WHEN id %% 8 = 5 THEN %s END"
            " FROM users_user WHERE (id * 7919) %% 100 < %s AND id IN"
            " (SELECT min(id) FROM users_user WHERE phone LIKE %s GROUP BY phone)",
            [mailing.pk, mailing.batches.earliest("id").pk, BATCH, at, at, at, share, "+%"],
        )
    sent = Message.objects.filter(mailing=mailing)
    Counters.objects.create(mailing=mailing, delivered=sent.count())
