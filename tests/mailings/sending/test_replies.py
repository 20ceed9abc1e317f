"""Replies come through the receipts' webhook: told by each service in its own way, kept once."""

import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from integrations.models import Account, Receipt
from integrations.providers.seventech.codes import REPLY_PHONE, REPLY_TEXT
from mailings.models import Mailing, Message
from mailings.sending import receipts
from tests import factories
from tests.mailings import mailing_factories
from users.models import OptOut, Reply, User

pytestmark = pytest.mark.django_db

PHONE = "+79980000002"
SMSC = {"id": "1", "phone": PHONE[1:], "mes": "Стоп", "to": "79980000999", "ts": "1769929872"}
TWILIO = {"MessageSid": "SM1", "SmsStatus": "received", "From": PHONE, "Body": "Стоп"}
SEVENTECH = {REPLY_PHONE[0]: PHONE[1:], REPLY_TEXT[0]: "Стоп"}
TOLD = {"smsc": SMSC, "twilio": TWILIO, "seventech": SEVENTECH}


def came(provider: str, fields: dict[str, str], *, days_ago: int = 0) -> Receipt:
    account, _ = Account.objects.get_or_create(provider=provider)
    return Receipt.objects.create(
        account=account,
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(fields),
        received_at=timezone.now() - timedelta(days=days_ago),
    )


def outcomes() -> list[str]:
    assert not receipts.process_due()
    return mailing_factories.receipt_outcomes()


@pytest.mark.parametrize("provider", TOLD)
def test_a_reply_is_kept_and_a_stop_word_obeyed(provider: str) -> None:
    anna = factories.person("anna", phone=PHONE)
    came(provider, TOLD[provider])
    assert outcomes() == ["applied"]
    reply = Reply.objects.get()
    assert (reply.user, reply.phone, reply.text, reply.provider) == (anna, PHONE, "Стоп", provider)
    assert OptOut.objects.get().phone == PHONE


@pytest.mark.parametrize("provider", TOLD)
def test_a_reply_that_the_service_repeats_is_kept_once(provider: str) -> None:
    for _ in range(3):
        came(provider, TOLD[provider])
    assert outcomes() == ["applied", "stale", "stale"]
    came(provider, TOLD[provider])
    assert outcomes() == ["applied", "stale", "stale", "stale"]
    assert Reply.objects.count() == 1


def test_the_same_words_at_another_time_are_another_reply() -> None:
    came("smsc", SMSC)
    came("smsc", SMSC | {"ts": "1769929999"})
    came("seventech", SEVENTECH)
    came("seventech", SEVENTECH, days_ago=3)
    assert outcomes() == ["applied"] * 4
    assert Reply.objects.count() == 4


def test_it_says_when_the_person_wrote() -> None:
    came("smsc", SMSC)
    old = came("twilio", TWILIO, days_ago=2)
    receipts.process_due()
    assert Reply.objects.get(provider="smsc").at == datetime(2026, 2, 1, 7, 11, 12, tzinfo=UTC)
    assert Reply.objects.get(provider="twilio").at == old.received_at


def test_the_service_may_say_itself_that_it_means_no_more() -> None:
    came("twilio", TWILIO | {"Body": "Quit", "OptOutType": "STOP"})
    receipts.process_due()
    assert OptOut.objects.get().source == "reply"
    came("twilio", TWILIO | {"MessageSid": "SM2", "Body": "Start", "OptOutType": "START"})
    receipts.process_due()
    assert not OptOut.objects.exists()


def test_replies_and_receipts_in_one_batch_do_not_disturb_each_other(owner: User) -> None:
    factories.smsc()
    factories.students(1, start=2)
    mailing: Mailing = mailing_factories.prepared(owner)
    batch = mailing_factories.sent()
    came("smsc", SMSC | {"mes": "ack_response"})
    came("smsc", {"id": batch.reference, "phone": PHONE[1:], "status": "1", "err": "0"})
    came("smsc", {"nonsense": "1"})
    assert outcomes() == ["applied", "applied", "unreadable"]
    assert Message.objects.get(id=batch.messages[0].key).status == "delivered"
    assert Reply.objects.get().text == "ack_response"
    mailing_factories.assert_counters_equal_rows(mailing)


def test_nothing_of_it_is_in_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        came("smsc", SMSC | {"mes": "my secret"})
        receipts.process_due()
    logged = " ".join(r.getMessage() for r in caplog.records if r.name != "django.db.backends")
    assert Reply.objects.count() == 1
    assert "my secret" not in logged
    assert PHONE[1:] not in logged
