"""Detects that the database is an older copy, and holds all sending until that is resolved.

A restored backup, a file copied by hand or a lagging standby would send again what has been sent since.
So a number, the epoch's tick, grows with every claim: first in the database, then in a file outside it
(smsmail.jobs.epoch_file), before anything leaves. Whatever is killed in between, the file is never
ahead of the database, unless the database is an older copy. In that case everything is held until the
providers have been asked (restoration/books.py) and the owner has decided (restoration/decision.py).
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

from integrations.models import Receipt, ReceiptPack
from mailings.models import Batch, Epoch, Message, Restoration
from smsmail.compiled_query import CompiledQuery, CompiledUpdate
from smsmail.jobs import epoch_file
from smsmail.jobs.epoch_file import Noted
from users.models import audit

from . import id_sequences

logger = logging.getLogger(__name__)

Why = Restoration.Why
# Seconds for which a machine without the file waits until a machine with one advances the number. If
# that happens, this machine has joined the others; if not, the database is a copy on a new machine.
JOIN = 20.0
# The providers' clocks and ours may differ, and requests take their time.
MARGIN = timedelta(minutes=10)
# release() adds this, so that the number exceeds any that a machine now switched off may have noted.
LEAP = 1_000_000_000


@dataclass
class _Process:
    """What this process remembers from one check to the next."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    broken: bool = False  # the file could not be written the last time
    first_tick: int = -1  # without a file: the number in the database at the first check
    first_look: float = 0.0  # and the time of that check (monotonic seconds)


_process = _Process()


@dataclass(frozen=True, slots=True)
class _Row:
    tick: int
    held: bool
    believed: bool
    at: datetime
    now: datetime  # by the database's clock, as `at`


class NoPlace(Exception):
    """The file of the epoch, in STATE_DIR, cannot be written: nothing is sent without it."""


def is_held() -> bool:
    """Is all sending held now? This takes one small query and one small read. If the check finds
    that the database is an older copy, it records that with hold().
    """
    try:
        noted = epoch_file.read()  # before the query: the database may be ahead of it, not behind
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
    """Advance the number by one and return it. Call it at the end of the caller's transaction, since
    all claims wait for this row. None means that sending is held, or is about to be: roll back.
    """
    try:
        noted = epoch_file.read()
    except OSError:
        return None
    if not _ADVANCE.run(key=Epoch.ONLY):
        return None
    [(tick,)] = _TICK.rows(key=Epoch.ONLY)
    return tick if noted is not None and noted.tick < tick else None


def note(tick: int) -> bool:
    """Write the committed number into the file. Messages may leave after that, not before. Returns
    False when the file cannot be written.
    """
    try:
        epoch_file.note(tick, timezone.now())
    except OSError as error:
        logger.error("the epoch cannot be written to STATE_DIR: %s", type(error).__name__)
        _process.broken = True
        return False
    return True


def advance_due() -> bool:
    """Periodic job: advance the number even while nothing is sent, so that every copy can be told
    from the database that went on.
    """
    if is_held():
        return False
    with transaction.atomic(durable=True):
        tick = advance()
        transaction.set_rollback(tick is None)
    if tick is not None:
        note(tick)
    return False


def forget() -> None:
    """Clear what this process remembers. For tests, which exchange the database and the file."""
    global _process
    _process = _Process()


def hold(why: str, *, by_last: Noted | None = None, copy_at: datetime | None = None) -> None:
    """Hold everything from now on until the owner has decided, and create the Restoration."""
    with transaction.atomic():
        epoch = Epoch.objects.select_for_update().get_or_create(id=Epoch.ONLY)[0]
        tick = by_last.tick if by_last else epoch.tick
        open_ = Restoration.objects.filter(decided_at__isnull=True).first()
        told = why != Why.COMMAND and (why != Why.OLDER or (open_ and open_.seen_tick >= tick))
        if open_ is not None and epoch.held and told:
            return
        # A restoration that was still open in the copy belongs to the past: this one replaces it.
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
    """Let everything go on. Call it in the transaction that records the owner's decision."""
    epoch = Epoch.objects.select_for_update().get(id=Epoch.ONLY)
    epoch.tick = max(epoch.tick, restoration.seen_tick) + LEAP
    epoch.at = timezone.now()
    epoch.held = False
    epoch.believed = True
    epoch.save(update_fields=["tick", "at", "held", "believed"])


