"""Processing what providers report: in any order, twice, too early, about strangers, unreadable."""

import json
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.models import Account, Receipt
from integrations.providers.contract import DeliveryReport, DeliveryStatus, Outcome, WebhookPayload
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from mailings.lifecycle import transitions
from mailings.models import Batch, Mailing, Message
from mailings.notifications import send
from mailings.sending import claim, receipts, reconciliation, record
from tests import factories
from tests.mailings import mailing_factories
from users.models import ConsentEvent, OptOut, User

Status = Message.Status


class Plain(Simulator):
    """Its notes say what shall become of a message: any provider's news."""

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        return [
            DeliveryReport(
                told["reference"],
                told["phone"],
                DeliveryStatus(told["status"]),
                reason=Reason(told["reason"]) if "reason" in told else None,
                raw=told.get("raw", ""),
                price=Decimal(told["price"]) if "price" in told else None,
            )
            for told in json.loads(note.body)
        ]


@pytest.fixture
def account(db: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr("integrations.providers.REGISTRY", (Plain,))
    return factories.simulator()


@pytest.fixture
def mailing(owner: User, account: Account) -> Mailing:
    factories.students(2, start=1)
    return mailing_factories.prepared(owner)


def came(*told: dict[str, str], body: str = "") -> Receipt:
    """A receipt at the webhook."""
    return Receipt.objects.create(account=Account.objects.get(), body=body or json.dumps(told))


def news(batch: claim.ClaimedBatch, status: str, which: int = 0, **more: str) -> dict[str, str]:
    return {
        "reference": batch.reference,
        "phone": batch.messages[which].phone,
        "status": status,
        **more,
    }


def outcomes() -> list[str]:
    return mailing_factories.receipt_outcomes()


def status_of(batch: claim.ClaimedBatch, which: int = 0) -> str:
    return Message.objects.get(id=batch.messages[which].key).status


def test_it_folds_what_the_provider_says(mailing: Mailing) -> None:
    batch = mailing_factories.sent()
    came(
        news(batch, "delivered", price="2.5"),
        news(batch, "undelivered", 1, reason="handset", raw="3"),
    )
    assert not receipts.process_due()
    assert outcomes() == ["applied"]
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "delivered": 1, "undelivered": 1}
    lost = Message.objects.get(id=batch.messages[1].key)
    assert (lost.reason, lost.raw_code) == (Reason.HANDSET, "3")
    assert lost.final_at is not None
    assert not Receipt.objects.exists()
    mailing_factories.assert_counters_equal_rows(mailing)


@pytest.mark.parametrize("together", [True, False])
def test_receipts_out_of_order_end_at_the_last_word(mailing: Mailing, together: bool) -> None:
    batch = mailing_factories.sent()
    for status in ("accepted", "delivered", "accepted"):
        came(news(batch, status))
        if not together:
            receipts.process_due()
    receipts.process_due()
    assert status_of(batch) == Status.DELIVERED
    assert outcomes() == ["stale", "applied", "stale"]


def test_a_receipt_that_comes_twice_counts_once(mailing: Mailing) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "delivered"))
    came(news(batch, "delivered"))
    receipts.process_due()
    came(news(batch, "undelivered", reason="handset"))
    receipts.process_due()
    assert status_of(batch) == Status.DELIVERED
    assert outcomes() == ["applied", "stale", "stale"]
    mailing_factories.assert_counters_equal_rows(mailing)


@pytest.mark.parametrize("status", ["accepted", "delivered", "undelivered", "expired"])
def test_a_receipt_before_the_answer_is_believed(mailing: Mailing, status: str) -> None:
    batch = mailing_factories.claimed()
    came(news(batch, status))
    receipts.process_due()
    assert status_of(batch) == status
    assert status_of(batch, 1) == Status.WAITING
    record.record(
        batch, mailing_factories.results(batch, Outcome.TAKEN, price=Decimal(2), provider_id="9")
    )
    early = Message.objects.get(id=batch.messages[0].key)
    assert (early.status, early.price, early.provider_id) == (status, Decimal(2), "9")
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_receipt_for_an_unknown_message_settles_it(mailing: Mailing) -> None:
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    came(news(batch, "delivered"))
    receipts.process_due()
    assert status_of(batch) == Status.DELIVERED
    assert Message.objects.get(id=batch.messages[0].key).reason == ""


