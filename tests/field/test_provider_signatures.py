"""Twilio's signatures of every kind at our webhook. Source: the field's report on the providers, findings T5
and T9; the official validator for what it knows, the example of twilio-node for Webhooks Rules:
only the hash and the key differ.
"""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from twilio.request_validator import RequestValidator

from integrations.models import Account, Receipt
from integrations.providers.contract import Credentials, DeliveryStatus, WebhookPayload
from integrations.providers.twilio.service import Twilio
from integrations.routing import routing
from integrations.settings_pages.forms import AccountForm
from mailings.sending import receipts
from tests import factories
from users.models import OptOut, Reply

URL = "https://sms.example.com/hooks/twilio/made-up-key/?ref=ref1"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
TOKEN, SHARED = "made-up-token", "made-up-shared-key"
CALL = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+79980001122", "From": "School"}
RULE = "key=KY00000000000000000000000000000000,algorithm=HMAC_SHA256"


def twilio(**values: str) -> Twilio:
    return Twilio(Credentials({"auth_token": TOKEN, "shared_key": SHARED} | values, "School"))


def signed(key: str, text: str, method: str = "sha256") -> str:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), method)).decode()


def said(fields: dict[str, str]) -> str:
    return "".join(name + fields[name] for name in sorted(fields))


def note(
    signature: str, rule: str | None = None, body: str = "", url: str = URL, kind: str = FORM
) -> WebhookPayload:
    headers = {"content-type": kind, "x-twilio-signature": signature}
    if rule is not None:
        headers["x-twilio-webhooks-signature-settings"] = rule
    return WebhookPayload(headers, url.partition("?")[2], body or urlencode(CALL), url)


# --- Webhooks Rules --------------------------------------------------------------------------
@pytest.mark.parametrize(
    "rule",
    [
        RULE,
        "algorithm=HMAC_SHA256",
        "key=, algorithm = hmac_sha256",
        "algorithm=HMAC_SHA256,key=x,more=y",
    ],
)
def test_a_rule_signs_with_the_shared_key(rule: str) -> None:
    good = signed(SHARED, URL + said(CALL))
    assert twilio().check_note(note(good, rule))
    assert not twilio().check_note(note(good, rule, body=urlencode(CALL | {"To": "+7998"})))
    assert not twilio().check_note(note(good, rule, url=f"{URL}x"))
    assert not twilio(shared_key="another").check_note(note(good, rule))


def test_a_rule_may_keep_the_older_algorithm() -> None:
    good = signed(SHARED, URL + said(CALL), "sha1")
    assert twilio().check_note(note(good, "key=x,algorithm=HMAC_SHA1"))
    assert not twilio().check_note(note(good, RULE))


def test_without_the_shared_key_what_a_rule_signed_is_refused() -> None:
    for key in ("", TOKEN, SHARED):
        assert not twilio(shared_key="").check_note(note(signed(key, URL + said(CALL)), RULE))


def test_the_token_does_not_open_what_a_rule_signed_nor_the_other_way_round() -> None:
    assert not twilio().check_note(note(signed(TOKEN, URL + said(CALL)), RULE))
    assert not twilio().check_note(note(signed(SHARED, URL + said(CALL), "sha1")))
    assert not twilio().check_note(note(signed(TOKEN, URL + said(CALL))))  # SHA-256 without a rule


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "key=x",
        "algorithm=",
        "algorithm=HMAC_SHA512",
        "algorithm=NONE",
        "HMAC_SHA256",
        "=,=,,",
        "ы",
    ],
)
def test_an_algorithm_that_we_do_not_know_is_refused(rule: str) -> None:
    for key in (TOKEN, SHARED):
        for method in ("sha1", "sha256", "sha512"):
            assert not twilio().check_note(note(signed(key, URL + said(CALL), method), rule))


# --- bodies that are no form -----------------------------------------------------------------
def with_digest(body: str) -> str:
    return f"{URL}&bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"