def _last_trace() -> datetime:
    """Return the time of the latest claim or receipt, for a copy from before there was an epoch."""
    handed = Batch.objects.aggregate(at=Max("claimed_at"))["at"]
    came = Receipt.objects.aggregate(at=Max("received_at"))["at"]
    packed = ReceiptPack.objects.aggregate(at=Max("last_at"))["at"]
    return max((at for at in (handed, came, packed) if at), default=timezone.now())


def _since(copy_at: datetime, open_: Restoration | None) -> datetime:
    """Return the time from which the providers are asked. It includes the batches that were in flight
    when the copy was made.
    """
    in_hand = Batch.objects.in_flight().filter(claimed_at__isnull=False)
    claimed = in_hand.order_by("claimed_at").values_list("claimed_at", flat=True).first()
    moments = [copy_at, claimed or copy_at, open_.since + MARGIN if open_ else copy_at]
    return min(moments) - MARGIN


def _row() -> _Row:
    found = _ROW.rows(key=Epoch.ONLY)
    if not found:
        Epoch.objects.get_or_create(id=Epoch.ONLY)
        return _row()
    return _Row(*found[0])


# What runs for every batch.
_ROW = CompiledQuery(
    Epoch,
    lambda key: (
        Epoch.objects.filter(id=key)
        .annotate(now=Now())
        .values_list("tick", "held", "believed", "at", "now")
    ),
)
_TICK = CompiledQuery(Epoch, lambda key: Epoch.objects.filter(id=key).values_list("tick"))
_ADVANCE = CompiledUpdate(
    lambda key: (
        Epoch.objects.filter(id=key, held=False),
        {"tick": F("tick") + 1, "at": Now(), "believed": False},
    )
)


def _still_held(noted: Noted | None) -> bool:
    """Return True. If the copy was made while an earlier one was held, and that one has been decided
    since, record a new restoration.
    """
    open_ = Restoration.objects.filter(decided_at__isnull=True)
    if noted is not None and open_.filter(seen_tick__lt=noted.tick).exists():
        hold(Why.OLDER, by_last=noted)
    return True


def _turned_back(noted: Noted, row: _Row) -> bool:
    """Check again that the file is ahead of the database, and hold everything if it is. Returns whether
    sending is held.
    """
    again = _row()
    if noted.tick <= again.tick:
        return again.held
    if row.tick == 0 and not Message.objects.exists():
        # A new, empty database beside an old file: it cannot send anything twice.
        Epoch.objects.filter(id=Epoch.ONLY, tick=0).update(tick=noted.tick, at=Now())
        return False
    hold(Why.OLDER, by_last=noted)
    return True


def _without_file(row: _Row) -> bool:
    """Decide whether sending is held on a machine without the file. It is a first start, a machine
    that joins others, or a copy on a new machine. Raises OSError.
    """
    if row.tick == 0 or row.believed or _others_move(row):
        epoch_file.create(row.tick, timezone.now())
        return False
    alone = time.monotonic() - _process.first_look > JOIN
    if alone or row.now - row.at > timedelta(seconds=3 * JOIN):
        hold(Why.NO_FILE)
    return True


def _others_move(row: _Row) -> bool:
    """Has the number grown since this process first saw it? Only machines with the file advance it."""
    with _process.lock:
        if _process.first_tick < 0:
            _process.first_tick, _process.first_look = row.tick, time.monotonic()
        return row.tick > _process.first_tick


def _no_place() -> bool:
    """Return True, and record the time so that the pages can say so; at most once in ten seconds."""
    now = timezone.now()
    lately = Epoch.objects.filter(id=Epoch.ONLY, no_place_at__gt=now - timedelta(seconds=10))
    if not lately.exists():
        Epoch.objects.update_or_create(id=Epoch.ONLY, defaults={"no_place_at": now})
    return True
