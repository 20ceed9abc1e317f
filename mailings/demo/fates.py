"""Decides what becomes of the demo school's messages, as if the simulator had sent them. Writes
nothing.
"""

import random
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from integrations.providers import simulator
from integrations.providers.contract import DeliveryStatus
from integrations.reasons import Reason
from mailings.models import Message

Status = Message.Status
PRICE = Decimal("2.5")
BAD_DAYS = (Reason.UNREACHABLE, Reason.NUMBER_BLOCKED, Reason.SIM_REPLACED)


def meet(message: Message, dice: random.Random) -> None:
    """Set what the simulator does to this phone. Messages to the other phones fail now and then."""
    fate = simulator.outcome_of(message.phone)
    handed = message.submitted_at or timezone.now()
    soon = handed + timedelta(seconds=dice.lognormvariate(2.2, 1.1))
    message.price = PRICE * message.parts
    if fate.status is None and fate.reason is not None:
        message.price = None
        end(message, Status.REFUSED, handed, fate.reason)
    elif fate.status is None:
        wait = timedelta(seconds=settings.RECEIPT_WAIT)
        end(message, Status.NO_RECEIPT, handed + wait, Reason.NO_RECEIPT)
    elif fate.status != DeliveryStatus.DELIVERED:
        end(message, Status(fate.status.value), soon, fate.reason or Reason.OTHER)
    elif dice.random() < 0.025:
        end(message, Status.EXPIRED, handed + timedelta(hours=24), Reason.EXPIRED)
    elif dice.random() < 0.02:
        end(message, Status.UNDELIVERED, soon, dice.choice(BAD_DAYS))
    else:
        end(message, Status.DELIVERED, soon, "")


def end(message: Message, status: Status, at: datetime, reason: str) -> None:
    message.status = status
    message.reason = reason
    message.final_at = at
