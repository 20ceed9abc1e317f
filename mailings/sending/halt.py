"""The system pauses a mailing by itself. Why stands on its page while it is paused, and for good in its
history.
"""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from integrations.reasons import Reason
from mailings.models import Mailing
from users.models import audit


def halt(which: QuerySet[Mailing], pk: int, reason: Reason, raw: str = "", **changes: Any) -> bool:
    """Pause the mailing `pk` if it is still among `which`: whoever has paused or cancelled it meanwhile
    wins. raw: the service's own code. changes: what else is written with it. True if it was paused.
    """
    with transaction.atomic():
        done = which.filter(pk=pk).update(
            state=Mailing.State.PAUSED, trouble=reason, trouble_raw=raw[:64], **changes
        )
        if done:
            audit(None, "halted", f"mailing {pk}", reason=str(reason))
    return bool(done)
