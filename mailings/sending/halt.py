"""Pauses a mailing automatically. Its page shows the reason while it is paused, its history for good."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from integrations.reasons import Reason
from mailings.models import Mailing
from users.models import audit


def halt(which: QuerySet[Mailing], pk: int, reason: Reason, raw: str = "", **changes: Any) -> bool:
    """Pause the mailing `pk` if it is still among `which`, so that a pause or cancellation by somebody
    else in the meantime wins. raw: the provider's own code. changes: more columns to write with it.
    Returns True if the mailing was paused.
    """
    with transaction.atomic():
        done = which.filter(pk=pk).update(
            state=Mailing.State.PAUSED, trouble=reason, trouble_raw=raw[:64], **changes
        )
        if done:
            audit(None, "halted", f"mailing {pk}", reason=str(reason))
    return bool(done)
