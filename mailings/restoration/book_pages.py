"""What a page of a service's books tells is taken in, after a copy was put back.

A message with a reference that the copy knows is found by it. Else it is one that went under another
reference since, found by phone and text among those that wait or are of unknown fate. Of the rest
the copy knows nothing: it is kept (UnclaimedSms) for whoever is prepared later (already_sent.py).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from integrations.providers.contract import Booked, BooksPage, DeliveryReport, DeliveryStatus
from integrations.reasons import Reason
from mailings.models import Batch, BooksSweep, Message, UnclaimedSms
from mailings.sending import ledger, receipts
from mailings.sending.ledger import Move
from mailings.text import fingerprints

Status = Message.Status
NOT_SENT = (Status.WAITING, Status.UNKNOWN)  # as far as this database knows
# Of a batch: messages that other programs send through the same account have other ones, or none.
OURS = re.compile(r"[a-z0-9]{24}")


class _OurMessage(NamedTuple):
    """A message of ours to one of the phones on a page."""

    id: int
    phone: str
    body: str
    provider_id: str
    status: str
    mailing_id: int
    batch_id: int | None
    reference: str | None


@dataclass
class _Taken:
    """The outcome of a page."""

    known: int = 0
    entered: int = 0
    reports: list[DeliveryReport] = field(default_factory=list)
    moves: list[tuple[_OurMessage, DeliveryReport]] = field(default_factory=list)
    departed: set[int] = field(
        default_factory=set
    )  # batches that have left, as far as is known now
    unclaimed: list[Booked] = field(default_factory=list)


def take_in(sweep: BooksSweep, page: BooksPage) -> None:
    """Enter a page of the records, and then how far they have been read. The same page a second time
    changes nothing. It takes two transactions, because each locks messages and then counters.
    """
    # When each was sent: a link that signs in for three days has lasted since then.
    rows = [replace(row, report=replace(row.report, at=row.at)) for row in page.rows]
    ours = [row for row in rows if _is_ours(row)]
    batches = _batches(row.report.reference for row in ours)
    by_reference = [row for row in ours if row.report.reference in batches]
    others = [row for row in ours if row.report.reference not in batches]
    taken = _Taken()
    with transaction.atomic(durable=True):
        _leave(sweep, {batches[row.report.reference].id for row in by_reference})
        taken.entered += _not_known_as_sent(by_reference)
        strangers = receipts.apply([row.report for row in by_reference]).strangers
    taken.known += len(by_reference) - len(strangers)
    _match([*others, *(by_reference[place] for place in sorted(strangers))], taken)
    with transaction.atomic(durable=True):
        held = BooksSweep.objects.select_for_update(of=("self",)).get(id=sweep.pk)
        if held.cursor == sweep.cursor and held.done_at is None:
            _leave(sweep, taken.departed)
            receipts.apply(taken.reports)
            _move(sweep, taken.moves, batches)
            _keep(sweep, taken.unclaimed)
            _go_on(sweep, page, taken)
    sweep.cursor = page.cursor


def _go_on(sweep: BooksSweep, page: BooksPage, taken: _Taken) -> None:
    BooksSweep.objects.filter(id=sweep.pk).update(
        cursor=page.cursor,
        rows=F("rows") + len(page.rows),
        known=F("known") + taken.known,
        entered=F("entered") + taken.entered,
        again_at=None,
        trouble="",
        done_at=None if page.cursor else timezone.now(),
    )


def _is_ours(row: Booked) -> bool:
    """Is the message ours, as far as can be told? A message that was taken back was never sent."""
    if row.report.status == DeliveryStatus.CANCELLED:
        return False
    reference = row.report.reference
    return bool(OURS.fullmatch(reference)) if reference else bool(row.report.provider_id)


def _batches(references: Iterable[str]) -> dict[str, Batch]:
    rows = Batch.objects.filter(reference__in={each for each in references if each})
    return {batch.reference: batch for batch in rows.only("id", "reference", "mailing_id", "state")}


def _leave(sweep: BooksSweep, batches: set[int]) -> None:
    """Mark batches that wait here as submitted, since the records show that they have left. They are
    locked before any message.
    """
    waiting = Batch.objects.waiting().filter(id__in=batches)
    waiting.update(
        state=Batch.State.SILENT,
        account=sweep.account,
        claimed_at=sweep.restoration.since,
        look_up_at=timezone.now(),
    )


def _not_known_as_sent(rows: Sequence[Booked]) -> int:
    open_ = Message.objects.filter(
        batch__reference__in={row.report.reference for row in rows}, status__in=NOT_SENT
    )
    pairs = set(open_.values_list("batch__reference", "phone")) if rows else set()
    return len(pairs & {(row.report.reference, row.report.phone) for row in rows})


def _match(rows: Sequence[Booked], taken: _Taken) -> None:
    """Match rows with our messages by the provider's id, or else by phone and text. Each of our messages
    matches one row at most.
    """
    by_id: dict[str, _OurMessage] = {}
    waiting: dict[str, list[_OurMessage]] = defaultdict(list)
    for each in _candidates(rows):
        if each.provider_id:
            by_id[each.provider_id] = each
        if each.status in NOT_SENT:
            waiting[each.phone].append(each)
    for row in rows:
        known = by_id.get(row.report.provider_id) if row.report.provider_id else None
        if known is not None:
            taken.known += 1
            _by_own_batch(known, row.report, taken)
            continue
        found = _same(waiting[row.report.phone], row)
        if found is None:
            taken.unclaimed.append(row)
            continue
        waiting[row.report.phone].remove(found)
        taken.entered += 1
        if row.report.reference:
            taken.moves.append((found, row.report))
        else:
            _by_own_batch(found, row.report, taken)


def _by_own_batch(message: _OurMessage, report: DeliveryReport, taken: _Taken) -> None:
    """Add a report on a message for which the records show no reference: it was sent in the batch that
    it is in.
    """
    if message.batch_id is not None and message.reference:
        taken.departed.add(message.batch_id)
        taken.reports.append(replace(report, reference=message.reference))


def _candidates(rows: Sequence[Booked]) -> list[_OurMessage]:
    if not rows:
        return []
    ids = {row.report.provider_id for row in rows if row.report.provider_id}
    which = Q(status__in=NOT_SENT) | (Q(provider_id__in=ids) if ids else Q())
    columns = ("id", "phone", "text", "provider_id", "status", "mailing_id", "batch_id")
    found = Message.objects.filter(which, phone__in={row.report.phone for row in rows})
    ordered = found.order_by("id").values_list(*columns, "batch__reference")
    return [_OurMessage(*each) for each in ordered]


def _same(candidates: Sequence[_OurMessage], row: Booked) -> _OurMessage | None:
    told = fingerprints.of_sent(row.text)
    for each in candidates:
        if not told or fingerprints.of_stored(each.body) == told:
            return each
    return None


def _move(
    sweep: BooksSweep,
    moves: Sequence[tuple[_OurMessage, DeliveryReport]],
    batches: Mapping[str, Batch],
) -> None:
    """Move messages into batches with the references under which they were sent, because receipts and
    look-ups use those.
    """
    if not moves:
        return
    mailings = {report.reference: message.mailing_id for message, report in reversed(moves)}
    sizes = Counter(report.reference for _message, report in moves)
    fresh = [
        _batch_that_left(sweep, mailings[each], each, sizes[each])
        for each in mailings.keys() - batches.keys()
    ]
    Batch.objects.bulk_create(fresh)
    known = {**batches, **{batch.reference: batch for batch in fresh}}
    ledger.move([_move_of(message, report, known[report.reference]) for message, report in moves])


def _move_of(message: _OurMessage, report: DeliveryReport, batch: Batch) -> Move:
    to = Status(report.status.value)
    good = to in (Status.ACCEPTED, Status.DELIVERED)
    return Move(
        message.id,
        to,
        reason="" if good else report.reason or Reason.OTHER,
        raw_code=report.raw,
        provider_id=report.provider_id,
        price=report.price,
        submitted_at=report.at,
        batch=batch.id if batch.mailing_id == message.mailing_id else None,
    )


def _batch_that_left(sweep: BooksSweep, mailing_id: int, reference: str, size: int) -> Batch:
    """A hand-over of the time that the copy does not know."""
    return Batch(
        mailing_id=mailing_id,
        account=sweep.account,
        reference=reference,
        size=size,
        state=Batch.State.ANSWERED,
        claimed_at=sweep.restoration.since,
        answered_at=timezone.now(),
        look_up_at=timezone.now(),
    )


def _keep(sweep: BooksSweep, rows: Sequence[Booked]) -> None:
    UnclaimedSms.objects.bulk_create(
        [
            UnclaimedSms(
                account=sweep.account,
                restoration=sweep.restoration,
                reference=row.report.reference,
                provider_id=row.report.provider_id[:64],
                phone=row.report.phone[:16],
                fingerprint=fingerprints.of_sent(row.text),
                at=row.at,
                status=row.report.status,
                reason=row.report.reason or "",
                raw_code=row.report.raw[:64],
                price=row.report.price,
            )
            for row in rows
        ],
        ignore_conflicts=True,
    )
