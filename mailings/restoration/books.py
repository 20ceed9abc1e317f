"""Reads the providers' records after a copy of the database was restored, page by page, from the time of
the copy on, and enters what they show. Nothing is sent meanwhile (sending/epoch.py), and this module
decides nothing.

A message with a reference that the copy knows is found by it. Otherwise it may have been sent under
another reference since: it is found by phone and text among the messages that wait or are of unknown
fate. The copy knows nothing of the rest, which is kept (UnclaimedSms) for people who are prepared later
(sending/already_sent.py).
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from integrations.providers.contract import (
    Booked,
    BooksPage,
    DeliveryReport,
    DeliveryStatus,
    ProviderError,
)
from integrations.reasons import Reason
from integrations.routing import retention, routing
from mailings.models import Batch, BooksSweep, Message, Restoration, UnclaimedSms
from mailings.sending import ledger, receipts, record
from mailings.sending.ledger import Move
from mailings.text import fingerprints
from smsmail.jobs import heartbeat
from smsmail.jobs.set_aside import Thing, Work, one_by_one
from smsmail.uptime import clock

logger = logging.getLogger(__name__)

Status = Message.Status
SLICE = 20.0  # seconds for which one run of the periodic job goes on reading
NOT_SENT = (Status.WAITING, Status.UNKNOWN)  # as far as this database knows
# The form of our references. Messages of other programs in the same account have another, or none.
OURS = re.compile(r"[a-z0-9]{24}")


def ask_due() -> bool:
    """Periodic job: continue reading the records of each provider. Returns True while there is more to
    read at once.
    """
    restoration = open_restoration()
    if restoration is None or restoration.asked_at is not None:
        _forget()
        return False
    until = clock() + SLICE
    sweeps = {sweep.pk: sweep for sweep in sweeps_of(restoration)}

    def read(key: int) -> None:
        while clock() < until and _read_page(sweeps[key]):
            heartbeat.beat()

    things = [Thing(key, f"account {sweep.account.provider}") for key, sweep in sweeps.items()]
    one_by_one(Work("ask_books", "sweep"), things, read)
    if restoration.sweeps.filter(done_at__isnull=True, waived_at__isnull=True).exists():
        return clock() >= until
    _finish(restoration)
    return False


def _forget() -> None:
    """Delete old rows of UnclaimedSms. Like receipts, they are kept for KEEP_RECEIPTS."""
    before = timezone.now() - retention.KEEP_RECEIPTS
    UnclaimedSms.objects.filter(at__lt=before).delete()


def open_restoration() -> Restoration | None:
    """Return the restoration that is not decided yet; None if there is none."""
    return Restoration.objects.filter(decided_at__isnull=True).order_by("-id").first()


def sweeps_of(restoration: Restoration) -> list[BooksSweep]:
    """Return the sweeps, and create one for each connected provider that lists what it has sent."""
    for account in routing.connected():
        if routing.provider_class(account.provider).lists_sent:
            BooksSweep.objects.get_or_create(restoration=restoration, account=account)
    return list(restoration.sweeps.select_related("account").order_by("id"))


def _read_page(sweep: BooksSweep) -> bool:
    """Read the next page. Returns True when there is another one to read now."""
    held = _take(sweep.pk)
    if held is None:
        return False
    try:
        page = routing.provider_of(held.account).sent_since(held.restoration.since, held.cursor)
    except ProviderError as trouble:
        logger.warning("%s does not show its records now: %s", held.account.provider, trouble)
        return _put_off(held, trouble.reason)
    except Exception as error:  # noqa: BLE001 - one provider's mistake must not keep the others from being asked
        logger.error(
            "the records of %s cannot be read: %s", held.account.provider, type(error).__name__
        )
        return _put_off(held, Reason.OTHER)
    if page.cursor and page.cursor == held.cursor:  # otherwise the pages would never end
        return _put_off(held, Reason.OTHER)
    take_in(held, page)
    return bool(page.cursor)


def _take(sweep_id: int) -> BooksSweep | None:
    """Take the sweep for this worker alone, by postponing it by a lease; None if it is not due."""
    now = timezone.now()
    due = BooksSweep.objects.filter(
        Q(again_at=None) | Q(again_at__lte=now),
        id=sweep_id,
        done_at__isnull=True,
        waived_at__isnull=True,
    )
    sweep = due.select_related("account", "restoration").first()
    if sweep is None or now < _begins(sweep):
        return None
    lease = now + timedelta(seconds=settings.LEASE)
    if not due.filter(cursor=sweep.cursor).update(again_at=lease):
        return None
    if sweep.began_at is None:
        BooksSweep.objects.filter(id=sweep_id).update(began_at=now)
    return sweep


def _begins(sweep: BooksSweep) -> datetime:
    """Return the time from which the records are read. They may lag, and a worker may still have had a
    request running when the copy was found.
    """
    settles = routing.provider_class(sweep.account.provider).settle_seconds
    wait = min(settles, settings.LEASE)
    return sweep.restoration.found_at + timedelta(seconds=wait)


def _put_off(sweep: BooksSweep, reason: Reason) -> bool:
    again = timezone.now() + timedelta(seconds=settings.LOOK_UP_PAUSE)
    BooksSweep.objects.filter(id=sweep.pk).update(again_at=again, trouble=reason)
    return False


def _finish(restoration: Restoration) -> None:
    """Finish the reading. Messages that the records do not show, of a batch that has left, go into a new
    batch, since a reference never means two things.
    """
    left = Batch.objects.filter(state=Batch.State.SILENT, messages__status=Status.WAITING)
    for batch_id in sorted(set(left.values_list("id", flat=True))):
        with transaction.atomic(durable=True):
            batch = (
                Batch.objects.select_for_update(of=("self",), no_key=True)
                .select_related("mailing")
                .get(id=batch_id)
            )
            rest = batch.messages.filter(status=Status.WAITING).values_list("id", flat=True)
            record.send_again(batch, list(rest))
    Restoration.objects.filter(id=restoration.pk, asked_at__isnull=True).update(
        asked_at=timezone.now()
    )


# --- taking in a page -------------------------------------------------------------------------
class _Candidate(NamedTuple):
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
    moves: list[tuple[_Candidate, DeliveryReport]] = field(default_factory=list)
    departed: set[int] = field(
        default_factory=set
    )  # ids of batches that have left, as the page shows
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
    waiting = Batch.objects.filter(id__in=batches, state=Batch.State.WAITING)
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
    by_id: dict[str, _Candidate] = {}
    waiting: dict[str, list[_Candidate]] = defaultdict(list)
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


def _by_own_batch(message: _Candidate, report: DeliveryReport, taken: _Taken) -> None:
    """Add a report on a message for which the records show no reference: it was sent in the batch that
    it is in.
    """
    if message.batch_id is not None and message.reference:
        taken.departed.add(message.batch_id)
        taken.reports.append(replace(report, reference=message.reference))


def _candidates(rows: Sequence[Booked]) -> list[_Candidate]:
    if not rows:
        return []
    ids = {row.report.provider_id for row in rows if row.report.provider_id}
    which = Q(status__in=NOT_SENT) | (Q(provider_id__in=ids) if ids else Q())
    columns = ("id", "phone", "text", "provider_id", "status", "mailing_id", "batch_id")
    found = Message.objects.filter(which, phone__in={row.report.phone for row in rows})
    ordered = found.order_by("id").values_list(*columns, "batch__reference")
    return [_Candidate(*each) for each in ordered]


def _same(candidates: Sequence[_Candidate], row: Booked) -> _Candidate | None:
    told = fingerprints.of_sent(row.text)
    for each in candidates:
        if not told or fingerprints.of_stored(each.body) == told:
            return each
    return None


def _move(
    sweep: BooksSweep,
    moves: Sequence[tuple[_Candidate, DeliveryReport]],
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
        batch_that_left(sweep, mailings[each], each, sizes[each])
        for each in mailings.keys() - batches.keys()
    ]
    Batch.objects.bulk_create(fresh)
    known = {**batches, **{batch.reference: batch for batch in fresh}}
    ledger.move([_move_of(message, report, known[report.reference]) for message, report in moves])


def _move_of(message: _Candidate, report: DeliveryReport, batch: Batch) -> Move:
    to = Status(report.status.value)
    good = to in (Status.ACCEPTED, Status.DELIVERED)
    return Move(
        message.id,
        to,
        reason="" if good else report.reason or Reason.OTHER,
        raw_code=report.raw,
        provider_id=report.provider_id,
        price=report.price,
        handed_at=report.at,
        batch=batch.id if batch.mailing_id == message.mailing_id else None,
    )


def batch_that_left(sweep: BooksSweep, mailing_id: int, reference: str, size: int) -> Batch:
    """Return a new batch for a submission that was made after the copy."""
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
