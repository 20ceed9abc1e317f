"""The gate that everything passes before it hands messages over: was this database turned back?

A backup put back, a file copied by hand, a standby that lagged: such a database would send once more
what has gone since. So a number grows with every hand-over, in the database first and then in a file
outside it (smsmail.jobs.epoch_file), before anything leaves. The file never knows more than the database,
whatever is killed in between, unless the database is an older one. Then everything is held until
the services have been asked (books.py) and the owner has decided (decision.py).
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Now
from django.utils import timezone

from integrations.models import Receipt
from mailings.models import Batch, Epoch, Message, Restoration
from smsmail.jobs import epoch_file
from smsmail.jobs.epoch_file import Noted
from users.models import audit

from . import id_sequences

logger = logging.getLogger(__name__)

Why = Restoration.Why
# A machine without the file waits so long for others, which have one, to move the number on: it has
# joined them. If nobody does, the database is a copy on a new machine.
JOIN = 20.0
# Services' clocks and ours may differ, and requests take their time.
MARGIN = timedelta(minutes=10)
# A released number is greater than any that a machine switched off meanwhile may have noted.
LEAP = 1_000_000_000


@dataclass
class _Process:
    """What this process remembers from one look to the next."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    broken: bool = False  # the file could not be written the last time
    first_tick: int = -1  # without a file: what the database said at the first look,
    first_look: float = 0.0  # and when that was (monotonic seconds)


_process = _Process()


@dataclass(frozen=True, slots=True)
class _Row:
    tick: int
    held: bool
    believed: bool
    at: datetime
    now: datetime  # by the database's clock, as `at`


class NoPlace(Exception):
    """The file of the epoch cannot be written (STATE_DIR): nothing leaves without it."""


def is_held() -> bool:
    """May nothing be handed over now? One small query and one small read. Whoever finds that the
    database was turned back writes that down here.
    """
    try:
        noted = epoch_file.read()  # before the database is asked: it may only know more
        closed = noted is not None and not epoch_file.is_open()
        if closed or (_process.broken and not epoch_file.can_be_written()):
            return _no_place()
        _process.broken = False
        row = _row()
        if row.held:
            return _still_held(noted)
        if noted is None:
            return _without_file(row)
    except OSError:
        return _no_place()
    if noted.tick <= row.tick:
        return False
    return _turned_back(noted, row)


def advance() -> int | None:
    """Move on by one, in the transaction of the caller and at its end: everybody who claims waits here.
    None: everything is held, or is about to be; roll back.
    """
    try:
        noted = epoch_file.read()
    except OSError:
        return None
    epoch = Epoch.objects.filter(id=Epoch.ONLY)
    if not epoch.filter(held=False).update(tick=F("tick") + 1, at=Now(), believed=False):
        return None
    tick = epoch.values_list("tick", flat=True).get()
    return tick if noted is not None and noted.tick < tick else None


def note(tick: int) -> bool:
    """Keep in the file what was committed. After it, and not before, messages may leave."""
    try:
        epoch_file.note(tick, timezone.now())
    except OSError as error:
        logger.error("the epoch cannot be written to STATE_DIR: %s", type(error).__name__)
        _process.broken = True
        return False
    return True


def advance_due() -> bool:
    """Clock job: also while nothing is handed over, so that no copy is too young to be told from."""
    if is_held():
        return False
    with transaction.atomic(durable=True):
        tick = advance()
        transaction.set_rollback(tick is None)
    if tick is not None:
        note(tick)
    return False


def forget() -> None:
    """What this process remembers: for tests, whose databases and files change under it."""
    global _process
    _process = _Process()


