"""For each of PERIODIC_JOBS: two things to do, the first of which the database refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.utils import timezone

from integrations.models import Account, Receipt, ReceiptPack, SimulatedSms
from mailings.lifecycle import recall, transitions
from mailings.models import (
    Batch,
    BooksSweep,
    Click,
    Counters,
    Mailing,
    Message,
    Restoration,
)
from mailings.notifications import send
from mailings.sending import prepare, worker
from tests import factories
from tests.mailings import mailing_factories
from users.models import Group, User

State = Mailing.State
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Scene:
    poison: tuple[str, str, str]  # for poison.poison()
    page: str  # which names the trouble
    others: Callable[[], bool]  # is the other one done?
    whole: Callable[[], bool]  # is the poisoned one done too?


def _page(mailing: Mailing) -> str:
    return f"/mailings/{mailing.pk}/"


def _state(mailing: Mailing) -> str:
    mailing.refresh_from_db()
    return mailing.state


def _two(**fields: Any) -> tuple[Mailing, Mailing]:
    """Two launched mailings to the same three people."""
    owner = User.objects.get(role="owner")
    return mailing_factories.launched(owner, **fields), mailing_factories.launched(
        owner, name="Sound", **fields
    )


def _two_prepared(**fields: Any) -> tuple[Mailing, Mailing]:
    both = _two(**fields)
    for each in both:
        while prepare.prepare_some(each.pk):
            pass
    return both


def _two_sent(**fields: Any) -> tuple[Mailing, Mailing]:
    both = _two_prepared(**fields)
    while worker.hand_over_due():
        pass
    return both


def _is(mailing: Mailing, **counts: int) -> bool:
    return Counters.objects.filter(mailing=mailing, **counts).exists()


def start() -> Scene:
    first, second = _two()
    Mailing.objects.update(state=State.SCHEDULED, leaves_at=timezone.now())
    return Scene(
        ("UPDATE", "mailings_mailing", f"NEW.id = {first.pk}"),
        _page(first),
        lambda: _state(second) == State.PREPARING,
        lambda: _state(first) == State.PREPARING,
    )


def prepare_() -> Scene:
    first, second = _two()
    return Scene(
        ("INSERT", "mailings_message", f"NEW.mailing_id = {first.pk}"),
        _page(first),
        lambda: _is(second, waiting=3),
        lambda: _is(first, waiting=3),
    )


def watch() -> Scene:
    group = Group.objects.create(name="Course")
    mailing_factories.join(group, *User.objects.filter(role="student"))
    first, second = mailing_factories.watching(group), mailing_factories.watching(group)
    return Scene(
        ("INSERT", "mailings_message", f"NEW.mailing_id = {first.pk}"),
        _page(first),
        lambda: _is(second, waiting=3),
        lambda: _is(first, waiting=3),
    )


def hand_over() -> Scene:
    first, second = _two_prepared()
    return Scene(
        ("UPDATE", "mailings_batch", f"NEW.id = {first.batches.get().pk}"),
        _page(first),
        lambda: _is(second, accepted=3),
        lambda: _is(first, accepted=3),
    )


def notify() -> Scene:
    made = []
    for event in ("order_paid", "order_sent"):
        notification = Mailing.objects.create(
            kind=Mailing.Kind.NOTIFICATION,
            event=event,
            name=event,
            text="Thank you",
            state=State.SENDING,
        )
        Counters.objects.create(mailing=notification)
        made.append(notification)
        person = User.objects.filter(role="student").first()
        assert person is not None
        send.raise_event(event, person, key="order:15")
    first, second = made
    return Scene(
        ("UPDATE", "mailings_batch", f"NEW.id = {first.batches.get().pk}"),
        f"/notifications/{first.pk}/",
        lambda: _is(second, accepted=1),
        lambda: _is(first, accepted=1),
    )


def process_receipts() -> Scene:
    first, second = _two_sent()
    SimulatedSms.objects.update(report_at=timezone.now())
    Receipt.objects.all().delete()
    account = Account.objects.get()
    for message in Message.objects.exclude(batch=None).select_related("batch").order_by("id"):
        assert message.batch is not None
        told = f'{{"reports": [{{"reference": "{message.batch.reference}", "phone": "{message.phone}"}}]}}'
        Receipt.objects.create(account=account, body=told)
    bad = first.messages.filter(status="accepted").order_by("id")[1]
    return Scene(
        ("UPDATE", "mailings_message", f"NEW.id = {bad.pk}"),
        "/settings/integrations/simulator/",
        lambda: _is(second, delivered=3) and _is(first, delivered=2, accepted=1),
        lambda: _is(first, delivered=3),
    )


def process_clicks() -> Scene:
    first, second = _two_sent()
    for message in Message.objects.filter(status="accepted"):
        Click.objects.create(
            message=message, mailing=message.mailing, position=0, kind="person", method="GET"
        )
    return Scene(
        ("UPDATE", "mailings_counters", f"NEW.mailing_id = {first.pk} AND NEW.clicks > 0"),
        _page(first),
        lambda: _is(second, clicks=3) and _is(first, clicks=0),
        lambda: _is(first, clicks=3),
    )


def settle() -> Scene:
    """Both parts: one cannot be called done, and the messages of another cannot be stopped."""
    first, second = _two_sent()
    third, fourth = _two_prepared()
    owner = User.objects.get(role="owner")
    for each in (third, fourth):
        transitions.cancel(each, owner)
    return Scene(
        ("UPDATE", "mailings_counters", f"NEW.mailing_id = {third.pk}"),
        _page(third),
        lambda: _state(first) == _state(second) == State.SETTLING and _is(fourth, cancelled=3),
        lambda: _is(third, cancelled=3),
    )


def judge_waves() -> Scene:
    first, second = _two_sent(first_wave=1)
    Message.objects.filter(status="accepted").update(status="delivered")
    return Scene(
        ("UPDATE", "mailings_mailing", f"NEW.id = {first.pk}"),
        _page(first),
        lambda: Mailing.objects.filter(pk=second.pk, wave_passed_at__isnull=False).exists(),
        lambda: Mailing.objects.filter(pk=first.pk, wave_passed_at__isnull=False).exists(),
    )


def recall_() -> Scene:
    first, second = _two_sent(starts_at=timezone.now() + HOUR)
    owner = User.objects.get(role="owner")
    for each in (first, second):
        assert recall.recall(each, owner) == 3
    batch = first.batches.filter(recall_at__isnull=True)
    return Scene(
        ("UPDATE", "mailings_batch", f"NEW.mailing_id = {first.pk} AND NEW.recall_at IS NULL"),
        _page(first),
        lambda: _is(second, cancelled=3),
        lambda: batch.exists(),
    )


def recover() -> Scene:
    first, second = _two_prepared()
    for _ in range(2):
        mailing_factories.claimed()
    Batch.objects.update(claimed_at=timezone.now() - HOUR)
    return Scene(
        ("UPDATE", "mailings_batch", f"NEW.id = {first.batches.get().pk}"),
        _page(first),
        lambda: _is(second, unknown=3),
        lambda: _is(first, unknown=3),
    )


def reconcile() -> Scene:
    first, second = _two_sent()
    SimulatedSms.objects.update(report_at=timezone.now())
    Batch.objects.update(look_up_at=timezone.now())
    return Scene(
        ("UPDATE", "mailings_counters", f"NEW.mailing_id = {first.pk}"),
        _page(first),
        lambda: _is(second, delivered=3),
        lambda: _is(first, delivered=3),
    )


def simulate() -> Scene:
    _two_sent()
    SimulatedSms.objects.update(report_at=timezone.now())
    bad = SimulatedSms.objects.order_by("id")[1]
    left = SimulatedSms.objects.filter(reported=False)
    return Scene(
        ("UPDATE", "integrations_simulatedsms", f"NEW.id = {bad.pk}"),
        "/settings/integrations/simulator/",
        lambda: left.count() == 1,
        lambda: not left.exists(),
    )


def refresh_balances() -> Scene:
    smsc = factories.smsc()  # it has priority, hence its turn first
    known = Account.objects.filter(balance__isnull=False)
    return Scene(
        ("UPDATE", "integrations_account", f"NEW.id = {smsc.pk}"),
        "/settings/integrations/smsc/",
        lambda: known.filter(provider="simulator").exists(),
        lambda: known.filter(provider="smsc").exists(),
    )


def forget() -> Scene:
    long_ago = timezone.now() - timedelta(days=400)
    bad, *_others = [
        ReceiptPack.objects.create(last_at=long_ago, receipts=0, strangers=0, content=b"")
        for _ in range(3)
    ]
    return Scene(
        ("DELETE", "integrations_receiptpack", f"OLD.id = {bad.pk}"),
        "/settings/integrations/",
        lambda: ReceiptPack.objects.count() == 1,
        lambda: not ReceiptPack.objects.exists(),
    )


def forget_messages() -> Scene:
    first, second = _two_sent()
    Message.objects.filter(status="accepted").update(status="delivered")
    long_ago = timezone.now() - timedelta(days=400)
    Mailing.objects.update(state=State.DONE, finished_at=long_ago)
    return Scene(
        ("DELETE", "mailings_message", f"OLD.mailing_id = {first.pk}"),
        _page(first),
        lambda: not second.messages.exists(),
        lambda: not first.messages.exists(),
    )


def mend() -> Scene:
    first, second = _two_prepared()
    for _ in range(2):
        mailing_factories.claimed()
    Batch.objects.update(claimed_at=timezone.now() + 24 * HOUR)
    ahead = Batch.objects.filter(claimed_at__gt=timezone.now() + HOUR)
    return Scene(
        ("UPDATE", "mailings_batch", f"NEW.id = {first.batches.get().pk}"),
        _page(first),
        lambda: not ahead.filter(mailing=second).exists(),
        lambda: not ahead.exists(),
    )


def ask_books() -> Scene:
    first, second = factories.smsc(), factories.seventech()
    restoration = Restoration.objects.create(
        why=Restoration.Why.COMMAND,
        found_at=timezone.now() - HOUR,
        copy_at=timezone.now() - 2 * HOUR,
        since=timezone.now() - 2 * HOUR,
    )
    sweeps = [
        BooksSweep.objects.create(restoration=restoration, account=account)
        for account in (first, second)
    ]
    began = BooksSweep.objects.filter(began_at__isnull=False)
    return Scene(
        ("UPDATE", "mailings_bookssweep", f"NEW.id = {sweeps[0].pk}"),
        "/settings/integrations/smsc/",
        lambda: began.filter(pk=sweeps[1].pk).exists(),
        lambda: began.filter(pk=sweeps[0].pk).exists(),
    )


def forget_sessions() -> Scene:
    ended = timezone.now() - HOUR
    for key in ("a", "b", "c"):
        Session.objects.create(session_key=key, session_data="", expire_date=ended)
    left = Session.objects.filter(session_key__in=["a", "b", "c"])
    return Scene(
        ("DELETE", "django_session", "OLD.session_key = 'b'"),
        "/settings/integrations/",
        lambda: left.count() == 1,
        lambda: not left.exists(),
    )


SCENES: dict[str, Callable[[], Scene]] = {
    "start": start,
    "prepare": prepare_,
    "watch": watch,
    "hand_over": hand_over,
    "notify": notify,
    "process_receipts": process_receipts,
    "process_clicks": process_clicks,
    "settle": settle,
    "judge_waves": judge_waves,
    "recall": recall_,
    "recover": recover,
    "reconcile": reconcile,
    "simulate": simulate,
    "refresh_balances": refresh_balances,
    "forget": forget,
    "forget_messages": forget_messages,
    "forget_sessions": forget_sessions,
    "mend": mend,
    "ask_books": ask_books,
}
