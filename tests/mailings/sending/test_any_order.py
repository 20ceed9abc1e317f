"""Whatever the order of claims, answers, receipts, look-ups, pauses and cancels: the counters equal
the rows, final is final, nobody gets it twice. The world outside is played by hypothesis.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.models import Account
from integrations.providers.contract import DeliveryReport, DeliveryStatus, Outcome, SendResult
from integrations.providers.simulator import Simulator
from mailings import errors
from mailings.lifecycle import transitions
from mailings.models import Batch, Counters, Mailing, Message
from mailings.sending import claim as claiming
from mailings.sending import prepare, receipts, reconciliation, record, worker
from tests import factories
from tests.examples import examples
from tests.mailings import mailing_factories
from users.consent import consent
from users.models import AuditEvent, ConsentEvent, OptOut, User

PEOPLE = 7
Status = Message.Status

STEPS = st.one_of(
    st.tuples(st.just("claim")),
    st.tuples(st.just("claim")),
    st.tuples(st.just("claim")),
    st.tuples(st.just("die"), st.integers(0, 9), st.just(True)),
    st.tuples(
        st.just("answer"),
        st.integers(0, 9),
        st.lists(
            st.tuples(st.sampled_from(list(Outcome)), st.booleans()),
            min_size=PEOPLE,
            max_size=PEOPLE,
        ),
    ),
    st.tuples(st.just("die"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("recover")),
    st.tuples(
        st.just("report"),
        st.integers(0, 30),
        st.sampled_from([s for s in DeliveryStatus if s != DeliveryStatus.NOT_FOUND]),
    ),
    st.tuples(st.just("look up"), st.integers(0, 9)),
    st.tuples(st.just("time passes"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["prepare", "pause", "resume", "cancel", "settle"])),
    st.tuples(st.just("opt out"), st.integers(0, PEOPLE - 1)),
)


@dataclass
class World:
    """A mailing of ours and the provider's true books."""

    mailing: Mailing
    by: User
    batches: list[claiming.ClaimedBatch] = field(default_factory=list)  # claimed, not answered
    arrived: list[tuple[str, str]] = field(default_factory=list)  # (reference, phone)
    last: dict[int, str] = field(default_factory=dict)

    def step(self, name: str, *values: Any) -> None:
        getattr(self, name.replace(" ", "_"))(*values)
        self.check()

    def prepare(self) -> None:
        prepare.prepare_some(self.mailing.id)

    def claim(self) -> None:
        batch = claiming.claim()
        if batch is not None:
            self.batches.append(batch)

    def answer(self, which: int, outcomes: list[tuple[Outcome, bool]]) -> None:
        if not self.batches:
            return
        batch = self.batches.pop(which % len(self.batches))
        results = []
        for sms, (outcome, came) in zip(batch.messages, outcomes, strict=False):
            results.append(SendResult(sms.key, outcome, raw=f"made up {came}"))
            if outcome == Outcome.TAKEN or (outcome == Outcome.UNKNOWN and came):
                self.arrived.append((batch.reference, sms.phone))
        record.record(batch, results)

    def die(self, which: int, came: bool) -> None:
        """The worker is killed after or before the request."""
        if self.batches:
            batch = self.batches.pop(which % len(self.batches))
            if came:
                self.arrived += [(batch.reference, sms.phone) for sms in batch.messages]

    def recover(self) -> None:
        """Only batches of dead workers are older than the lease: that is what the order guarantees."""
        living = [batch.reference for batch in self.batches]
        Batch.objects.filter(state=Batch.State.IN_FLIGHT).exclude(reference__in=living).update(
            claimed_at=timezone.now() - timedelta(hours=1)
        )
        while worker.recover_due():
            pass

    def report(self, which: int, status: DeliveryStatus) -> None:
        if self.arrived:
            reference, phone = self.arrived[which % len(self.arrived)]
            with transaction.atomic():
                receipts.apply([DeliveryReport(reference, phone, status)])

    def look_up(self, which: int) -> None:
        """The provider's honest answer about one answered or silent batch."""
        asked = list(Batch.objects.filter(look_up_at__isnull=False).order_by("id"))
        if not asked:
            return
        batch = asked[which % len(asked)]
        phones = batch.messages.filter(status__in=Message.OPEN).values_list("phone", flat=True)
        missing = {phone for phone in phones if (batch.reference, phone) not in self.arrived}
        with transaction.atomic():
            receipts.apply(
                [
                    DeliveryReport(batch.reference, phone, DeliveryStatus.ACCEPTED)
                    for phone in phones
                    if phone not in missing
                ]
            )
        reconciliation._conclude(batch.id, missing, answered=True)

    def time_passes(self, which: int) -> None:
        """A batch whose receipts never came grows older than RECEIPT_WAIT."""
        asked = list(Batch.objects.filter(look_up_at__isnull=False).order_by("id"))
        if asked:
            batch = asked[which % len(asked)]
            Batch.objects.filter(id=batch.id).update(claimed_at=timezone.now() - timedelta(days=3))
            reconciliation._conclude(batch.id, set(), answered=True)

    def pause(self) -> None:
        self._change(transitions.pause)

    def resume(self) -> None:
        self._change(transitions.resume)

    def cancel(self) -> None:
        self._change(transitions.cancel)

    def settle(self) -> None:
        transitions.settle_due()

    def opt_out(self, which: int) -> None:
        consent.opt_out(f"+7998{which:07}", OptOut.Source.PERSON)

    def _change(self, change: Any) -> None:
        self.mailing.refresh_from_db()
        with contextlib.suppress(errors.WrongState):
            change(self.mailing, self.by)

    def check(self) -> None:
        mailing_factories.assert_counters_equal_rows(self.mailing)
        Account.objects.update(failures=0, cooldown_until=None)
        now = dict(Message.objects.filter(mailing=self.mailing).values_list("id", "status"))
        for message, before in self.last.items():
            after = now[message]
            if before in Message.FINAL and before != Status.NO_RECEIPT:
                assert after == before
            if before == Status.NO_RECEIPT:
                assert after in Message.FINAL
        self.last = now
        twice = [each for each, n in Counter(phone for _, phone in self.arrived).items() if n > 1]
        assert not twice
        self.mailing.refresh_from_db()
        if self.mailing.state == Mailing.State.DONE:
            assert set(now.values()) <= Message.FINAL

    def finish(self) -> None:
        """Left alone with a provider that behaves, everything comes to an end."""
        if self.mailing.state == Mailing.State.PAUSED:
            self.resume()
        while prepare.prepare_some(self.mailing.id):
            pass
        self.check()
        for _ in range(60):
            if set(self.last.values()) <= Message.FINAL | {Status.ACCEPTED}:
                break
            self.go_on()
        for which in range(len(self.arrived)):
            self.step("report", which, DeliveryStatus.DELIVERED)
        self.step("settle")
        self.step("settle")
        self.mailing.refresh_from_db()
        assert self.mailing.state in (Mailing.State.DONE, Mailing.State.CANCELLED)
        assert set(mailing_factories.statuses(self.mailing)) <= Message.FINAL
        assert len(self.last) == PEOPLE + 1  # the owner has no phone and is left out

    def go_on(self) -> None:
        for name in ("claim", "settle", "recover"):
            self.step(name)
        while self.batches:
            self.step("answer", 0, [(Outcome.TAKEN, True)] * PEOPLE)
        for which in range(3):
            self.step("look up", which)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three batches for seven people."""
    monkeypatch.setattr(Simulator, "batch", 3)


@pytest.mark.django_db
@pytest.mark.usefixtures("small_batches")
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(early=st.booleans(), steps=st.lists(STEPS, min_size=5, max_size=40))
def test_any_order_keeps_the_books(early: bool, steps: list[tuple[Any, ...]]) -> None:
    world = _world()
    if not early:
        world.step("prepare")
    for step in steps:
        world.step(*step)
    world.finish()


def _world() -> World:
    """A fresh one for each example: they share the test's transaction."""
    for model in (Message, Batch, Counters, AuditEvent, Mailing, Account, ConsentEvent, OptOut):
        model.objects.all().delete()
    User.objects.all().delete()
    factories.simulator()
    factories.students(PEOPLE)
    owner = factories.owner()
    return World(mailing_factories.launched(owner), owner)
