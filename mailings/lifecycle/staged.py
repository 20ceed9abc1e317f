"""Judges the first wave of a mailing: the rest is sent if few enough messages of it have failed;
otherwise the mailing is paused, and a person decides.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from integrations.reasons import Reason
from mailings.models import Batch, Mailing, Message
from mailings.sending.halt import halt
from smsmail.jobs.periodic import nudge
from smsmail.jobs.set_aside import Thing, Work, one_by_one

Status = Message.Status
ENOUGH = 95  # percent of the first wave: once so many have a final status, the wave can be judged
PATIENCE = timedelta(minutes=5)  # after the last submission; then those with a final status decide


def judge_due() -> bool:
    """Periodic job: pass or pause each mailing whose first wave has been submitted."""
    waiting = Mailing.objects.running().filter(first_wave__gt=0, wave_passed_at__isnull=True)
    due = {each.pk: each for each in waiting}
    one_by_one(Work("judge_waves"), map(Thing, due), lambda mailing: _judge(due[mailing]))
    return False


def _judge(mailing: Mailing) -> None:
    """Release the rest of the mailing, pause the mailing, or leave it for the next run."""
    now = timezone.now()
    if not _is_drawn_up(mailing):
        return
    batches = mailing.batches.filter(wave=0)
    in_hand = [Batch.State.WAITING, Batch.State.IN_FLIGHT]
    if batches.filter(state__in=in_hand).exists():
        return
    found = Message.objects.filter(batch__in=batches.values("id")).order_by().values_list("status")
    go_on = _may_go_on(dict(found.annotate(Count("id"))), mailing.error_limit, _last(batches), now)
    if go_on is None:
        return
    # A pause or cancellation by somebody else in the meantime wins.
    undecided = Mailing.objects.running().filter(wave_passed_at__isnull=True)
    if go_on or not _has_rest(mailing):
        if undecided.filter(id=mailing.id).update(wave_passed_at=now):
            nudge("hand_over")
    else:
        halt(undecided, mailing.id, Reason.WAVE_ERRORS)


def _may_go_on(
    statuses: Mapping[str, int], limit: int, last: datetime | None, now: datetime
) -> bool | None:
    """May the rest be sent? statuses: how many messages of the wave have each status; limit: percent
    that may fail; last: when the last of the wave left. None: it cannot be judged yet.
    """

    def count(*of: str) -> int:
        return sum(statuses.get(each, 0) for each in of)

    open_ = count(Status.ACCEPTED, Status.UNKNOWN)
    handed = count(*Message.TAKEN, Status.REFUSED, Status.UNKNOWN)
    if 100 * count(*Message.FAILED) > limit * handed:
        return False  # the open messages cannot change this
    patient = last is not None and now - last < PATIENCE
    return None if patient and 100 * open_ > (100 - ENOUGH) * handed else True


def _is_drawn_up(mailing: Mailing) -> bool:
    """Are all messages of the first wave prepared?"""
    if mailing.prepared_at is not None:
        return True
    return mailing.batches.filter(wave__gt=0).exists()


def _has_rest(mailing: Mailing) -> bool:
    rest = mailing.batches.waiting().filter(wave__gt=0)
    return mailing.prepared_at is None or rest.exists()


def _last(batches: QuerySet[Batch]) -> datetime | None:
    """Return the time at which the last of the batches left: was claimed, or was sent by the provider
    that kept it.
    """
    handed = batches.aggregate(at=Max("claimed_at"), scheduled=Max("send_at"))
    return max((at for at in handed.values() if at is not None), default=None)
