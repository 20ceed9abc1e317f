"""When a person was last seen is written down, seldom enough to cost nothing."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_page_is_enough_and_not_each_page_writes() -> None:
    student = factories.student()
    client = Client()
    with time_machine.travel(NOON, tick=False) as clock:
        client.force_login(student, backend="django.contrib.auth.backends.ModelBackend")
        client.get("/me/")
        student.refresh_from_db()
        assert student.last_seen_at == NOON

        clock.shift(timedelta(minutes=9))
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get("/me/")
        assert not [each for each in asked if 'last_seen_at" =' in each["sql"]]

        clock.shift(timedelta(minutes=2))
        client.get("/me/")
        student.refresh_from_db()
        assert student.last_seen_at == NOON + timedelta(minutes=11)


def test_strangers_and_the_webhook_write_nothing() -> None:
    student = factories.student()
    Client().get("/sign-in/")
    Client().get("/health/")
    student.refresh_from_db()
    assert student.last_seen_at is None
