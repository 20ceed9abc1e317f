"""Requests that are run together: their answers leave after the commit, whatever happens to it."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connections
from twilio.request_validator import RequestValidator

from integrations.models import Receipt
from integrations.routing import routing
from smsmail.web.front import Front
from smsmail.web.group_commit import GroupCommit
from smsmail.web.together import Gathering, Together
from smsmail.wsgi import application
from tests import factories

FORM = "application/x-www-form-urlencoded"


class Shop:
    """Each request leaves its path as a row; "/alone" wants to be alone, "/broken" breaks."""

    def __init__(self) -> None:
        self.written: list[list[str]] = []
        self.result: bool | Exception = True
        self.group: GroupCommit[str, bool] = GroupCommit(self.write, 20)
        self.together: Together[str] = Together(self.run, ThreadPoolExecutor(1))

    def write(self, rows: Sequence[str]) -> bool:
        self.written.append(list(rows))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def run(self, scope: Any, _body: bytes, gathering: Gathering) -> str:
        if gathering.error is not None:
            return f"503 {gathering.error}"
        path: str = scope["path"]
        if path == "/broken":
            raise ZeroDivisionError
        gathering.alone = path == "/alone"
        if path != "/nothing":
            gathering.leave(self.group, path)
        return f"200 {path}"

    async def ask(self, *paths: str) -> list[str | None]:
        return await asyncio.gather(*[self.together.answer({"path": each}, b"") for each in paths])


def test_what_arrives_together_is_committed_together() -> None:
    shop = Shop()
    assert asyncio.run(shop.ask("/a", "/b", "/nothing")) == ["200 /a", "200 /b", "200 /nothing"]
    assert shop.written == [["/a", "/b"]]


def test_what_must_be_alone_is_not_written() -> None:
    shop = Shop()
    assert asyncio.run(shop.ask("/a", "/alone")) == ["200 /a", None]
    assert shop.written == [["/a"]]


def test_rows_that_are_refused_are_asked_about_one_by_one() -> None:
    shop = Shop()
    shop.result = False
    assert asyncio.run(shop.ask("/a", "/b", "/nothing")) == [None, None, "200 /nothing"]


def test_nobody_is_thanked_when_the_commit_fails() -> None:
    shop = Shop()
    shop.result = OperationalError("away")
    assert asyncio.run(shop.ask("/a", "/nothing")) == ["503 away", "200 /nothing"]
    shop.result = True
    assert asyncio.run(shop.ask("/a")) == ["200 /a"]


def test_whoever_waited_for_a_database_that_is_away_waits_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smsmail.web.together.MOST", 1)
    shop = Shop()
    shop.result = OperationalError("away")
    assert asyncio.run(shop.ask("/a", "/b")) == ["503 away", "503 away"]
    assert shop.written == [["/a"]]


def test_one_that_breaks_breaks_alone() -> None:
    shop = Shop()
    assert asyncio.run(shop.ask("/a", "/broken")) == [None, None]  # each will be run by itself
    assert shop.written == []
    assert asyncio.run(shop.ask("/a")) == ["200 /a"]


# --- the webhook, as production serves it -------------------------------------------------------
@pytest.fixture
def served() -> Iterator[Front]:
    front = Front(application, 1, together="/hooks/")
    yield front
    front.threads.submit(connections.close_all).result()
    front.threads.shutdown()


async def answered(front: Front, *requests: tuple[str, str, str, dict[str, str]]) -> list[int]:
    return await asyncio.gather(*[_answered(front, *each) for each in requests])


async def _answered(
    front: Front, method: str, path: str, body: str, headers: dict[str, str]
) -> int:
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body.encode()}

    async def send(message: Any) -> None:
        said.append(message)

    given = {"host": "localhost", "content-type": FORM, "content-length": str(len(body)), **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("192.0.2.1", 1),
    }
    await front(scope, receive, send)
    return int(said[0]["status"])


@pytest.mark.django_db(transaction=True)
def test_every_kind_of_call_gets_its_own_answer(served: Front, settings: Any) -> None:
    settings.PUBLIC_URL = "https://sms.example.com"
    smsc, twilio = factories.smsc(), factories.twilio()
    door = f"/hooks/smsc/{smsc.receipt_key}/"
    url = routing.called_url(twilio)
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    signature = RequestValidator("made-up-token").compute_signature(url, fields)
    signed = url.removeprefix("https://sms.example.com")
    calls = [
        ("POST", door, "id=1", {}),
        ("POST", door, "id=2", {}),
        ("POST", signed, urlencode(fields), {"x-twilio-signature": signature}),
        ("POST", signed, urlencode(fields), {"x-twilio-signature": "wrong"}),
        ("POST", f"/hooks/smsc/{smsc.receipt_key}x/", "id=3", {}),
        ("HEAD", door, "", {}),
        ("PUT", door, "id=4", {}),
        ("POST", door, "id=" + "5" * 300_000, {}),
        ("POST", door, "id=6", {"host": "elsewhere.example.com"}),
        ("POST", "/hooks/", "id=7", {}),
    ]
    expected = [200, 200, 200, 403, 404, 200, 405, 413, 400, 404]
    for _ in range(2):  # the first time nothing is remembered
        assert asyncio.run(answered(served, *calls)) == expected
    stored = sorted(Receipt.objects.values_list("body", flat=True))
    assert stored == sorted(["id=1", "id=2", urlencode(fields)] * 2)


@pytest.mark.django_db(transaction=True)
def test_what_has_changed_since_is_obeyed_at_once(served: Front) -> None:
    account = factories.smsc()
    call: tuple[str, str, str, dict[str, str]]
    call = ("POST", f"/hooks/smsc/{account.receipt_key}/", "id=1", {})
    assert asyncio.run(answered(served, call, call)) == [200, 200]
    account.receipt_key = "another"
    account.save()
    assert asyncio.run(answered(served, call, call)) == [404, 404]
    assert Receipt.objects.count() == 2
