"""The receipt webhook: whatever comes, it answers quickly and never breaks."""

import hashlib
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from integrations.models import Account, Receipt
from integrations.providers.contract import WebhookPayload
from integrations.providers.smsc.service import Smsc
from integrations.webhooks import known_accounts, storing, views
from tests import factories

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def account(db: None) -> Account:
    return factories.smsc()


@pytest.fixture
def signed(db: None) -> Account:
    """An account that knows a secret word, so that receipts carry a check value."""
    return factories.smsc(
        credentials={"login": "school", "password": "made-up", "callback_secret": "word"}
    )


def address(account: Account, query: str = "") -> str:
    return f"/hooks/{account.provider}/{account.receipt_key}/{query}"


def test_it_keeps_what_was_said_and_answers_ok(client: Client, account: Account) -> None:
    body = "id=abc&phone=79980000001&status=1"
    answer = client.post(address(account, "?charset=utf-8&md5=1"), body, content_type=FORM)
    assert (answer.status_code, answer.content) == (200, b"OK")
    kept = Receipt.objects.get()
    assert (kept.account, kept.body, kept.query) == (account, body, "charset=utf-8&md5=1")
    assert kept.headers == {"content-type": FORM}


def test_it_tells_the_address_as_it_was_called(
    client: Client, account: Account, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy the request itself would name another host: signatures cover the public one."""
    settings.PUBLIC_URL = "https://sms.example.com"
    asked: list[WebhookPayload] = []

    def keep(_self: Smsc, note: WebhookPayload) -> bool:
        asked.append(note)
        return True

    monkeypatch.setattr(Smsc, "check_note", keep)
    client.post(address(account, "?ref=a%2Fb"), "id=1", content_type=FORM)
    assert asked[0].url == f"https://sms.example.com{address(account)}?ref=a%2Fb"


def test_it_thanks_in_the_words_of_the_service(
    client: Client, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Smsc, "ack_response", ("<Response/>", "text/xml"))
    answer = client.post(address(account), "id=1", content_type=FORM)
    assert (answer.content, answer.headers["Content-Type"]) == (b"<Response/>", "text/xml")


def test_it_takes_a_receipt_by_get(client: Client, account: Account) -> None:
    assert client.get(address(account, "?id=abc&status=1")).status_code == 200
    assert Receipt.objects.get().query == "id=abc&status=1"


def test_it_needs_one_look_and_one_insert(
    client: Client, account: Account, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        client.post(address(account), "id=1", content_type=FORM)


def test_it_needs_no_session_and_no_token(account: Account) -> None:
    stranger = Client(enforce_csrf_checks=True)
    answer = stranger.post(address(account), "id=1", content_type=FORM)
    assert answer.status_code == 200
    assert not answer.cookies


@pytest.mark.parametrize("query", ["", "?charset=utf-8"])
def test_it_lets_a_service_try_the_address(client: Client, account: Account, query: str) -> None:
    assert client.head(address(account, query)).status_code == 200
    assert not Receipt.objects.exists()


def test_it_keeps_nothing_when_nothing_is_said(client: Client, account: Account) -> None:
    assert client.get(address(account)).status_code == 200
    assert client.post(address(account), b"", content_type=FORM).status_code == 200
    assert not Receipt.objects.exists()


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_it_knows_no_other_methods(client: Client, account: Account, method: str) -> None:
    assert getattr(client, method)(address(account)).status_code == 405


def test_it_is_not_there_without_the_right_address(client: Client, account: Account) -> None:
    key = account.receipt_key
    wrong = [
        f"/hooks/smsc/{key[:-1]}/",
        f"/hooks/smsc/{key}x/",
        "/hooks/smsc/ключ/",
        "/hooks/smsc/%00/",
        "/hooks/smsc/%ff%fe/",
        f"/hooks/simulator/{key}/",
        f"/hooks/nobody/{key}/",
    ]
    for path in wrong:
        assert client.post(path, "id=1", content_type=FORM).status_code == 404, path
    assert not Receipt.objects.exists()


def test_it_stays_open_for_what_was_sent_before_disconnecting(
    client: Client, account: Account
) -> None:
    Account.objects.update(credentials={})
    assert client.post(address(account), "id=1", content_type=FORM).status_code == 200
    assert Receipt.objects.count() == 1


def test_it_is_closed_for_a_service_that_is_no_longer_known(client: Client) -> None:
    gone = Account.objects.create(provider="gone", credentials={"login": "x"})
    assert client.post(address(gone), "id=1", content_type=FORM).status_code == 404


@pytest.mark.parametrize("size", [views.LIMIT + 1, 1_000_000, 3_000_000])
def test_it_refuses_what_is_too_long(client: Client, account: Account, size: int) -> None:
    answer = client.post(address(account), b"x" * size, content_type=FORM)
    assert answer.status_code == 413
    assert not Receipt.objects.exists()


def test_it_takes_what_just_fits(client: Client, account: Account) -> None:
    body = b"x" * views.LIMIT
    assert client.post(address(account), body, content_type=FORM).status_code == 200
    assert len(Receipt.objects.get().body) == views.LIMIT


def test_it_refuses_a_wrong_check_value_and_keeps_nothing(client: Client, signed: Account) -> None:
    right = hashlib.md5(b"abc:79980000001:1:word", usedforsecurity=False).hexdigest()
    receipt = "id=abc&phone=79980000001&status=1&md5="
    wrong = client.post(address(signed), receipt + right[::-1], content_type=FORM)
    assert wrong.status_code == 403
    assert not Receipt.objects.exists()
    assert client.post(address(signed), receipt + right, content_type=FORM).status_code == 200
    assert Receipt.objects.count() == 1


def test_it_keeps_the_key_out_of_the_log(
    client: Client, signed: Account, caplog: pytest.LogCaptureFixture
) -> None:
    client.post(address(signed), "md5=wrong", content_type=FORM)
    client.post(address(signed), b"x" * (views.LIMIT + 1), content_type=FORM)
    client.post(address(signed), "id=1&status=1&md5=" + "[" * 9, content_type=FORM)
    assert signed.receipt_key not in caplog.text


GARBAGE = [
    b"\x00\x00\x00",
    b"id=%00&phone=%00",
    b"\xff\xfe\xfd",
    "id=abc&md5=ё&phone=ё&status=ё".encode(),
    "статус".encode("cp1251"),
    b'{"id": "\\u0000"}',
    b'{"id": "\\ud800"}',
    b"[" * 10_000,
    b'{"a":' * 5_000,
    b"9" * 10_000,
    b"[1, null, {}]",
    b"id=1&status=99999999999999999999999&err=-1&md5=1",
    b"--x\r\nContent-Disposition: form-data; name=",
]
TYPES = [
    FORM,
    "application/json",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain; charset=nonsense",
    "application/json; charset=utf-16",
    "\x00",
]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_it_never_breaks(client: Client, signed: Account, body: bytes, content_type: str) -> None:
    client.raise_request_exception = False
    for account in (signed, Account.objects.create(provider="simulator", credentials={"on": "1"})):
        query = "?%00=%00&md5=%D1%91"
        answer = client.generic("POST", address(account, query), body, content_type=content_type)
        assert answer.status_code in {200, 403}


@given(
    body=st.binary(max_size=200),
    query=st.text(st.characters(codec="latin-1"), max_size=50),
    content_type=st.sampled_from(TYPES),
)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_never_breaks_on_anything(
    client: Client, signed: Account, body: bytes, query: str, content_type: str
) -> None:
    client.raise_request_exception = False
    answer = client.generic(
        "POST", address(signed), body, content_type=content_type, QUERY_STRING=query
    )
    assert answer.status_code in {200, 403}


# --- what is remembered of an account -----------------------------------------------------------
def said(account: Account, word: str) -> str:
    """A receipt of SMSC with its check value."""
    value = hashlib.md5(f"abc:79980000001:1:{word}".encode(), usedforsecurity=False).hexdigest()
    return f"id=abc&phone=79980000001&status=1&md5={value}"


def post(client: Client, account: Account, body: str = "id=1") -> int:
    return client.post(address(account), body, content_type=FORM).status_code


def test_from_the_second_on_one_insert_is_all(
    client: Client, account: Account, django_assert_num_queries: Any
) -> None:
    post(client, account)
    with django_assert_num_queries(1):
        post(client, account)
    assert Receipt.objects.count() == 2


def test_a_key_that_another_process_has_ended_is_ended_at_once(
    client: Client, account: Account
) -> None:
    assert post(client, account) == 200
    Account.objects.update(receipt_key="another")
    assert post(client, account) == 404
    assert client.head(address(account)).status_code == 404
    assert post(client, Account.objects.get()) == 200
    assert Receipt.objects.count() == 2


def test_nobody_tries_an_address_that_has_ended(client: Client, account: Account) -> None:
    assert post(client, account) == 200
    Account.objects.update(receipt_key="another")
    assert client.head(address(account)).status_code == 404


def test_a_secret_that_another_process_has_changed_is_in_force_at_once(
    client: Client, signed: Account
) -> None:
    assert post(client, signed, said(signed, "word")) == 200
    signed.credentials = {**signed.credentials, "callback_secret": "new word"}
    signed.save()
    assert post(client, signed, said(signed, "word")) == 403
    assert post(client, signed, said(signed, "new word")) == 200
    assert Receipt.objects.count() == 2


def test_an_account_that_is_gone_receives_nothing(client: Client, account: Account) -> None:
    assert post(client, account) == 200
    account.receipts.all().delete()
    Account.objects.all().delete()
    assert post(client, account) == 404
    assert not Receipt.objects.exists()


def test_an_account_that_changes_all_the_time_is_put_off(
    client: Client, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "store", lambda *_: False)
    assert post(client, account) == 503


def test_one_insert_takes_receipts_of_several_accounts_or_none(account: Account) -> None:
    other = factories.twilio()
    known = [known_accounts.look(each.provider, each.receipt_key) for each in (account, other)]
    entries = [
        storing.CheckedReceipt(each, '{"content-type": "text/plain"}', f"n={n}", "id=%s ' \\ ё")
        for n, each in enumerate([*known, *known])
        if each is not None
    ]
    assert storing._insert(entries)
    stored = Receipt.objects.order_by("query").values_list("account__provider", "query", "body")
    assert list(stored) == [
        (slug, f"n={n}", "id=%s ' \\ ё")
        for n, slug in enumerate(["smsc", "twilio", "smsc", "twilio"])
    ]
    assert Receipt.objects.first().headers == {"content-type": "text/plain"}  # type: ignore[union-attr]
    Account.objects.filter(pk=other.pk).update(receipt_key="another")
    assert not storing._insert(entries)
    assert Receipt.objects.count() == 4


# --- before the rest of the middleware ----------------------------------------------------------
def test_another_host_is_refused_and_the_key_stays_out_of_the_log(
    client: Client, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post(address(account), "id=1", FORM, headers={"host": "elsewhere.example.com"})
    assert answer.status_code == 400
    assert "elsewhere.example.com" in caplog.text
    assert account.receipt_key not in caplog.text
    assert not Receipt.objects.exists()


def test_the_answer_has_a_length_and_the_headers_of_all_answers(
    client: Client, account: Account
) -> None:
    answer = client.post(address(account), "id=1", content_type=FORM)
    assert answer.headers["Content-Length"] == "2"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"]


def test_an_address_without_its_slash_is_no_address(client: Client, account: Account) -> None:
    answer = client.post(address(account).rstrip("/"), "id=1", content_type=FORM)
    assert answer.status_code >= 300
    assert not Receipt.objects.exists()
