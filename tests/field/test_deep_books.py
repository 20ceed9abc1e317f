"""Books longer than one look: the sweep goes on where it stopped, in one chain, until it has passed what the
login had surely taken before. Source: the chaos run, S1/S2 "a batch of unknown fate with more than PAGES x
PAGE newer rows". Pages are small here; the depths are those of 150,000 and 1,000,000 messages at 1,000.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from integrations.models import Account
from integrations.providers.contract import DeliveryReport, DeliveryStatus
from integrations.providers.smsc import lookup
from integrations.providers.smsc.service import Smsc
from integrations.routing import accounts, cooldown
from mailings.models import Batch, Mailing
from mailings.sending import receipts, reconciliation, worker
from tests import factories
from tests.emulators.smsc import SmscEmulator
from tests.emulators.smsc_rows import Row
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = 10
PAGES = 20  # in one look
Doubt = Batch.Doubt


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.READ_TIMEOUT = 1
    monkeypatch.setattr(lookup, "PAGE", PAGE)
    monkeypatch.setattr(lookup, "PAGES", PAGES)
    monkeypatch.setattr(Smsc, "batch", 5)
    monkeypatch.setattr(cooldown, "start", lambda *_args, **_kwargs: None)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(datetime(2026, 11, 20, 9, tzinfo=UTC)) as travelling:
        yield travelling


@pytest.fixture
def smsc(smsc_emulator: SmscEmulator, clock: Any) -> SmscEmulator:
    smsc_emulator.manner.silent = True
    return smsc_emulator


@pytest.fixture
def lost(smsc: SmscEmulator, owner: User) -> Mailing:
    """Three batches of five: one taken, one taken without an answer, one that never left."""
    factories.smsc()
    factories.students(15, digits="06")
    mailing = mailing_factories.prepared(owner)
    smsc.misbehave("", "cut-after", "unread")
    hand_over()
    assert statuses(mailing) == {"accepted": 5, "unknown": 10}
    return mailing


def hand_over() -> None:
    while worker.hand_over_due():
        pass


def bury(smsc: SmscEmulator, many: int, minutes: float = 30) -> None:
    """So many newer messages in the books."""
    for number in range(many):
        at = smsc.now() + minutes * 60 * number / many
        phone = f"7999{number:07}"
        row = Row("others", len(smsc._rows) + 1, phone, "x", "", at, at, 1, "school")
        smsc._rows.append(row)
        smsc._book[row.id, phone] = row


def due() -> None:
    Batch.objects.exclude(look_up_at=None).update(look_up_at=timezone.now())


def look() -> None:
    """A look to its end, as often as the clock's job says that there is more."""
    due()
    while reconciliation.reconcile_due():
        pass


def statuses(mailing: Mailing) -> dict[str, int]:
    mailing_factories.assert_counters_equal_rows(mailing)
    return {
        status: n
        for status, n in mailing_factories.statuses(mailing).items()
        if status != "skipped"
    }


def pages_read(smsc: SmscEmulator) -> list[str]:
    return [fields.get("prev_id", "") for command, fields in smsc.requests if command == "get"]


def went(smsc: SmscEmulator) -> Counter[str]:
    return Counter(phone for id_, phone, _ in smsc.accepted)


@pytest.mark.parametrize(
    "depth",
    [
        pytest.param(150, id="150,000"),
        pytest.param(1000, id="1,000,000", marks=pytest.mark.slow),
    ],
)
def test_what_lies_deep_is_cleared_up_in_two_looks(
    lost: Mailing, smsc: SmscEmulator, clock: Any, depth: int
) -> None:
    bury(smsc, depth * PAGE)
    clock.shift(timedelta(minutes=31))
    look()
    assert statuses(lost) == {"accepted": 10, "unknown": 5}
    clock.shift(timedelta(minutes=5))
    look()
    assert statuses(lost) == {"accepted": 10, "waiting": 5}
    hand_over()
    assert set(went(smsc).values()) == {1}
    assert len(went(smsc)) == 15


def test_a_look_goes_on_where_the_last_one_stopped(
    lost: Mailing, smsc: SmscEmulator, clock: Any, owner: User, as_: Any, settings: Any
) -> None:
    """And the page does not say that the service cannot tell."""
    settings.LANGUAGE_CODE = "en"
    bury(smsc, 50 * PAGE)
    clock.shift(timedelta(minutes=31))
    due()
    assert reconciliation.reconcile_due()  # there is more
    first = pages_read(smsc)
    assert len(first) == PAGES
    batch = Batch.objects.filter(messages__status="unknown").distinct()[0]
    assert (batch.doubt, batch.look_ups) == (Doubt.READING, 0)
    assert statuses(lost) == {"accepted": 5, "unknown": 10}
    page = as_(owner).get(reverse("mailing", args=[lost.id])).content.decode()
    assert "have been read back to" in page
    assert "cannot tell" not in page
    assert reverse("mailing-send-again", args=[lost.id]) not in page
    assert reconciliation.reconcile_due()
    both = pages_read(smsc)
    assert len(set(both)) == len(both) == 2 * PAGES  # no page twice


