"""Recalls messages that a provider keeps until a set time. The provider is asked batch by batch, and the
messages that it gives back are cancelled. What it has sent meanwhile stays sent.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Account
from integrations.providers.base import Provider
from integrations.providers.contract import DeliveryReport, LookupItem, ProviderError
from integrations.reasons import Reason
from integrations.routing import routing
from integrations.routing.in_turn import Turns
from mailings import errors
from mailings.models import Batch, Mailing, Message
from mailings.sending import epoch, last_look, receipts
from smsmail.jobs.periodic import nudge
from smsmail.jobs.set_aside import Thing, Work, attempt, recovered, set_aside_ids
from users.models import AuditEvent, User, audit

from . import transitions

logger = logging.getLogger(__name__)

State = Mailing.State
Status = Message.Status
BATCHES = Work("take_back", "batch")  # a part of the job "recall"
AGAIN = timedelta(seconds=60)  # until the next try, when the provider could not be asked


@dataclass(frozen=True, slots=True)
class RecallProgress:
    """The progress of a recall, in messages."""

    wanted: int = 0
    to_ask: int = 0  # messages about which the provider is still to be asked
    taken_back: int = 0
    out_of_reach: int = 0  # the part of to_ask whose provider has been disconnected since

    @property
    def being_asked(self) -> int:
        """Messages about which a connected provider is still to be asked."""
        return self.to_ask - self.out_of_reach

    @property
    def not_returned(self) -> int:
        """Messages asked for in vain: sent meanwhile, or not given back by the provider."""
        return max(self.wanted - self.to_ask - self.taken_back, 0)


def can_recall(mailing: Mailing) -> bool:
    """Return whether a connected provider that can give messages back still holds some of the mailing and
    has not been asked for them.
    """
    return _can_be_asked(mailing).exists()


def askable(mailing: Mailing) -> int:
    """Count the messages that providers would be asked to give back."""
    return _open(_can_be_asked(mailing)).count()


def recall(mailing: Mailing, by: User) -> int:
    """Cancel what has not left, and have the providers asked for what they keep. Returns the number of
    messages asked for. Raises WrongState when there is nothing to ask for.
    """
    with transaction.atomic():
        scheduled = list(
            _can_be_asked(mailing)
            .select_for_update(no_key=True, of=("self",))
            .order_by("id")
            .values_list("id", flat=True)
        )
        if not scheduled:
            raise errors.WrongState(why_not(mailing))
        stoppable = Mailing.STOPPABLE | {State.SETTLING, State.WATCHING}
        stopped = Mailing.objects.filter(id=mailing.id, state__in=stoppable).update(
            state=State.CANCELLED, trouble="", trouble_raw=""
        )
        mailing.refresh_from_db()
        last_look.hold_mailing(mailing.id)
        if stopped:
            transitions.complete(mailing)
        batches = Batch.objects.filter(id__in=scheduled)
        batches.update(recall_at=timezone.now(), recalled_at=timezone.now())
        asked = _open(batches).count()
        audit(by, "recalled", f"mailing {mailing.id}", messages=asked)
        nudge("settle")
        nudge("recall")
    return asked


def progress(mailing: Mailing) -> RecallProgress:
    """Return how far the recall of a mailing has come; all zero when none was asked for."""
    asked = AuditEvent.objects.filter(target=f"mailing {mailing.pk}", what="recalled")
    wanted = sum(each.get("messages", 0) for each in asked.values_list("details", flat=True))
    if not wanted:
        return RecallProgress()
    batches = mailing.batches.filter(recall_at__isnull=False)
    rows = Message.objects.filter(mailing=mailing)
    return RecallProgress(
        wanted,
        to_ask=_open(batches).count(),
        taken_back=rows.filter(reason=Reason.TAKEN_BACK).exclude(reason="").count(),
        out_of_reach=_open(batches.exclude(account__in=_askable_accounts())).count(),
    )


def _can_be_asked(mailing: Mailing) -> QuerySet[Batch]:
    """Select batches held by a provider that can be asked and has not been asked about them. What it did
    not give back the first time, it does not give back the second time.
    """
    return mailing.batches.scheduled_at_provider().filter(
        account__in=_askable_accounts(), recalled_at__isnull=True
    )


def _askable_accounts() -> list[Account]:
    return [
        each for each in routing.connected() if routing.provider_class(each.provider).can_cancel
    ]


def _open(batches: QuerySet[Batch]) -> QuerySet[Message]:
    return Message.objects.awaiting_receipt().filter(batch__in=batches.order_by().values("id"))


def why_not(mailing: Mailing) -> str:
    """Explain to the user why no provider can be asked."""
    scheduled = mailing.batches.scheduled_at_provider()
    if not scheduled.exists():
        return _("The service keeps nothing of it any more.")
    if not scheduled.filter(recalled_at__isnull=True).exists():
        return _("The service has been asked already.")
    return _(
        "The service cannot be asked: it does not give messages back, or its access data has been deleted."
    )


def recall_due() -> bool:
    """Periodic job: ask each provider about one batch. Returns True when more may be asked at once."""
    marked = Batch.objects.filter(recall_at__isnull=False)
    if not marked.exists() or epoch.is_held():
        return False
    marked.filter(send_at__lte=timezone.now()).update(recall_at=None)  # sent: nothing to ask for
    due = marked.filter(account=OuterRef("pk"), recall_at__lte=timezone.now())
    return _turns.take(Account.objects.filter(Exists(due)))


def _ask_next(account: Account) -> bool:
    """Ask about one batch of the account; only a batch that fails is set aside. Returns True when the
    next one may be asked about at once.
    """
    if not account.connected:
        return (
            False  # the batch stays marked, and is asked about when the account is connected again
        )
    provider = routing.provider_of(account)
    batch = _take(account, timedelta(seconds=provider.cancel_pause))
    if batch is None:
        return False
    thing = Thing(batch.id, f"mailing {batch.mailing_id}")
    asked = attempt(BATCHES, thing, lambda: _ask(account, provider, batch))
    return asked is not False and not provider.cancel_pause


def _ask(account: Account, provider: Provider, batch: Batch) -> bool:
    """Ask the provider to give a batch back. Returns False when the provider cannot be asked now; then
    it is not asked about the next batch either.
    """
    open_ = batch.messages.awaiting_receipt()
    rows = open_.values_list("phone", "provider_id")
    asked = tuple(LookupItem(phone, provider_id=provider_id) for phone, provider_id in rows)
    reports: list[DeliveryReport] = []
    try:
        if asked and provider.can_cancel:
            reports = provider.cancel(batch.reference, asked)
    except ProviderError as trouble:
        logger.warning("%s could not be asked to give messages back: %s", account.provider, trouble)
        _put_off(batch)
        return False
    with transaction.atomic(durable=True):
        receipts.apply([replace(report, reason=Reason.TAKEN_BACK) for report in reports])
    Batch.objects.filter(id=batch.id).update(recall_at=None)
    recovered(BATCHES, [batch.id])
    nudge("settle")
    return True


_turns = Turns("recall", _ask_next)


def _take(account: Account, pause: timedelta) -> Batch | None:
    """Return the batch that is to be sent first, and postpone it by a lease so that no other worker asks
    meanwhile. The other batches are postponed by the pause that the provider wants.
    """
    now = timezone.now()
    answered = [Batch.State.ANSWERED, Batch.State.SILENT]
    marked = Batch.objects.filter(account=account, recall_at__isnull=False)
    due = marked.filter(recall_at__lte=now, state__in=answered)
    due = due.exclude(id__in=set_aside_ids(BATCHES.name))
    if not due.exists():
        return None
    with transaction.atomic(durable=True):
        # The lock makes the pause hold for all workers.
        Account.objects.select_for_update(no_key=True).get(id=account.id)
        batch = due.select_for_update(no_key=True, of=("self",)).order_by("send_at", "id").first()
        if batch is None:
            return None
        marked.filter(recall_at__lt=now + pause).update(recall_at=now + pause)
        lease = timedelta(seconds=settings.LEASE)
        Batch.objects.filter(id=batch.id).update(recall_at=now + lease)
    return batch


def _put_off(batch: Batch) -> None:
    Batch.objects.filter(id=batch.id).update(recall_at=timezone.now() + AGAIN)
