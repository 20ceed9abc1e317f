"""A mailing through the Twilio adapter to its end: one request a message, answers lost and refused,
receipts at our real webhook, and books that tell by text what no answer told.
"""

from collections import Counter
from typing import Any

import pytest

from integrations.models import Account
from mailings.models import Mailing, Message
from mailings.sending import receipts, reconciliation, worker
from tests import factories
from tests.emulators.twilio import TwilioEmulator
from tests.mailings import mailing_factories
from users.models import OptOut

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailing(twilio_emulator: TwilioEmulator, live_server: Any, settings: Any) -> Mailing:
    """Phones end with 00 to 99: each fate of the emulator once in a hundred."""
    settings.PUBLIC_URL = live_server.url
    settings.READ_TIMEOUT = 1
    factories.twilio()
    factories.students(100)
    return mailing_factories.prepared(
        factories.owner(),
        text="Webinar at six, {first_name|friend}: https://school.ru/webinar",
        wrap_links=True,  # the books tell by the text as it was sent, tokens and all
    )


def carry_on(twilio: TwilioEmulator) -> None:
    """All that the clock does, until nothing is left to do; half an hour passes each time."""
    for _round in range(20):
        Account.objects.update(failures=0, cooldown_until=None)
        while worker.hand_over_due():
            pass
        twilio.caller.wait(60)
        while receipts.process_due():
            pass
        if not Message.objects.filter(status__in=["waiting", "unknown"]).exists():
            return
        mailing_factories.grown_older(minutes=30)
        reconciliation.reconcile_due()
    raise AssertionError("it does not come to an end")


def test_it_travels_to_its_end(mailing: Mailing, twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.manner.twice, twilio_emulator.manner.steps = 0.3, True
    carry_on(twilio_emulator)
    assert mailing_factories.statuses(mailing) == {
        "skipped": 1,
        "refused": 3,  # the phones that end with 00, 07 and 08
        "undelivered": 4,
        "expired": 1,
        "accepted": 1,
        "delivered": 91,
    }
    assert OptOut.objects.get().phone == "+79980000008"
    assert set(mailing_factories.receipt_outcomes()) <= {"applied", "stale"}
    sids = {entry["sid"] for entry in twilio_emulator.journal.entries}
    taken = Message.objects.filter(mailing=mailing).exclude(status__in=["refused", "skipped"])
    assert set(taken.values_list("provider_id", flat=True)) == sids
    mailing_factories.assert_counters_equal_rows(mailing)


def test_nobody_gets_it_twice_and_nobody_is_left_out_whatever_goes_wrong(
    mailing: Mailing, twilio_emulator: TwilioEmulator
) -> None:
    """Receipts are silent, so that only its books tell what no answer told."""
    twilio_emulator.manner.silent = True
    twilio_emulator.plan.share = 0.4
    twilio_emulator.plan.among = (
        *("unread", "cut", "cut-after", "reset-after", "half-after", "garbage-after", "empty"),
        *("500", "503-after", "429", "error-20429", "error-20003", "error-20503-after"),
    )
    carry_on(twilio_emulator)
    went = Counter(phone for _, phone, _ in twilio_emulator.accepted)
    assert set(went.values()) == {1}
    assert len(went) == 100 - 3
    assert "unknown" not in mailing_factories.statuses(mailing)
    assert mailing_factories.statuses(mailing)["refused"] == 3
    mailing_factories.assert_counters_equal_rows(mailing)
