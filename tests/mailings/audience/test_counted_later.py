"""Pages whose figures take long: they come at once, say that it is being counted, and ask again. A
table that somebody else holds makes it long; SQLite cannot be told to give up, and just answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests import factories
from tests.mailings import mailing_factories
from users.models import Segment, User
from users.segments import big_queries

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db(transaction=True)
LATER = connection.vendor == "postgresql"
OPTED_OUT = {"version": 1, "not": {"field": "sms", "op": "opted_out", "value": None}}


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@contextmanager
def opt_outs_held() -> Iterator[None]:
    if not LATER:
        yield
        return
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE users_optout IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        other.rollback()
        other.close()


@pytest.fixture
def segment() -> Segment:
    factories.students(3)
    return Segment.objects.create(name="Reachable", rule=OPTED_OUT)


@pytest.mark.parametrize(
    ("address", "again"),
    [
        ("/mailings/{mailing}/", 'hx-get="?count=1"'),
        ("/mailings/{mailing}/edit/", 'hx-post="/mailings/meter/" hx-trigger="load"'),
        ("/segments/{segment}/", 'hx-get="?before=&amp;count=1"'),
        ("/segments/{segment}/edit/", 'hx-post="/segments/count/" hx-trigger="load"'),
    ],
)
def test_a_page_does_not_wait_for_its_figures(
    as_: As, manager: User, segment: Segment, address: str, again: str
) -> None:
    mailing = mailing_factories.draft(everyone=False, segment=segment)
    client, address = as_(manager), address.format(mailing=mailing.pk, segment=segment.pk)
    with opt_outs_held():
        page = client.get(address)
    assert page.status_code == 200
    assert ("Counting…" in page.text) == LATER
    assert (again in page.text) == LATER
    page = client.get(address)
    assert "Counting…" not in page.text
    assert again not in page.text


def test_who_waited_in_vain_is_told(
    as_: As, manager: User, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(big_queries, "WAITED_FOR", 0.05)
    mailing = mailing_factories.draft(everyone=False, segment=segment)
    client = as_(manager)
    for address in (f"/mailings/{mailing.pk}/?count=1", f"/segments/{segment.pk}/?count=1"):
        with opt_outs_held():
            page = client.get(address)
        assert page.status_code == 200
        assert ("Counting takes too long" in page.text) == LATER
        assert "Counting…" not in page.text