@pytest.mark.parametrize("wrong", [{"reference": "no-such"}, {"phone": "+79989999999"}])
def test_a_receipt_that_names_nothing_of_ours_is_a_stranger(
    mailing: Mailing, wrong: dict[str, str]
) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "delivered") | wrong)
    receipts.process_due()
    assert outcomes() == ["stranger"]
    assert status_of(batch) == Status.ACCEPTED


def test_one_good_report_makes_a_receipt_with_strangers_applied(mailing: Mailing) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "delivered") | {"reference": "no-such"}, news(batch, "delivered"))
    receipts.process_due()
    assert outcomes() == ["applied"]


@pytest.mark.parametrize("body", ["", "not json", "[{}]", '{"a": 1}', '[{"status": "delivered"}]'])
def test_an_unreadable_receipt_is_put_aside_and_holds_up_nobody(
    mailing: Mailing, body: str
) -> None:
    batch = mailing_factories.sent()
    Receipt.objects.create(account=Account.objects.get(), body=body)
    came(news(batch, "delivered"))
    receipts.process_due()
    assert outcomes() == ["unreadable", "applied"]


@pytest.mark.parametrize("field", ["reference", "phone"])
@pytest.mark.parametrize("odd", ["\0", "\ud800", "七"])
def test_a_name_that_no_database_could_look_for_holds_up_nobody(
    mailing: Mailing, field: str, odd: str
) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "delivered") | {field: odd})
    came(news(batch, "delivered"))
    receipts.process_due()
    assert outcomes() == ["unreadable", "applied"]
    assert status_of(batch) == Status.DELIVERED


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e30", "-1e30", "1000000"])
def test_a_price_that_cannot_be_is_forgotten(mailing: Mailing, price: str) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "delivered", price=price))
    receipts.process_due()
    assert status_of(batch) == Status.DELIVERED
    assert Message.objects.get(id=batch.messages[0].key).price is None
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_code_that_no_column_can_hold_loses_what_is_odd_about_it(mailing: Mailing) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "undelivered", raw="code\0 \ud8007" + "x" * 100))
    receipts.process_due()
    lost = Message.objects.get(id=batch.messages[0].key)
    assert (lost.status, lost.reason) == (Status.UNDELIVERED, Reason.OTHER)
    assert lost.raw_code == "code 7" + "x" * 58


def test_a_service_that_is_not_there_any_more_leaves_its_receipts_unreadable(
    mailing: Mailing,
) -> None:
    came(body="[]")
    Account.objects.update(provider="gone")
    receipts.process_due()
    assert outcomes() == ["unreadable"]


# --- a message that has moved to another batch since --------------------------------------------
@pytest.fixture
def moved(mailing: Mailing) -> claim.ClaimedBatch:
    """A batch of which we were told that it was not sent; its messages wait in another."""
    batch = mailing_factories.sent(Outcome.UNSENT)
    Account.objects.update(failures=0, cooldown_until=None)
    return batch


def test_a_receipt_for_the_first_batch_stops_the_second_sending(
    mailing: Mailing, moved: claim.ClaimedBatch
) -> None:
    came(news(moved, "delivered"))
    receipts.process_due()
    assert status_of(moved) == Status.DELIVERED
    assert [sms.phone for sms in mailing_factories.claimed().messages] == [moved.messages[1].phone]
    mailing_factories.assert_counters_equal_rows(mailing)


