"""Deletes receipts, stray messages and the simulator's records after 90 days."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from integrations.models import ReceiptPack, SimulatedSms, Stray
from smsmail.jobs.set_aside import Work, in_halves, set_aside_ids
from smsmail.models import SetAside

KEEP_RECEIPTS = timedelta(days=90)


def forget_old() -> bool:
    """Periodic job: delete what is older than 90 days (packs of receipts, strays, the simulator's
    records), a slice at a time, and set-aside entries whose next try is a day overdue. True if a
    slice was deleted, so there may be more.
    """
    before = timezone.now() - KEEP_RECEIPTS
    Stray.objects.filter(at__lt=before).delete()
    receipts = ReceiptPack.objects.filter(last_at__lt=before).order_by("last_at")
    simulated = SimulatedSms.objects.filter(at__lt=before)
    gone = [
        _forget(Work("forget", "pack"), receipts, 200),
        _forget(Work("forget_simulated", "sms"), simulated, 5000),
    ]
    SetAside.objects.filter(next_try_at__lt=timezone.now() - timedelta(days=1)).delete()
    return any(gone)


def _forget(work: Work, rows: "QuerySet[Any]", at_once: int) -> int:
    """Delete one slice; rows that cannot be deleted are set aside."""
    old = rows.exclude(id__in=set_aside_ids(work.name)).values_list("id", flat=True)
    ids = list(old[:at_once])

    def forget(these: Sequence[int]) -> None:
        rows.model._default_manager.filter(id__in=these).delete()

    if ids:
        in_halves(work, ids, forget, lambda _id: "forget ")
    return len(ids)
