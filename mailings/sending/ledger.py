"""The ledger: the only writer of Message.status and of Counters, both in one transaction.

All code locks in this order: account, batch, mailing, messages by id, counters by mailing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, F, Q
from django.utils import timezone

from mailings.models import Click, Counters, Message

from . import bulk

Status = Message.Status
CENT = Decimal("0.0001")  # the columns' precision: unrounded, rows and counters would drift apart
TOO_MUCH = Decimal(1_000_000)  # no SMS costs this much, and the column cannot hold it

# From each status, the statuses to which a message may move. No other move is made.
MOVES: dict[str, frozenset[str]] = {
    Status.WAITING: frozenset(set(Status) - {Status.NO_RECEIPT}),  # to itself: into another batch
    Status.UNKNOWN: frozenset(set(Status) - {Status.UNKNOWN, Status.SKIPPED}),
    Status.ACCEPTED: frozenset(
        {Status.DELIVERED, Status.UNDELIVERED, Status.EXPIRED, Status.CANCELLED, Status.NO_RECEIPT}
    ),
    Status.NO_RECEIPT: frozenset({Status.DELIVERED, Status.UNDELIVERED, Status.EXPIRED}),
}


class Move(NamedTuple):
    """The change wanted for one message. '' and None keep provider_id, price and batch as they are.

    No dataclass: a frozen one takes 2 us to make, four times as long.
    """

    message: int
    to: str
    reason: str = ""
    raw_code: str = ""
    provider_id: str = ""
    price: Decimal | None = None
    part_price: Decimal | None = None  # per segment, for providers that report no price
    # When the provider took it, if its records say so; otherwise now.
    submitted_at: datetime | None = None
    batch: int | None = None  # the new batch of a message that is sent again


@dataclass
class _Difference:
    statuses: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    price: Decimal = Decimal(0)


def enter(mailing_id: int, entries: Sequence[bulk.Entry]) -> None:
    """Write and count new messages, all of one mailing. Call it inside a transaction."""
    _in_transaction()
    bulk.insert_messages(entries)
    _count(mailing_id, _Difference(statuses=Counter(entry.status for entry in entries)))


def move(
    moves: Sequence[Move],
    *,
    only_from: Collection[str] = tuple(Status),
    in_batch: int | None = None,
) -> list[int]:
    """Make the moves that are allowed, count them, and return the ids of the messages moved.

    Give at most one move per message. A message that has already moved further keeps its status, but
    stores the price and the provider's id. only_from: the statuses that may change. in_batch: leave
    messages of other batches alone. Call it inside a transaction.
    """
    _in_transaction()
    if not moves:
        return []
    wanted = {each.message: each for each in moves}
    now = timezone.now()
    changes: defaultdict[bulk.MessageChange, list[int]] = defaultdict(list)
    learnt: list[bulk.Learnt] = []
    moved: list[int] = []
    differences: dict[int, _Difference] = defaultdict(_Difference)
    for held in bulk.lock_messages(list(wanted)):
        if in_batch is not None and held.batch_id != in_batch:
            continue
        each = wanted[held.id]
        if held.status not in only_from or each.to not in MOVES.get(held.status, ()):
            learnt += _learn(held, each, differences[held.mailing_id])
            continue
        moved.append(held.id)
        price = _price(held, each)
        change = bulk.MessageChange(
            each.to,
            each.reason,
            _storable(each.raw_code),
            _storable(each.provider_id),
            price,
            each.batch,
            _submitted_at(each, now),
            now if each.to in Message.FINAL else None,
        )
        changes[change].append(held.id)
        _add(differences[held.mailing_id], held, each.to, price)
    if changes:
        bulk.change_messages(changes)
    if learnt:
        bulk.learn(learnt)
    for mailing_id in sorted(differences):
        _count(mailing_id, differences[mailing_id])
    return moved


def count_clicks(mailing_id: int, *, clicks: int, clicked: int, robots: int) -> bool:
    """Add the sums of tracking/aggregate.py to the counters of a mailing. The caller then holds their
    lock until the end of its transaction. Returns False when there are no counters.
    """
    _in_transaction()
    changed = Counters.objects.filter(mailing_id=mailing_id).update(
        clicks=F("clicks") + clicks, clicked=F("clicked") + clicked, robots=F("robots") + robots
    )
    return changed > 0


def count_clicks_anew(mailing_id: int) -> None:
    """Count the clicks again from their rows. The counters are locked first, so that what others count
    meanwhile is added afterwards.
    """
    _in_transaction()
    counters = Counters.objects.select_for_update().filter(mailing_id=mailing_id).first()
    if counters is None:
        return
    processed = Click.objects.filter(mailing_id=mailing_id, processed_at__isnull=False)
    of_people = Count("pk", filter=Q(kind=Click.Kind.PERSON))
    sums = processed.aggregate(clicks=of_people, all=Count("pk"))
    counters.clicks, counters.robots = sums["clicks"], sums["all"] - sums["clicks"]
    clicked = Message.objects.filter(mailing_id=mailing_id, first_click_at__isnull=False)
    counters.clicked = clicked.count()
    counters.save(update_fields=["clicks", "clicked", "robots"])


def _submitted_at(each: Move, now: datetime) -> datetime | None:
    """A message that has one already keeps it."""
    if each.to not in Message.TAKEN and each.to != Status.UNKNOWN:
        return None
    return min(each.submitted_at or now, now)


def _price(held: bulk.LockedMessage, each: Move) -> Decimal | None:
    """Return the provider's price, or else the segments times the account's price. None: no change."""
    price = None
    if each.price is not None and each.price.is_finite():
        price = _storable_price(each.price)
    if price is not None or held.price is not None or each.part_price is None:
        return price
    taken = each.to in Message.TAKEN or held.status in Message.TAKEN
    return _storable_price(held.parts * each.part_price) if taken else None


def _add(difference: _Difference, held: bulk.LockedMessage, to: str, price: Decimal | None) -> None:
    difference.statuses[held.status] -= 1
    difference.statuses[to] += 1
    difference.parts += held.parts * ((to in Message.TAKEN) - (held.status in Message.TAKEN))
    if price is not None:
        difference.price += price - (held.price or 0)


def _learn(held: bulk.LockedMessage, each: Move, difference: _Difference) -> list[bulk.Learnt]:
    """Keep the price and id of an answer that comes later than the receipt."""
    price = _price(held, each) if held.price is None else None
    if price is None and not each.provider_id:
        return []
    difference.price += price or 0
    return [bulk.Learnt(held.id, _storable(each.provider_id), price)]


@lru_cache(maxsize=1024)
def _storable_price(price: Decimal) -> Decimal | None:
    """Return a provider's price as the column holds it; None for what no SMS costs. It must not prevent this
    status from being written, nor those of a thousand others with it.
    """
    return price.quantize(CENT) if abs(price) < TOO_MUCH else None


def _storable(word: str) -> str:
    """Remove what no column can hold from a provider's code or id."""
    if not word.isprintable():
        word = "".join(char for char in word if char.isprintable())
    return word[:64]


def _count(mailing_id: int, difference: _Difference) -> None:
    added: dict[str, int | Decimal] = {
        str(status): n for status, n in difference.statuses.items() if n
    }
    if difference.parts:
        added["parts"] = difference.parts
    if difference.price:
        added["price"] = difference.price
    if added and not bulk.add_to_counters(mailing_id, added):
        raise RuntimeError(f"mailing {mailing_id} has no counters")


def _in_transaction() -> None:
    if not connection.in_atomic_block:
        raise RuntimeError("the ledger is changed inside a transaction only")