def test_a_page_that_fails_in_between_costs_only_itself(
    lost: Mailing, smsc: SmscEmulator, clock: Any
) -> None:
    bury(smsc, 100 * PAGE)
    clock.shift(timedelta(minutes=31))
    smsc.plan.commands = frozenset({"get"})
    smsc.misbehave(*[""] * 15, "500", *[""] * 20, "garbage", "cut")
    for _ in range(6):
        look()
    assert "unknown" not in statuses(lost)
    hand_over()
    assert set(went(smsc).values()) == {1}


def test_rows_in_another_order_break_the_chain(
    lost: Mailing, smsc: SmscEmulator, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second slice: it must not lend the first one its end."""
    bury(smsc, 50 * PAGE)
    clock.shift(timedelta(minutes=31))
    real = smsc._history

    def odd(fields: dict[str, str]) -> list[dict[str, Any]]:
        rows = real(fields)
        return rows[::-1] if int(fields.get("prev_id") or 999) < 250 else rows

    monkeypatch.setattr(smsc, "_history", odd)
    for _ in range(4):
        look()
    assert statuses(lost) == {"accepted": 5, "unknown": 10}
    monkeypatch.setattr(smsc, "_history", real)
    look()
    look()
    assert statuses(lost) == {"accepted": 10, "waiting": 5}


def test_what_is_lost_while_a_sweep_is_under_way_gets_a_sweep_of_its_own(
    lost: Mailing, smsc: SmscEmulator, clock: Any, owner: User
) -> None:
    """The sweep under way began before it was handed over, and shows nothing of it."""
    bury(smsc, 50 * PAGE)
    clock.shift(timedelta(minutes=31))
    due()
    assert reconciliation.reconcile_due()
    factories.students(5, start=50, digits="06")
    second = mailing_factories.prepared(owner, name="Second", text="Another")
    smsc.misbehave("cut-after", "unread", "", "")
    hand_over()
    clock.shift(timedelta(minutes=5))
    look()
    look()
    hand_over()
    assert statuses(lost) == {"accepted": 15}
    assert statuses(second) == {"accepted": 20}
    assert set(Counter((i, p) for i, p, _ in smsc.accepted).values()) == {1}
    assert len(smsc.accepted) == 15 + 20


def test_a_receipt_in_the_middle_of_a_sweep_is_enough(
    lost: Mailing, smsc: SmscEmulator, clock: Any
) -> None:
    bury(smsc, 50 * PAGE)
    clock.shift(timedelta(minutes=31))
    due()
    reconciliation.reconcile_due()
    batches = Batch.objects.filter(messages__status="unknown").distinct()
    with transaction.atomic():
        receipts.apply(
            [
                DeliveryReport(batch.reference, message.phone, DeliveryStatus.DELIVERED)
                for batch in batches
                for message in batch.messages.all()
            ]
        )
    look()
    assert statuses(lost) == {"accepted": 5, "delivered": 10}
    assert not Batch.objects.filter(doubt=Doubt.READING).exists()


def test_few_phones_are_asked_one_by_one(smsc: SmscEmulator, owner: User, clock: Any) -> None:
    """However much lies above them."""
    mailing_factories.taken_before(factories.smsc())
    factories.students(2, digits="06")
    mailing = mailing_factories.prepared(owner)
    smsc.misbehave("unread")
    hand_over()
    bury(smsc, 200 * PAGE)
    clock.shift(timedelta(minutes=31))
    look()
    look()
    hand_over()
    assert statuses(mailing) == {"accepted": 2}
    assert len(pages_read(smsc)) < 15


def test_another_login_in_the_middle_of_a_sweep(
    lost: Mailing, smsc: SmscEmulator, clock: Any
) -> None:
    """It goes on with the old one's credentials, in the old one's books."""
    bury(smsc, 50 * PAGE)
    clock.shift(timedelta(minutes=31))
    due()
    reconciliation.reconcile_due()
    new = {"login": "other", "password": "made-up"}
    accounts.connect("smsc", new, sender="School", price=Account.objects.get().price, by=None)
    look()
    look()
    assert statuses(lost) == {"accepted": 10, "waiting": 5}
    hand_over()
    assert set(went(smsc).values()) == {1}
