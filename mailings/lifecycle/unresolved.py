"""Lets a person decide about messages of which nobody can say whether they were sent: the provider cannot
be asked, was asked and cannot tell, or has not told within RECEIPT_WAIT. The log records who decided.
Nothing in this module happens automatically.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Stray
from integrations.routing import routing
from mailings.errors import WrongState
from mailings.models import Batch, Mailing, Message
from mailings.sending import ledger, record
from mailings.sending.ledger import Move
from smsmail.jobs.periodic import nudge
from users.models import User, audit

CHUNK = 5000  # messages in one transaction

Status = Message.Status
# The provider was asked as far as it can be, without a result.
IN_VAIN = (Batch.Doubt.LOGIN, Batch.Doubt.NO_PROOF)


def open_questions(mailing: Mailing) -> int:
    """Count the messages that wait for a person's decision."""
    return _questions(mailing).count()


def close_unknown(mailing: Mailing, by: User) -> int:
    """Stop waiting for these messages: they become "no receipt", and a late receipt still counts.
    Returns how many.
    """
    if not _write_down(mailing, by, "let_be"):
        return 0
    done = 0
    more = True
    while more:
        with transaction.atomic(durable=True):
            some = list(
                _questions(mailing).order_by("id").values_list("id", "reason", "raw_code")[:CHUNK]
            )
            # The reason stays, because it is still unknown whether the message was sent.
            moves = [Move(key, Status.NO_RECEIPT, reason, raw) for key, reason, raw in some]
            done += len(ledger.move(moves, only_from={Status.UNKNOWN}))
        more = len(some) == CHUNK
    nudge("settle")
    return done


def send_again(mailing: Mailing, by: User) -> int:
    """Send these messages again, in new batches. People whom the first try did reach get the message
    twice. Returns how many. Raises WrongState for a cancelled mailing: nothing of it is sent any more.
    """
    if mailing.state == Mailing.State.CANCELLED:
        raise WrongState(_("The mailing is cancelled: nothing of it is sent any more."))
    if not _write_down(mailing, by, "sent_again"):
        return 0
    batches = Batch.objects.filter(id__in=_questions(mailing).values("batch_id")).order_by("id")
    done = sum(
        _send_batch_again(mailing, batch_id) for batch_id in batches.values_list("id", flat=True)
    )
    nudge("settle")
    nudge("hand_over")
    return done


def _send_batch_again(mailing: Mailing, batch_id: int) -> int:
    with transaction.atomic(durable=True):
        batch = (
            Batch.objects.select_for_update(of=("self",), no_key=True)
            .select_related("mailing")
            .get(id=batch_id)
        )
        if batch.mailing.state == Mailing.State.CANCELLED:  # it was cancelled meanwhile
            return 0
        # Read under the lock, so that a second click finds none.
        asked = _questions(mailing).filter(batch=batch, provider_id="")
        again = list(_questions(mailing).filter(batch=batch).values_list("id", flat=True))
        if again:
            _leave_a_trace(batch, list(asked.values_list("phone", flat=True)))
            record.send_again(batch, again)
    return len(again)


def _leave_a_trace(batch: Batch, phones: list[str]) -> None:
    """Record a Stray for each phone: the first try may appear in the provider's records all the same, and
    must not be taken for the second.
    """
    since = batch.claimed_at or timezone.now()
    if batch.account_id is not None:
        traces = [Stray(account_id=batch.account_id, phone=phone, at=since) for phone in phones]
        Stray.objects.bulk_create(traces, batch_size=500)


def _write_down(mailing: Mailing, by: User, what: str) -> int:
    """Log the decision before it is carried out and return the number of messages. So the log says who
    decided, and about how many, even if the process is killed half way.
    """
    count = open_questions(mailing)
    if count:
        audit(by, what, f"mailing {mailing.id}", messages=count)
    return count


def _questions(mailing: Mailing) -> QuerySet[Message]:
    return unknown(mailing).filter(decidable())


def unknown(mailing: Mailing) -> QuerySet[Message]:
    """Select the messages of unknown fate."""
    return (
        Message.objects.unknown()
        .filter(mailing=mailing)
        .exclude(
            reason=""  # for the partial index: an unknown message always has a reason
        )
    )


def decidable() -> Q:
    """Return the condition for messages about which a person may decide: no provider is left to
    ask, it was asked and cannot tell, or it has not told within RECEIPT_WAIT. A provider that can
    never be asked leaves the decision at once; otherwise it comes after LOOK_UP_AFTER at the
    earliest, since a receipt may still answer the question.
    """
    now = timezone.now()
    waited = now - timedelta(seconds=settings.LOOK_UP_AFTER)
    connected = routing.connected()
    can_tell = {
        account.id: routing.provider_class(account.provider).can_look_up for account in connected
    }
    asked = [key for key, tells in can_tell.items() if tells]
    mute = Q(batch__account__in=[key for key, tells in can_tell.items() if not tells])
    asked_long = Q(batch__claimed_at__lt=now - timedelta(seconds=settings.RECEIPT_WAIT))
    in_vain = Q(batch__doubt__in=IN_VAIN) | ~Q(batch__account__in=asked)
    # The provider may still report on what it keeps until a set time.
    scheduled = Q(batch__send_at__gt=waited)
    return ~scheduled & (asked_long | mute | (Q(batch__claimed_at__lt=waited) & in_vain))
