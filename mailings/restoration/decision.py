"""Carries out what the owner decides after a copy of the database was restored: for every unfinished
mailing, with its numbers, whether the rest of it is sent. Until then everything is held
(sending/epoch.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.models import Account
from integrations.reasons import Reason
from integrations.receipts import inbox, packs
from integrations.routing import routing
from mailings.audience import audience
from mailings.lifecycle import transitions
from mailings.models import Batch, BooksSweep, Epoch, Mailing, Message, Restoration, UnclaimedSms
from mailings.sending import epoch, ledger
from mailings.sending.ledger import Move
from smsmail.jobs.periodic import nudge
from users.models import User, audit

from .books import open_restoration, sweeps_of

State = Mailing.State
Status = Message.Status
CHUNK = 10  # batches in one transaction

GO, KEEP, PAUSE, CANCEL = "go", "keep", "pause", "cancel"
WORDS: dict[str, Promise] = {
    GO: _("Send the rest"),
    KEEP: _("Leave it paused"),
    PAUSE: _("Pause it"),
    CANCEL: _("Send nothing more of it"),
}


class NotNow(Exception):
    """The providers have not reported yet, or somebody has decided meanwhile."""


class Undecided(Exception):
    """For some mailing no choice was made, or one that is not offered."""


@dataclass(frozen=True, slots=True)
class UnfinishedMailing:
    """An unfinished mailing, and how much of it was not sent, as far as this database knows."""

    mailing: Mailing
    waiting: int
    to_come: int
    unknown: int
    # The records may not show before this time what a provider keeps until a set time: until then the
    # rest can only be cancelled. None: there is no such time.
    told_from: datetime | None

    @property
    def left(self) -> int:
        """The number of messages that are not sent yet, including those not prepared."""
        return self.waiting + self.to_come

    @property
    def choices(self) -> tuple[str, ...]:
        """The choices that the owner has for this mailing."""
        if self.told_from is not None:
            return (CANCEL,)
        if self.mailing.state == State.PAUSED:
            return (KEEP, CANCEL)
        ordinary = self.mailing.is_campaign
        can_pause = ordinary and self.mailing.state in Mailing.PAUSABLE
        return (GO, PAUSE, CANCEL) if can_pause else (GO, CANCEL)


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice at the top of every page."""

    held: bool
    no_place: bool  # the file of the epoch cannot be written
    restoration: Restoration | None


def notice() -> Notice:
    """Return the notice. It takes one query while nothing is wrong."""
    lately = timezone.now() - timedelta(minutes=1)
    row = Epoch.objects.filter(id=Epoch.ONLY).values_list("held", "no_place_at").first()
    held, no_place_at = row or (False, None)
    return Notice(
        held=held,
        no_place=no_place_at is not None and no_place_at > lately,
        restoration=open_restoration() if held else None,
    )


def under_way(restoration: Restoration) -> list[UnfinishedMailing]:
    """Return the unfinished mailings, and tests and notifications with waiting messages."""
    unfinished = Q(kind=Mailing.Kind.MAILING, state__in=Mailing.STOPPABLE)
    waits = Q(counters__waiting__gt=0)
    rows = Mailing.objects.filter(unfinished | waits).select_related("counters")
    stopped = Q(kind=Mailing.Kind.MAILING, state=State.CANCELLED)
    slow = _keep_what_their_books_hide(restoration)
    return [
        UnfinishedMailing(
            row,
            row.counters.waiting,
            0 if row.prepared_at or not row.is_campaign else audience.to_come(row),
            row.counters.unknown,
            _told_from(row, slow),
        )
        for row in rows.exclude(stopped).order_by("id")
    ]


def cannot_tell(restoration: Restoration) -> list[str]:
    """Return the titles of providers that may have sent since the copy was made, and whose records are
    not read.
    """
    waived = set(
        restoration.sweeps.filter(waived_at__isnull=False).values_list("account_id", flat=True)
    )
    titles = []
    for account in _may_have_sent():
        provider = routing.provider_class(account.provider)
        if (not provider.lists_sent or account.id in waived) and not provider.is_simulator:
            titles.append(str(provider.title))
    return titles


def unclaimed(restoration: Restoration) -> int:
    """Count the SMS of which this database knows nothing."""
    rows = UnclaimedSms.objects.filter(at__gte=restoration.since, claimed_at__isnull=True)
    return rows.count()


