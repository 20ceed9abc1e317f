"""Counting over all people: more memory, and a limit of time, on PostgreSQL only."""

import pytest
from django.db import connection

from tests import factories
from users.models import User
from users.segments import rules, segments
from users.segments.big_queries import TakesLong, over_everybody

POSTGRES = connection.vendor == "postgresql"
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    " SELECT count(*) FROM n"
)
WITH_PHONE = {"version": 1, "all": [{"field": "phone", "op": "present", "value": None}]}


def ask(rows: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS, [rows])
        return int(cursor.fetchone()[0])


def setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_what_is_quick_is_answered() -> None:
    with over_everybody(10):
        assert ask(10) == 10


@pytest.mark.django_db
def test_what_takes_longer_than_the_time_given_is_given_up_where_the_database_can() -> None:
    factories.students(1)
    given_up = False
    try:
        with over_everybody(0.05):
            ask(100_000_000 if POSTGRES else 10)
    except TakesLong:
        given_up = True
    assert given_up == POSTGRES
    assert User.objects.count() == 1, "the transaction around it goes on"


@pytest.mark.django_db
def test_the_settings_are_as_before_afterwards() -> None:
    names = ("work_mem", "jit", "statement_timeout") if POSTGRES else ()
    before = {name: setting(name) for name in names}
    with over_everybody(9), over_everybody(1):
        within = {name: setting(name) for name in names}
    assert {name: setting(name) for name in names} == before
    assert not POSTGRES or within == {"work_mem": "64MB", "jit": "off", "statement_timeout": "9s"}


def test_a_count_is_remembered_for_a_moment_by_its_rule(db: None) -> None:
    rule = rules.read(WITH_PHONE)
    factories.students(2)
    assert segments.recent_count(rule) == 2
    factories.students(1, start=2)
    assert segments.recent_count(rule) == 2
    assert segments.count(rule) == 3
    other = rules.read({"version": 1, "not": WITH_PHONE["all"][0]})  # type: ignore[index]
    assert segments.recent_count(other) == 0
