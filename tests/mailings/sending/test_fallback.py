"""The next connected service sends while the first is down: only if that is switched on, only what
surely was not sent, and only until the first works again.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Account, Routing
from integrations.providers.contract import Outcome
from integrations.providers.simulator import Simulator
from integrations.reasons import Reason
from integrations.routing import accounts, cooldown, routing
from mailings.models import Batch, Mailing, Message
from mailings.sending import claim, prepare, reconciliation
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, User

Status = Message.Status


class First(Simulator):
    slug = "west"
    batch = 2
    is_simulator = False


class Second(Simulator):
    slug = "east"
    batch = 3
    is_simulator = False


@pytest.fixture(autouse=True)
def three_services(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.providers.REGISTRY", (First, Second, Simulator))


@pytest.fixture
def first(db: None) -> Account:
    return connected("west")


@pytest.fixture
def second(first: Account) -> Account:
    return connected("east")


@pytest.fixture
def mailing(owner: User, second: Account) -> Mailing:
    """Six students in three batches; the owner has no phone."""
    factories.students(6)
    return mailing_factories.prepared(owner)


def connected(slug: str) -> Account:
    return Account.objects.create(provider=slug, credentials={"on": "yes"}, parallel=4)


def down(account: Account) -> None:
    cooldown.start(account.id, Reason.UNAVAILABLE, "")


def up(account: Account) -> None:
    """It has rested; whether it works will be seen."""
    Account.objects.filter(id=account.id).update(cooldown_until=timezone.now())


def sends() -> str:
    account = routing.sender()
    return account.provider if account else ""


# --- which one -------------------------------------------------------------------------------
def test_the_first_sends_and_while_it_is_down_nobody_does(first: Account, second: Account) -> None:
    assert sends() == "west"
    down(first)
    assert sends() == ""
    up(first)
    assert sends() == "west"


def test_the_next_one_steps_in_when_it_may_and_back_again(
    first: Account, second: Account, owner: User
) -> None:
    routing.set_fallback(True, owner)
    assert sends() == "west"
    down(first)
    assert sends() == "east"
    assert routing.current() == first  # which has priority is another question
    down(second)
    assert sends() == ""
    up(first)
    assert sends() == "west"


def test_the_simulator_never_stands_in_for_a_real_service(first: Account, owner: User) -> None:
    simulator = factories.simulator()
    routing.set_fallback(True, owner)
    down(first)
    assert sends() == ""
    accounts.disconnect(first, owner)
    assert sends() == simulator.provider


def test_nothing_connected_sends_nothing(db: None, owner: User) -> None:
    routing.set_fallback(True, owner)
    assert routing.sender() is None


def test_the_switch_is_off_at_first_and_each_change_is_written_down(owner: User) -> None:
    assert not routing.falls_back()
    for on in (True, True, False):
        routing.set_fallback(on, owner)
        assert routing.falls_back() is on
    assert Routing.objects.count() == 1
    events = AuditEvent.objects.order_by("id").values_list("what", "by__email")
    assert list(events) == [("fallback_on", owner.email), ("fallback_off", owner.email)]


def test_it_costs_no_query_more_while_the_first_works(
    first: Account, second: Account, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        routing.sender()


# --- what goes over --------------------------------------------------------------------------
def test_what_surely_was_not_sent_waits_while_the_switch_is_off(
    mailing: Mailing, first: Account
) -> None:
    mailing_factories.sent(Outcome.UNSENT, reason=Reason.UNAVAILABLE)
    assert claim.claim() is None
    up(first)
    assert mailing_factories.claimed().account_id == first.id


def test_what_surely_was_not_sent_goes_through_the_next_service(
    mailing: Mailing, first: Account, second: Account, owner: User
) -> None:
    routing.set_fallback(True, owner)
    failed = mailing_factories.sent(Outcome.UNSENT, reason=Reason.UNAVAILABLE)
    batches = [mailing_factories.sent() for _ in range(3)]
    assert {batch.account_id for batch in batches} == {second.id}
    assert {type(batch.provider) for batch in batches} == {Second}
    assert failed.reference not in {batch.reference for batch in batches}
    assert claim.claim() is None
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "accepted": 6}
    mailing_factories.assert_counters_equal_rows(mailing)


def test_the_first_takes_over_again_when_it_has_rested(
    mailing: Mailing, first: Account, second: Account, owner: User
) -> None:
    routing.set_fallback(True, owner)
    down(first)
    assert mailing_factories.sent().account_id == second.id
    up(first)
    assert mailing_factories.sent().account_id == first.id
    first.refresh_from_db()
    assert first.failures == 0


def test_what_may_have_arrived_is_never_sent_by_another_before_the_books_say_it_had_not(
    mailing: Mailing, first: Account, second: Account, owner: User
) -> None:
    routing.set_fallback(True, owner)
    perhaps = mailing_factories.sent(Outcome.UNKNOWN, reason=Reason.NO_ANSWER)
    others = [mailing_factories.sent() for _ in range(2)]
    assert {batch.account_id for batch in others} == {second.id}
    assert claim.claim() is None
    doubtful = Message.objects.filter(id__in=[sms.key for sms in perhaps.messages])
    assert {row.status for row in doubtful} == {Status.UNKNOWN}
    # The first service's own books are asked, not the second's, and they never had it.
    assert Batch.objects.get(id=perhaps.batch_id).account == first
    for _ in range(2):  # "not found" must be heard twice
        assert claim.claim() is None
        mailing_factories.grown_older(hours=1)
        reconciliation.reconcile_due()
    assert {row.status for row in doubtful.all()} == {Status.WAITING}
    again = mailing_factories.claimed()
    assert again.account_id == second.id
    assert {sms.key for sms in again.messages} == {sms.key for sms in perhaps.messages}


def test_one_that_went_to_rest_while_we_waited_for_its_lock_claims_nothing(
    mailing: Mailing, first: Account, second: Account, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for the next service: the next look sees to that."""
    routing.set_fallback(True, owner)
    stale = Account.objects.get(id=first.id)
    down(first)
    with monkeypatch.context() as patch:
        patch.setattr(routing, "sender", lambda: stale)
        assert claim.claim() is None
    assert mailing_factories.claimed().account_id == second.id


def test_batches_are_formed_for_the_service_that_sends(
    first: Account, second: Account, owner: User
) -> None:
    assert prepare.batch_size() == First.batch
    down(first)
    assert prepare.batch_size() == First.batch  # they wait for it
    routing.set_fallback(True, owner)
    assert prepare.batch_size() == Second.batch
    Account.objects.filter(id=first.id).update(cooldown_until=timezone.now() - timedelta(seconds=1))
    assert prepare.batch_size() == First.batch