def hold(why: str, *, by_last: Noted | None = None, copy_at: datetime | None = None) -> None:
    """From now on everything is held, until the owner has decided."""
    with transaction.atomic():
        epoch = Epoch.objects.select_for_update().get_or_create(id=Epoch.ONLY)[0]
        tick = by_last.tick if by_last else epoch.tick
        open_ = Restoration.objects.filter(decided_at__isnull=True).first()
        told = why != Why.COMMAND and (why != Why.OLDER or (open_ and open_.seen_tick >= tick))
        if open_ is not None and epoch.held and told:
            return
        # One that was open in the copy is a thing of the past: this one takes its place.
        Restoration.objects.filter(decided_at__isnull=True).update(decided_at=timezone.now())
        copy_at = copy_at or (epoch.at if epoch.tick else _last_trace())
        Restoration.objects.create(
            why=why,
            found_at=timezone.now(),
            copy_at=copy_at,
            last_at=by_last.at if by_last else None,
            seen_tick=tick,
            since=_since(copy_at, open_),
        )
        Epoch.objects.filter(id=Epoch.ONLY).update(held=True, believed=False)
        id_sequences.leap(timezone.now() - copy_at)
        audit(None, "restored_copy_held", "account", why=str(why))
    logger.warning(
        "this database is a restored copy (%s): nothing is sent until it is decided", why
    )


def release(restoration: Restoration) -> None:
    """The owner has decided. In their transaction."""
    epoch = Epoch.objects.select_for_update().get(id=Epoch.ONLY)
    epoch.tick = max(epoch.tick, restoration.seen_tick) + LEAP
    epoch.at = timezone.now()
    epoch.held = False
    epoch.believed = True
    epoch.save(update_fields=["tick", "at", "held", "believed"])


def _last_trace() -> datetime:
    """Of a copy from before there was an epoch: when something was last handed over or came in."""
    handed = Batch.objects.aggregate(at=Max("claimed_at"))["at"]
    came = Receipt.objects.aggregate(at=Max("received_at"))["at"]
    return max((at for at in (handed, came) if at), default=timezone.now())


def _since(copy_at: datetime, open_: Restoration | None) -> datetime:
    """What was in hand when the copy was made is asked about as well."""
    in_hand = Batch.objects.filter(state=Batch.State.HANDING, claimed_at__isnull=False)
    claimed = in_hand.order_by("claimed_at").values_list("claimed_at", flat=True).first()
    moments = [copy_at, claimed or copy_at, open_.since + MARGIN if open_ else copy_at]
    return min(moments) - MARGIN


def _row() -> _Row:
    columns = ("tick", "held", "believed", "at", "now")
    epoch = Epoch.objects.filter(id=Epoch.ONLY).annotate(now=Now()).values_list(*columns).first()
    if epoch is None:
        Epoch.objects.get_or_create(id=Epoch.ONLY)
        return _row()
    return _Row(*epoch)


def _still_held(noted: Noted | None) -> bool:
    """It may also be a copy that was made while an earlier one was held: that one was decided since."""
    open_ = Restoration.objects.filter(decided_at__isnull=True)
    if noted is not None and open_.filter(seen_tick__lt=noted.tick).exists():
        hold(Why.OLDER, by_last=noted)
    return True


def _turned_back(noted: Noted, row: _Row) -> bool:
    again = _row()
    if noted.tick <= again.tick:
        return again.held
    if row.tick == 0 and not Message.objects.exists():
        # A new, empty database beside an old file: nothing of it can go twice.
        Epoch.objects.filter(id=Epoch.ONLY, tick=0).update(tick=noted.tick, at=Now())
        return False
    hold(Why.OLDER, by_last=noted)
    return True


def _without_file(row: _Row) -> bool:
    """A first start, a machine that joins others, or a copy on a new machine. OSError."""
    if row.tick == 0 or row.believed or _others_move(row):
        epoch_file.create(row.tick, timezone.now())
        return False
    alone = time.monotonic() - _process.first_look > JOIN
    if alone or row.now - row.at > timedelta(seconds=3 * JOIN):
        hold(Why.NO_FILE)
    return True


def _others_move(row: _Row) -> bool:
    """Has the number grown since this process first saw it? Only those do that who have the file."""
    with _process.lock:
        if _process.first_tick < 0:
            _process.first_tick, _process.first_look = row.tick, time.monotonic()
        return row.tick > _process.first_tick


def _no_place() -> bool:
    """The pages say so. Not written more often than it must be."""
    now = timezone.now()
    lately = Epoch.objects.filter(id=Epoch.ONLY, no_place_at__gt=now - timedelta(seconds=10))
    if not lately.exists():
        Epoch.objects.update_or_create(id=Epoch.ONLY, defaults={"no_place_at": now})
    return True
