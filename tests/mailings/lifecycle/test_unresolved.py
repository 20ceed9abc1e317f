"""Messages of unknown fate whose service cannot be asked: they stay until a person decides."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.models import Account
from integrations.providers.contract import DeliveryReport, DeliveryStatus, Outcome
from integrations.providers.seventech.service import SevenTech
from integrations.reasons import Reason
from integrations.routing import accounts, cooldown
from mailings.errors import WrongState
from mailings.lifecycle import transitions, unresolved
from mailings.models import Batch, Mailing, Message
from mailings.sending import claim, receipts, reconciliation
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, User

State = Mailing.State
Status = Message.Status


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def account(db: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(SevenTech, "batch", 2)
    return Account.objects.create(
        provider="seventech", credentials={"login": "school"}, sender="School", parallel=9
    )


@pytest.fixture
def mailing(manager: User, account: Account) -> Mailing:
    """Six messages in three batches; all were handed over, two batches got no answer."""
    factories.students(6)
    mailing = mailing_factories.prepared(manager)
    mailing_factories.reported(mailing_factories.sent(), "delivered")
    unanswered(reason=Reason.OTHER, raw="seventech:PARKED")
    unanswered()
    mailing_factories.grown_older(minutes=11)
    mailing_factories.settle()
    return mailing


def unanswered(**fields: Any) -> None:
    """A batch without an answer, whose account has had its rest since."""
    batch = mailing_factories.sent(Outcome.UNKNOWN, **fields)
    cooldown.end(batch.account_id)


def first_batch(status: Status) -> tuple[str, list[str]]:
    """Reference and phones of a batch whose messages have this status."""
    batch = Batch.objects.filter(messages__status=status).order_by("id")[0]
    return batch.reference, list(batch.messages.values_list("phone", flat=True))


def delivered(reference: str, phones: list[str]) -> None:
    with transaction.atomic():
        receipts.apply(
            [DeliveryReport(reference, phone, DeliveryStatus.DELIVERED) for phone in phones]
        )


def statuses(mailing: Mailing) -> dict[str, int]:
    mailing_factories.assert_counters_equal_rows(mailing)
    return {
        status: n
        for status, n in mailing_factories.statuses(mailing).items()
        if status != "skipped"
    }


def state_of(mailing: Mailing) -> str:
    mailing.refresh_from_db()
    return mailing.state


# --- what is a question ----------------------------------------------------------------------
def test_a_mailing_never_becomes_done_while_some_may_or_may_not_have_gone(
    mailing: Mailing,
) -> None:
    for _ in range(5):
        mailing_factories.grown_older(hours=20)
        reconciliation.reconcile_due()
        mailing_factories.settle()
    assert statuses(mailing) == {"delivered": 2, "unknown": 4}
    assert state_of(mailing) == State.SETTLING
    assert unresolved.open_questions(mailing) == 4


def test_it_is_a_question_at_once_where_nobody_can_be_asked(
    manager: User, account: Account
) -> None:
    factories.students(2)
    mailing = mailing_factories.prepared(manager)
    unanswered()
    assert unresolved.open_questions(mailing) == 2


def test_asked_in_vain_it_is_no_question_while_a_receipt_may_still_come(
    manager: User, account: Account
) -> None:
    Account.objects.filter(id=account.id).update(provider="smsc")
    factories.students(2)
    mailing = mailing_factories.prepared(manager)
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    Batch.objects.filter(id=batch.batch_id).update(doubt="no_proof")
    mailing_factories.grown_older(minutes=9)
    assert unresolved.open_questions(mailing) == 0
    assert unresolved.close_unknown(mailing, manager) == 0
    assert unresolved.send_again(mailing, manager) == 0
    assert statuses(mailing) == {"unknown": 2}
    mailing_factories.grown_older(minutes=2)
    assert unresolved.open_questions(mailing) == 2


def test_it_is_no_question_while_the_service_can_be_asked(
    mailing: Mailing, account: Account, settings: Any
) -> None:
    Account.objects.filter(id=account.id).update(provider="smsc")
    assert unresolved.open_questions(mailing) == 0
    mailing_factories.grown_older(seconds=settings.RECEIPT_WAIT)
    assert unresolved.open_questions(mailing) == 4


def test_it_is_a_question_when_the_service_was_disconnected(
    mailing: Mailing, account: Account, owner: User
) -> None:
    Account.objects.filter(id=account.id).update(provider="smsc")
    account.refresh_from_db()
    accounts.disconnect(account, owner)
    assert unresolved.open_questions(mailing) == 4


def test_it_asks_about_one_mailing_only(mailing: Mailing, manager: User) -> None:
    other = mailing_factories.draft(name="Another")
    assert unresolved.open_questions(other) == 0


# --- close unknown ---------------------------------------------------------------------------
def test_what_is_closed_ends_and_so_does_the_mailing(mailing: Mailing, manager: User) -> None:
    assert unresolved.close_unknown(mailing, manager) == 4
    assert statuses(mailing) == {"delivered": 2, "no_receipt": 4}
    mailing_factories.settle()
    assert state_of(mailing) == State.DONE
    assert unresolved.open_questions(mailing) == 0


def test_why_it_was_not_known_stays_with_the_message(mailing: Mailing, manager: User) -> None:
    unresolved.close_unknown(mailing, manager)
    kept = Message.objects.filter(status=Status.NO_RECEIPT).values_list("reason", "raw_code")
    assert sorted(kept) == 2 * [("no_answer", "")] + 2 * [("other", "seventech:PARKED")]


def test_a_late_receipt_still_wins(mailing: Mailing, manager: User) -> None:
    unresolved.close_unknown(mailing, manager)
    delivered(*first_batch(Status.NO_RECEIPT))
    assert statuses(mailing) == {"delivered": 4, "no_receipt": 2}


def test_it_goes_on_chunk_by_chunk(
    mailing: Mailing, manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unresolved, "CHUNK", 2)
    assert unresolved.close_unknown(mailing, manager) == 4
    assert statuses(mailing) == {"delivered": 2, "no_receipt": 4}


def test_a_cancelled_mailing_can_be_closed(mailing: Mailing, manager: User) -> None:
    Mailing.objects.filter(id=mailing.id).update(state=State.CANCELLED)
    mailing.refresh_from_db()
    assert unresolved.close_unknown(mailing, manager) == 4
    mailing_factories.settle()
    mailing.refresh_from_db()
    assert mailing.finished_at is not None


# --- send again ------------------------------------------------------------------------------
def test_what_is_sent_again_goes_in_new_batches(mailing: Mailing, manager: User) -> None:
    before = set(Batch.objects.values_list("id", flat=True))
    assert unresolved.send_again(mailing, manager) == 4
    assert statuses(mailing) == {"delivered": 2, "waiting": 4}
    fresh = Batch.objects.exclude(id__in=before)
    assert [(batch.state, batch.size) for batch in fresh] == 2 * [(Batch.State.WAITING, 2)]
    assert set(
        Message.objects.filter(status=Status.WAITING).values_list("batch", flat=True)
    ) == set(fresh.values_list("id", flat=True))
    mailing_factories.settle()
    assert state_of(mailing) == State.SENDING
    for _ in fresh:
        mailing_factories.reported(mailing_factories.sent(), "delivered")
    mailing_factories.settle()
    assert statuses(mailing) == {"delivered": 6}
    assert state_of(mailing) == State.DONE


def test_a_receipt_of_the_first_try_still_counts(mailing: Mailing, manager: User) -> None:
    reference, phones = first_batch(Status.UNKNOWN)
    unresolved.send_again(mailing, manager)
    delivered(reference, phones)
    assert statuses(mailing) == {"delivered": 4, "waiting": 2}


def test_nothing_of_a_cancelled_mailing_is_sent_again(mailing: Mailing, manager: User) -> None:
    read_before = Mailing.objects.get(id=mailing.id)
    Mailing.objects.filter(id=mailing.id).update(state=State.CANCELLED)
    mailing.refresh_from_db()
    with pytest.raises(WrongState):
        unresolved.send_again(mailing, manager)
    assert unresolved.send_again(read_before, manager) == 0
    assert statuses(mailing) == {"delivered": 2, "unknown": 4}


def test_of_a_paused_mailing_they_wait_for_it_to_go_on(mailing: Mailing, manager: User) -> None:
    Mailing.objects.filter(id=mailing.id).update(state=State.PAUSED)
    mailing.refresh_from_db()
    assert unresolved.send_again(mailing, manager) == 4
    assert claim.claim() is None
    transitions.resume(mailing, manager)
    assert claim.claim() is not None


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_send_each_message_again_once(mailing: Mailing, manager: User) -> None:
    together = threading.Barrier(2)
    done: list[int] = []

    def click() -> None:
        try:
            together.wait()
            done.append(unresolved.send_again(mailing, manager))
        finally:
            connection.close()

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()
    assert sum(done) == 4
    assert statuses(mailing) == {"delivered": 2, "waiting": 4}
    batches = Batch.objects.filter(state=Batch.State.WAITING)
    assert sum(batch.messages.count() for batch in batches) == 4
    assert batches.count() == 2


# --- it is written down, and cheap -----------------------------------------------------------
@pytest.mark.parametrize("what", ["let_be", "sent_again"])
def test_a_decision_is_written_down(mailing: Mailing, manager: User, what: str) -> None:
    decide = {"let_be": unresolved.close_unknown, "sent_again": unresolved.send_again}[what]
    decide(mailing, manager)
    event = AuditEvent.objects.latest("id")
    assert (event.by, event.what, event.target) == (manager, what, f"mailing {mailing.id}")
    assert event.details == {"messages": 4}
    decide(mailing, manager)  # nothing is left to decide
    assert AuditEvent.objects.filter(what=what).count() == 1


def test_its_queries_do_not_grow_with_the_messages(manager: User, account: Account) -> None:
    SevenTech.batch = 500  # the fixture puts it back
    counts = []
    for start, many in ((0, 3), (100, 60)):
        factories.students(many, start=start)
        mailing = mailing_factories.prepared(manager, name=f"Of {many}")
        unanswered()
        mailing_factories.grown_older(minutes=11)
        for decide in (unresolved.send_again, unresolved.close_unknown):
            with CaptureQueriesContext(connection) as queries:
                decide(mailing, manager)
            counts.append(len(queries))
            mailing_factories.assert_counters_equal_rows(mailing)
            if decide is unresolved.send_again:
                unanswered()
            mailing_factories.grown_older(minutes=11)
    assert counts[:2] == counts[2:]


# --- the pages -------------------------------------------------------------------------------
As = Callable[[User], Client]


def test_the_mailings_page_asks_for_a_decision(as_: As, manager: User, mailing: Mailing) -> None:
    page = as_(manager).get(reverse("mailing", args=[mailing.id])).content.decode()
    assert "4 messages may or may not have gone" in page
    assert "SevenTech cannot be asked about a message" in page
    assert "We are asking it" not in page
    for name in ("mailing-close-unknown", "mailing-send-again"):
        assert reverse(name, args=[mailing.id]) in page


def test_while_the_service_is_asked_the_page_offers_nothing(
    as_: As, manager: User, mailing: Mailing
) -> None:
    Account.objects.update(provider="smsc")
    page = as_(manager).get(reverse("mailing", args=[mailing.id])).content.decode()
    assert "We are asking it" in page
    assert reverse("mailing-send-again", args=[mailing.id]) not in page


def test_those_who_may_only_look_are_offered_nothing(
    as_: As, employee: User, mailing: Mailing
) -> None:
    employee.rights = ["see_mailings"]
    employee.save()
    page = as_(employee).get(reverse("mailing", args=[mailing.id])).content.decode()
    assert "4 messages may or may not have gone" in page
    assert reverse("mailing-close-unknown", args=[mailing.id]) not in page


@pytest.mark.parametrize(
    ("name", "question", "said", "left"),
    [
        ("mailing-close-unknown", "Let these messages be?", "4 messages are let be.", "no_receipt"),
        ("mailing-send-again", "may reach these people twice", "4 messages go again.", "waiting"),
    ],
)
def test_it_asks_in_figures_before_it_acts(
    as_: As, manager: User, mailing: Mailing, name: str, question: str, said: str, left: str
) -> None:
    client, address = as_(manager), reverse(name, args=[mailing.id])
    asked = client.get(address).content.decode()
    assert question in asked
    assert "<dd>4</dd>" in asked
    assert statuses(mailing) == {"delivered": 2, "unknown": 4}
    page = client.post(address, follow=True).content.decode()
    assert said in page
    assert statuses(mailing) == {"delivered": 2, left: 4}
    page = client.get(reverse("mailing", args=[mailing.id])).content.decode()
    assert "Messages of unknown fate" in page  # in its history


def test_a_cancelled_mailing_offers_only_to_close_it(
    as_: As, manager: User, mailing: Mailing
) -> None:
    Mailing.objects.filter(id=mailing.id).update(state=State.CANCELLED)
    client, again = as_(manager), reverse("mailing-send-again", args=[mailing.id])
    page = client.get(reverse("mailing", args=[mailing.id])).content.decode()
    assert again not in page
    assert reverse("mailing-close-unknown", args=[mailing.id]) in page
    assert "nothing of it is sent any more" in client.post(again, follow=True).content.decode()
    assert statuses(mailing) == {"delivered": 2, "unknown": 4}