@pytest.mark.parametrize(
    "body", ['{"MessageStatus": "delivered"}', '{"Body": "Привет"}', "[]", "plain", "{}"]
)
@pytest.mark.parametrize(
    "kind", [JSON, "application/json; charset=utf-8", "application/cloudevents+json"]
)
def test_a_json_body_is_covered_by_its_digest(body: str, kind: str) -> None:
    url = with_digest(body)
    official = RequestValidator(TOKEN)
    good = official.compute_signature(url, {})
    assert official.validate(url, body, good)
    assert twilio().check_note(note(good, None, body, url, kind))
    assert not twilio().check_note(note(good, None, f"{body} ", url, kind))
    assert not twilio().check_note(note(good, None, body, f"{url}0", kind))
    assert not twilio().check_note(note(signed(SHARED, url, "sha1"), None, body, url, kind))


def test_a_json_body_under_a_rule() -> None:
    body = json.dumps(CALL)
    url = with_digest(body)
    assert twilio().check_note(note(signed(SHARED, url), RULE, body, url, JSON))
    assert not twilio().check_note(note(signed(TOKEN, url), RULE, body, url, JSON))


def test_a_json_body_without_a_digest_is_covered_by_nothing() -> None:
    for url in (URL, f"{URL}&bodySHA256="):
        good = RequestValidator(TOKEN).compute_signature(url, {})
        assert not twilio().check_note(note(good, None, json.dumps(CALL), url, JSON))


def test_a_form_is_signed_field_by_field_whatever_the_address_says() -> None:
    url = with_digest(urlencode(CALL))
    assert not twilio().check_note(note(signed(TOKEN, url, "sha1"), None, "", url))
    assert twilio().check_note(note(signed(TOKEN, url + said(CALL), "sha1"), None, "", url))


# --- through the webhook ------------------------------------------------------------------------
@pytest.fixture
def account(db: None, settings: Any) -> Account:
    settings.PUBLIC_URL = "https://sms.example.com"
    credentials = {"account_sid": "AC" + "0" * 32, "auth_token": TOKEN, "shared_key": SHARED}
    return factories.twilio(credentials=credentials)


def test_a_stop_under_a_rule_is_heard(account: Account, client: Client) -> None:
    """Its replies were lost for good."""
    fields = {"MessageSid": "SM2", "From": "+79980001122", "To": "+15005550006", "Body": "STOP"}
    fields["SmsStatus"] = "received"
    url = routing.called_url(account)
    headers = {
        "X-Twilio-Signature": signed(SHARED, url + said(fields)),
        "X-Twilio-Webhooks-Signature-Settings": RULE,
    }
    path = url.removeprefix("https://sms.example.com")
    wrong = headers | {"X-Twilio-Webhooks-Signature-Settings": "algorithm=HMAC_MD5"}
    assert client.post(path, urlencode(fields), FORM, headers=wrong).status_code == 403
    assert client.post(path, urlencode(fields), FORM, headers=headers).status_code == 200
    receipts.process_due()
    assert Reply.objects.get().text == "STOP"
    assert OptOut.objects.get().phone == "+79980001122"


def test_a_receipt_as_json_is_kept_and_read(account: Account, client: Client) -> None:
    body = json.dumps(CALL)
    digest = hashlib.sha256(body.encode()).hexdigest()
    url = routing.called_url(account, f"ref=ref1&bodySHA256={digest}")
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {})}
    path = url.removeprefix("https://sms.example.com")
    assert client.post(path, body, JSON, headers=headers).status_code == 200
    kept = Receipt.objects.get()
    [report] = Twilio(Credentials({})).read_receipts(
        WebhookPayload(kept.headers, kept.query, kept.body)
    )
    assert (report.reference, report.phone) == ("ref1", "+79980001122")
    assert report.status == DeliveryStatus.DELIVERED


@pytest.mark.parametrize(
    "body", ["{", '{"a": [', "{}", '{"MessageStatus": {}}', "[" * 9, "{" * 90_000]
)
def test_json_that_says_nothing_is_unreadable(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it is, it is said so
        Twilio(Credentials({})).read_receipts(WebhookPayload({}, "ref=ref1", body))


def test_the_form_asks_for_the_shared_key_and_hides_it() -> None:
    form = AccountForm(provider=Twilio, account=None)
    field = form.fields["shared_key"]
    assert not field.required
    assert field.widget.input_type == "password"
    assert "beta" in str(field.help_text) or "бета" in str(field.help_text)