def decide(restoration: Restoration, choices: Mapping[int, str], by: User) -> None:
    """Do what was chosen for each mailing (choices: by mailing id), and let everything go on. Raises
    NotNow, Undecided and WrongState.
    """
    lines = under_way(restoration)
    if any(choices.get(line.mailing.pk) not in line.choices for line in lines):
        raise Undecided
    with transaction.atomic():
        held = Restoration.objects.select_for_update(of=("self",)).get(id=restoration.pk)
        if held.decided_at is not None or held.asked_at is None:
            raise NotNow
        for line in lines:
            _carry_out(line, choices[line.mailing.pk], by)
        held.decided_at, held.decided_by = timezone.now(), by
        held.save(update_fields=["decided_at", "decided_by"])
        audit(by, "restored_copy_decided", "account", mailings=len(lines))
        # Receipts that matched no message of ours: by now some of them do, so process them again.
        for strangers in packs.take_strangers(held.since):
            inbox.put_back(strangers)
        epoch.release(held)
        for job in ("start", "prepare", "hand_over", "process_receipts", "settle"):
            nudge(job)


def ask_again(restoration: Restoration, by: User) -> None:
    """Read the records again, from the newest on."""
    with transaction.atomic():
        restoration.sweeps.update(
            cursor="", began_at=None, done_at=None, again_at=None, waived_at=None, rows=0, known=0
        )
        Restoration.objects.filter(id=restoration.pk).update(asked_at=None)
        audit(by, "restored_copy_asked_again", "account")
    nudge("ask_books")


def waive(sweep: BooksSweep, by: User) -> None:
    """Stop waiting for this provider: what it has sent remains unknown."""
    with transaction.atomic():
        BooksSweep.objects.filter(id=sweep.pk, done_at__isnull=True).update(
            waived_at=timezone.now()
        )
        audit(by, "restored_copy_not_asked", f"account {sweep.account.provider}")
    nudge("ask_books")


def say_restored(by: User | None) -> None:
    """Hold everything because somebody says that a copy was restored, though the file does not show
    it.
    """
    epoch.hold(Restoration.Why.SAID)
    audit(by, "restored_copy_said", "account")
    nudge("ask_books")


def _carry_out(line: UnfinishedMailing, spec: str, by: User) -> None:
    mailing = line.mailing
    audit(by, f"restored_{spec}", f"mailing {mailing.pk}", waiting=line.left)
    if spec == PAUSE:
        transitions.pause(mailing, by)
    elif spec == CANCEL and mailing.is_campaign and mailing.state in Mailing.STOPPABLE:
        transitions.cancel(mailing, by)
    elif spec == CANCEL:
        _stop_waiting(mailing)


def _stop_waiting(mailing: Mailing) -> None:
    """Cancel the waiting messages of a notification or test; a notification stays switched on."""
    batches = list(
        mailing.batches.waiting().select_for_update(of=("self",), no_key=True).order_by("id")
    )
    ids = [batch.pk for batch in batches]
    waiting = Message.objects.waiting().filter(batch_id__in=ids)
    moves = [
        Move(key, Status.CANCELLED, Reason.CANCELLED)
        for key in waiting.order_by("id").values_list("id", flat=True)
    ]
    ledger.move(moves, only_from={Status.WAITING})
    Batch.objects.filter(id__in=ids).update(state=Batch.State.ANSWERED)


def _may_have_sent() -> Sequence[Account]:
    accounts = routing.connected()
    if routing.falls_back():
        return accounts
    return accounts[:1]


def _keep_what_their_books_hide(restoration: Restoration) -> list[tuple[timedelta, datetime]]:
    """Return, for each provider that may not show what it keeps until a set time, how long its
    records lag and when their last reading began.
    """
    found = []
    for sweep in restoration.sweeps.select_related("account"):
        provider = routing.provider_class(sweep.account.provider)
        if not provider.books_show_kept:
            lag = timedelta(seconds=provider.settle_seconds)
            found.append((lag, sweep.began_at or restoration.found_at))
    return found


def _told_from(mailing: Mailing, slow: Sequence[tuple[timedelta, datetime]]) -> datetime | None:
    """Return the time from which the records can show all of this mailing; None: they can already.
    A mailing that may have been submitted early is shown only by records read after its set time.
    """
    early = mailing.hand_over == Mailing.HandOver.EARLY and mailing.starts_at is not None
    formed = mailing.leaves_at is None or mailing.leaves_at <= timezone.now()
    if not slow or not early or not formed or mailing.starts_at is None:
        return None
    last = mailing.batches.aggregate(at=Max("send_at"))["at"]
    sent_at = max(mailing.starts_at, last or mailing.starts_at)
    moments = [sent_at + lag for lag, began_at in slow if began_at < sent_at + lag]
    return max(moments, default=None)


def services(restoration: Restoration) -> list[BooksSweep]:
    """Return the sweeps, which show how far the records of each provider have been read."""
    return sweeps_of(restoration)