def test_the_message_returns_to_the_batch_that_it_went_with(
    mailing: Mailing, moved: claim.ClaimedBatch, owner: User
) -> None:
    """Else nobody would ever ask about it: the batch that it waited in is never handed over."""
    reconciliation._conclude(moved.batch_id, set(), answered=True)
    assert Batch.objects.get(id=moved.batch_id).look_up_at is None  # nothing open in it
    came(news(moved, "accepted"))
    receipts.process_due()
    back = Message.objects.get(id=moved.messages[0].key)
    assert (back.status, back.batch_id) == (Status.ACCEPTED, moved.batch_id)
    assert Batch.objects.get(id=moved.batch_id).look_up_at is not None
    transitions.cancel(mailing, owner)
    mailing_factories.grown_older(days=3)
    mailing_factories.settle()
    reconciliation.reconcile_due()
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.finished_at is not None
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "cancelled": 1, "no_receipt": 1}


def test_both_batches_reported_are_one_message(mailing: Mailing, moved: claim.ClaimedBatch) -> None:
    """The service lied and it went twice: the books still hold."""
    second = mailing_factories.sent()
    came(news(moved, "accepted"), news(second, "delivered"), news(moved, "undelivered"))
    receipts.process_due()
    assert status_of(moved) == Status.DELIVERED
    mailing_factories.assert_counters_equal_rows(mailing)


def test_of_several_test_messages_to_one_phone_none_is_guessed(
    owner: User, account: Account
) -> None:
    """All test messages are of one mailing, so mailing and phone do not tell which it was."""
    draft = mailing_factories.draft()
    send.send_test(draft, owner, owner, phone="+79980000010")
    first = mailing_factories.sent(Outcome.UNSENT)
    Account.objects.update(failures=0, cooldown_until=None)
    send.send_test(draft, owner, owner, phone="+79980000010")
    came(news(first, "delivered"))
    receipts.process_due()
    assert outcomes() == ["stranger"]
    assert set(Message.objects.values_list("status", flat=True)) == {"waiting"}


# --- opt-outs --------------------------------------------------------------------------------
def test_a_phone_that_opted_out_at_the_service_is_believed(mailing: Mailing) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "undelivered", reason="opted_out"))
    receipts.process_due()
    told = OptOut.objects.get()
    assert (told.phone, told.source) == (batch.messages[0].phone, OptOut.Source.PROVIDER)
    assert ConsentEvent.objects.get().kind == ConsentEvent.Kind.OPTED_OUT


def test_another_refusal_is_no_opt_out(mailing: Mailing) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "undelivered", reason="operator_refused"))
    receipts.process_due()
    assert not OptOut.objects.exists()


# --- many ------------------------------------------------------------------------------------
def test_a_thousand_receipts_take_as_many_queries_as_ten(
    owner: User, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plain, "batch", 2000)
    factories.students(1200)
    mailing = mailing_factories.prepared(owner)
    batch = mailing_factories.sent()

    def process(which: range) -> int:
        Receipt.objects.bulk_create(
            Receipt(account=account, body=json.dumps([news(batch, "delivered", n)])) for n in which
        )
        with CaptureQueriesContext(connection) as queries:
            assert receipts.process_due() == (len(which) == receipts.AT_ONCE)
        return len(queries)

    assert process(range(10)) == process(range(10, 1010))
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "accepted": 190, "delivered": 1010}
    assert set(outcomes()) == {"applied"}
    mailing_factories.assert_counters_equal_rows(mailing)


def test_receipts_are_processed_oldest_first_and_the_rest_later(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "AT_ONCE", 2)
    for _ in range(3):
        came(body="[]")
    assert receipts.process_due()
    assert outcomes() == ["stale", "stale", ""]
    assert not receipts.process_due()
    assert outcomes() == ["stale"] * 3


def test_a_processed_receipt_is_not_processed_again(mailing: Mailing) -> None:
    batch = mailing_factories.sent()
    came(news(batch, "accepted"))
    receipts.process_due()
    assert outcomes() == ["stale"]
    receipts.process_due()
    assert outcomes() == ["stale"]
