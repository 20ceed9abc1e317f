"""Taking back what a service keeps until a time set: it is asked lot by lot, and what it gives back is
cancelled. What it has sent meanwhile stays sent.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import router
from integrations.models import Account
from integrations.provider import Asked, Report, Trouble
from integrations.reasons import Reason
from integrations.turns import Turns
from smsmail.clock import nudge
from users.models import AuditEvent, User, audit

from . import epoch, gates, lifecycle, receipts
from .models import Dispatch, Mailing, Message

logger = logging.getLogger(__name__)

State = Mailing.State
Status = Message.Status
AGAIN = timedelta(seconds=60)  # when it could not be asked


@dataclass(frozen=True, slots=True)
class Standing:
    """How far taking back has come, in messages."""

    wanted: int = 0
    to_ask: int = 0  # about which the service is still to be asked
    taken_back: int = 0

    @property
    def kept(self) -> int:
        """Asked for in vain: sent meanwhile, or the service does not give them back."""
        return max(self.wanted - self.to_ask - self.taken_back, 0)


def can_recall(mailing: Mailing) -> bool:
    """Does a service that gives back keep some of it, and was not asked yet?"""
    kept = mailing.dispatches.filter(
        send_at__gt=timezone.now(), account__isnull=False, recall_at__isnull=True
    ).exclude(state=Dispatch.State.WAITING)
    slugs = kept.order_by().values_list("account__provider", flat=True).distinct()
    return any(router.provider_class(slug).can_cancel for slug in slugs)


def recall(mailing: Mailing, by: User) -> int:
    """Cancel what has not gone, and have the services asked for what they keep. How many messages.

    Raises WrongState when there is nothing to ask for.
    """
    with transaction.atomic():
        kept = list(
            mailing.dispatches.select_for_update(no_key=True)
            .filter(send_at__gt=timezone.now(), recall_at__isnull=True)
            .exclude(state=Dispatch.State.WAITING)
            .order_by("id")
            .values_list("id", flat=True)
        )
        if not kept:
            raise lifecycle.WrongState(_("The service keeps nothing of it any more."))
        stoppable = Mailing.STOPPABLE | {State.SETTLING, State.WATCHING}
        Mailing.objects.filter(id=mailing.id, state__in=stoppable).update(
            state=State.CANCELLED, trouble="", trouble_raw=""
        )
        mailing.refresh_from_db()
        gates.hold_mailing(mailing.id)
        Dispatch.objects.filter(id__in=kept).update(recall_at=timezone.now())
        open_ = [Status.ACCEPTED, Status.UNKNOWN]
        asked = Message.objects.filter(dispatch__in=kept, status__in=open_).count()
        audit(by, "recalled", f"mailing {mailing.id}", messages=asked)
        nudge("settle")
        nudge("recall")
    return asked


def standing(mailing: Mailing) -> Standing:
    asked = AuditEvent.objects.filter(target=f"mailing {mailing.pk}", what="recalled")
    wanted = sum(each.get("messages", 0) for each in asked.values_list("details", flat=True))
    if not wanted:
        return Standing()
    lots = mailing.dispatches.filter(recall_at__isnull=False).values("id")
    open_ = [Status.ACCEPTED, Status.UNKNOWN]
    rows = Message.objects.filter(mailing=mailing)
    return Standing(
        wanted,
        to_ask=Message.objects.filter(dispatch__in=lots, status__in=open_).count(),
        taken_back=rows.filter(reason=Reason.TAKEN_BACK).exclude(reason="").count(),
    )


def recall_due() -> bool:
    """Clock job: ask each service about one lot; True when more may be asked at once."""
    marked = Dispatch.objects.filter(recall_at__isnull=False)
    if not marked.exists() or epoch.is_held():
        return False
    marked.filter(send_at__lte=timezone.now()).update(recall_at=None)  # sent: nothing to ask for
    due = marked.filter(account=OuterRef("pk"), recall_at__lte=timezone.now())
    return _turns.take(Account.objects.filter(Exists(due)))


def _ask_next(account: Account) -> bool:
    provider = router.provider_of(account)
    lot = _take(account, timedelta(seconds=provider.cancel_pause))
    if lot is None:
        return False
    open_ = lot.messages.filter(status__in=[Status.ACCEPTED, Status.UNKNOWN])
    rows = open_.values_list("phone", "provider_id")
    asked = tuple(Asked(phone, provider_id=provider_id) for phone, provider_id in rows)
    reports: list[Report] = []
    try:
        if asked and account.connected and provider.can_cancel:
            reports = provider.cancel(lot.reference, asked)
    except Trouble as trouble:
        logger.warning("%s could not be asked to give back: %s", account.provider, trouble)
        _put_off(lot)
        return False
    except Exception as error:  # noqa: BLE001 - one provider's mistake must not keep others from being asked
        logger.error("%s cannot give back: %s", account.provider, type(error).__name__)
    with transaction.atomic(durable=True):
        receipts.apply([replace(report, reason=Reason.TAKEN_BACK) for report in reports])
    Dispatch.objects.filter(id=lot.id).update(recall_at=None)
    nudge("settle")
    return not provider.cancel_pause


_turns = Turns("recall", _ask_next)


def _take(account: Account, pause: timedelta) -> Dispatch | None:
    """The lot that is to be sent first, put off by a lease so that nobody else asks meanwhile; the
    others by the pause that the service wants.
    """
    now = timezone.now()
    answered = [Dispatch.State.ANSWERED, Dispatch.State.SILENT]
    marked = Dispatch.objects.filter(account=account, recall_at__isnull=False)
    due = marked.filter(recall_at__lte=now, state__in=answered)
    if not due.exists():
        return None
    with transaction.atomic(durable=True):
        # The pause is that of all workers.
        Account.objects.select_for_update(no_key=True).get(id=account.id)
        lot = due.select_for_update(no_key=True, of=("self",)).order_by("send_at", "id").first()
        if lot is None:
            return None
        marked.filter(recall_at__lt=now + pause).update(recall_at=now + pause)
        lease = timedelta(seconds=settings.LEASE)
        Dispatch.objects.filter(id=lot.id).update(recall_at=now + lease)
    return lot


def _put_off(lot: Dispatch) -> None:
    Dispatch.objects.filter(id=lot.id).update(recall_at=timezone.now() + AGAIN)
