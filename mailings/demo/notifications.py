"""The notifications of the demo school, and the events of its last weeks. Like school.py, it writes
rows without the ledger; recount then counts them.
"""

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from integrations.models import Account
from integrations.reasons import Reason
from mailings.audience.personalization import as_launched, values_of
from mailings.models import Batch, Mailing, Message
from mailings.notifications import editing, registry
from mailings.reports import recount
from mailings.text import sealed
from mailings.text import template as text
from users.models import OptOut, User

from . import fates
from . import words as demo_words

Status = Message.Status
DAYS = 40


@dataclass(frozen=True, slots=True)
class Past:
    """An event, and how many times it happened."""

    event: str
    times: int
    values: Callable[[random.Random], dict[str, str]]


PAST = (
    Past(registry.PHONE_CODE, 34, lambda _dice: {"code": sealed.sealed(secrets.token_hex(8))}),
    Past(registry.WELCOME, 21, lambda _dice: {}),
    Past(demo_words.PAID.event, 57, lambda dice: {"number": str(dice.randrange(1200, 9900))}),
)


def tell(people: Sequence[User], manager: User, account: Account, dice: random.Random) -> None:
    """Write the past events. `people` must not include the student who signs in, because a person's
    own list is ordered by when rows were written.
    """
    words = demo_words.PAID
    own = Mailing(
        event=words.event, name=words.name, text=words.text, event_values=list(words.values)
    )
    editing.add(own, manager)
    refused = set(OptOut.objects.values_list("phone", flat=True))
    for past in PAST:
        notification = registry.named(past.event)
        if notification is None:
            continue
        editing.switch(notification, manager, on=True)
        # A person without a phone does not ask for a code.
        chosen = [each for each in people if each.phone or past.event != registry.PHONE_CODE]
        ago = sorted((DAYS * dice.random() for _ in range(past.times)), reverse=True)
        for number, days in enumerate(ago):
            message = _message(notification, dice.choice(chosen), past.values(dice), refused)
            message.key = f"demo:{number}"
            _happen(message, timezone.now() - timedelta(days=days, hours=1), account, dice)
        recount.repair(notification.pk)


def _message(
    notification: Mailing, person: User, values: dict[str, str], refused: set[str]
) -> Message:
    message = Message(mailing=notification, user=person, phone=person.phone)
    if person.sms_forbidden:
        message.reason = Reason.FORBIDDEN
    elif not person.phone:
        message.reason = Reason.NO_PHONE
    elif person.phone in refused:
        message.reason = Reason.OPTED_OUT
    else:
        template = as_launched(notification.text, notification.wrapping)
        message.text = text.render(template, values_of(person) | values)
        message.parts = text.parts_of(message.shown)
    return message


def _happen(message: Message, at: datetime, account: Account, dice: random.Random) -> None:
    """Save the message as it was submitted then, with its result."""
    if message.reason:
        fates.end(message, Status.SKIPPED, at, message.reason)
    else:
        message.batch = Batch.objects.create(
            mailing=message.mailing,
            state=Batch.State.ANSWERED,
            size=1,
            not_before=at,
            account=account,
            reference=Batch.new_reference(),
            claimed_at=at,
            answered_at=at + timedelta(seconds=1),
        )
        message.submitted_at = message.batch.answered_at
        fates.meet(message, dice)
    message.save()
