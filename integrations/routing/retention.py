"""Receipts and the simulator's books are kept for 90 days."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from integrations.models import Receipt, SimulatedSms, Stray
from smsmail.jobs.set_aside import Work, held, in_halves
from smsmail.models import SetAside

KEEP_RECEIPTS = timedelta(days=90)


def forget_old() -> bool:
    """Clock job: processed receipts and the simulator's books are kept 90 days. A slice at a time."""
    before = timezone.now() - KEEP_RECEIPTS
    Stray.objects.filter(at__lt=before).delete()
    receipts = Receipt.objects.filter(received_at__lt=before, processed_at__isnull=False)
    receipts = receipts.order_by("received_at")
    simulated = SimulatedSms.objects.filter(at__lt=before)
    gone = [
        _forget(Work("forget", "receipt"), receipts),
        _forget(Work("forget_simulated", "sms"), simulated),
    ]
    SetAside.objects.filter(next_try_at__lt=timezone.now() - timedelta(days=1)).delete()
    return any(gone)


def _forget(work: Work, rows: "QuerySet[Any]") -> int:
    """A slice; what cannot be deleted is set aside."""
    old = rows.exclude(id__in=held(work.name)).values_list("id", flat=True)
    ids = list(old[:5000])

    def forget(these: Sequence[int]) -> None:
        rows.model._default_manager.filter(id__in=these).delete()

    if ids:
        in_halves(work, ids, forget, lambda _id: "forget ")
    return len(ids)
