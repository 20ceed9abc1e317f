"""Process what providers report into the ledger, a thousand raw receipts at a time; what people wrote
back is among it (users.consent.replies).
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.models import Receipt
from integrations.providers.base import (
    Credentials,
    DeliveryReport,
    DeliveryStatus,
    InboundSms,
    WebhookPayload,
)
from integrations.reasons import Reason
from integrations.routing import routing, trial_messages
from mailings.models import Batch, Message
from smsmail.jobs.set_aside import Work, held, in_halves
from users.consent import consent, replies
from users.consent.replies import Written
from users.models import OptOut

from . import bulk, ledger
from .ledger import Move

logger = logging.getLogger(__name__)

Status = Message.Status
PROCESSING = Work("process_receipts", "receipt")
AT_ONCE = 1000
# Of several reports on one message in one batch, the later rank wins: receipts come out of order.
RANK = (DeliveryStatus.NOT_FOUND, DeliveryStatus.ACCEPTED)


class RawReceipt(NamedTuple):
    """A receipt as it came, and whose it is."""

    id: int
    provider: str
    headers: dict[str, str]
    query: str
    body: str
    received_at: datetime


class Told(NamedTuple):
    """What a receipt says."""

    reports: list[DeliveryReport]
    written: list[Written]


@dataclass
class Processed:
    """What became of a batch of reports, by their place in it."""

    applied: set[int] = field(default_factory=set)
    strangers: set[int] = field(default_factory=set)


def process_due() -> bool:
    """Clock job: one batch of raw receipts; True when there may be more."""
    due = Receipt.objects.filter(processed_at__isnull=True).exclude(id__in=held(PROCESSING.name))
    found = dict(due.order_by("id").values_list("id", "account__provider")[:AT_ONCE])
    if found:
        in_halves(PROCESSING, list(found), _process_these, lambda each: f"account {found[each]}")
    return len(found) == AT_ONCE


def _process_these(ids: Sequence[int]) -> None:
    with transaction.atomic(durable=True):
        batch = _batch(ids)
        unreadable: set[int] = set()
        reports: list[DeliveryReport] = []
        sources: list[int] = []  # whose receipt each report is
        written: list[Written] = []
        letters: dict[str, int] = {}  # and each reply, by its key
        for receipt in batch:
            told = _read(receipt)
            if told is None:
                unreadable.add(receipt.id)
                continue
            reports += told.reports
            sources += [receipt.id] * len(told.reports)
            written += told.written
            letters |= {each.key: receipt.id for each in told.written if each.key not in letters}
        processed = apply(reports)
        applied = {sources[place] for place in processed.applied}
        tests = trial_messages.hear([reports[place] for place in processed.strangers])
        applied |= {sources[n] for n in processed.strangers if reports[n].reference in tests}
        strange = {sources[place] for place in processed.strangers} - applied
        applied |= {letters[key] for key in replies.keep(written)}
        stale = {receipt.id for receipt in batch} - applied - strange - unreadable
        for outcome, rows in (
            (Receipt.Outcome.APPLIED, applied),
            (Receipt.Outcome.STRANGER, strange),
            (Receipt.Outcome.UNREADABLE, unreadable),
            (Receipt.Outcome.STALE, stale),
        ):
            if rows:
                Receipt.objects.filter(id__in=rows).update(
                    processed_at=timezone.now(), outcome=outcome
                )


def _batch(ids: Sequence[int]) -> list[RawReceipt]:
    """Tuples, not models: making those, and decrypting the credentials of each one's account, took
    a third of the time of processing.
    """
    rows = (
        Receipt.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(id__in=ids, processed_at__isnull=True)
        .order_by("id")
        .values_list("id", "account__provider", "headers", "query", "body", "received_at")
    )
    return [RawReceipt(*row) for row in rows]


def apply(reports: Sequence[DeliveryReport]) -> Processed:
    """Move the messages that the reports name. Inside the caller's transaction.

    A message is found by our reference and its phone; when it has moved to another batch since,
    the report still counts: it says that the first hand-over did arrive. The message returns to
    the batch it went with, whose account is asked about it from then on.
    """
    processed = Processed()
    batches = {
        reference: (batch_id, mailing_id)
        for reference, batch_id, mailing_id in Batch.objects.filter(
            reference__in={report.reference for report in reports}
        ).values_list("reference", "id", "mailing_id")
    }
    known = {
        place: (*batches[report.reference], report.phone)
        for place, report in enumerate(reports)
        if report.reference in batches
    }
    here = _locate(set(known.values()))
    moved_on = _locate_moved(set(known.values()) - here.keys())
    messages = here | moved_on
    moves: dict[int, tuple[int, Move]] = {}
    for place, report in enumerate(reports):
        message = messages.get(known[place]) if place in known else None
        if message is None:
            processed.strangers.add(place)
        elif report.status != DeliveryStatus.NOT_FOUND:
            move = _move(message, report, known[place][0] if known[place] in moved_on else None)
            if message not in moves or _outranks(report, reports[moves[message][0]]):
                moves[message] = (place, move)
    _ask_again_about([key[0] for key in moved_on])
    moved = set(ledger.move([move for _, move in moves.values()]))
    processed.applied = {place for message, (place, _) in moves.items() if message in moved}
    # A service that says "this number has opted out" is believed, for every later mailing.
    opted_out = {reports[p].phone for p in processed.applied if _opted_out(reports[p])}
    consent.opt_out_all(opted_out, OptOut.Source.PROVIDER)
    return processed


def _read(receipt: RawReceipt) -> Told | None:
    """What a raw receipt says; None when it cannot be understood."""
    note = WebhookPayload(headers=receipt.headers, query=receipt.query, body=receipt.body)
    try:
        provider = routing.provider_class(receipt.provider)(Credentials(values={}))
        reports = provider.read_receipts(note)
        found = [] if reports else provider.read_replies(note)
    except (ValueError, KeyError):
        return None
    except Exception as error:  # noqa: BLE001 - one odd receipt must not hold up the rest
        logger.error("receipt %s cannot be read: %s", receipt.id, type(error).__name__)
        return None
    # No reference and no phone of ours; some databases could not even be asked for them.
    odd = any(not _plain(report.reference + report.phone) for report in reports)
    written = [_written(receipt, place, reply) for place, reply in enumerate(found)]
    return None if odd else Told(reports, written)


def _written(receipt: RawReceipt, place: int, reply: InboundSms) -> Written:
    """Its key is what tells it from another one. When the service does not say when it came, that is
    all that the service did say, within one day: "yes" may be written twice in a year.
    """
    tell_apart = (
        (reply.phone, reply.text, reply.at.isoformat())
        if reply.at
        else (receipt.query, receipt.body, str(place), receipt.received_at.date().isoformat())
    )
    whole = "\0".join((receipt.provider, *tell_apart)).encode("utf-8", "replace")
    return Written(
        key=hashlib.sha256(whole).hexdigest(),
        phone=reply.phone,
        text=reply.text,
        at=reply.at or receipt.received_at,
        provider=receipt.provider,
        stop=reply.stop,
    )


def _plain(word: str) -> bool:
    return word.isascii() and word.isprintable()


def _locate(wanted: set[tuple[int, int, str]]) -> dict[tuple[int, int, str], int]:
    """(batch, mailing, phone) -> message id."""
    found = {
        (each.batch_id, each.phone): each.id
        for each in bulk.find_messages([(batch, phone) for batch, _, phone in wanted])
    }
    return {key: found[key[0], key[2]] for key in wanted if (key[0], key[2]) in found}


def _locate_moved(missing: set[tuple[int, int, str]]) -> dict[tuple[int, int, str], int]:
    """The same for messages that are in another batch by now. Rare: a query only when needed."""
    if not missing:
        return {}
    found = {
        (mailing, phone): message
        for message, mailing, phone in bulk.find_moved_messages(
            [(mailing, phone) for _, mailing, phone in missing]
        )
    }
    return {key: found[key[1], key[2]] for key in missing if (key[1], key[2]) in found}


def _ask_again_about(batches: Sequence[int]) -> None:
    """Batches that get a message back, perhaps after the last look at them. Before any message is
    locked.
    """
    if batches:
        first_look = timezone.now() + timedelta(seconds=settings.LOOK_UP_AFTER)
        waiting = Batch.objects.filter(id__in=batches, look_up_at__isnull=True)
        waiting.update(look_up_at=first_look)


def _move(message: int, report: DeliveryReport, batch: int | None) -> Move:
    to = Status(report.status.value)
    return Move(
        message,
        to,
        reason=_reason(to, report),
        raw_code=report.raw,
        provider_id=report.provider_id,
        # What is taken back costs nothing, whatever its hand-over was to cost.
        price=Decimal(0) if to == Status.CANCELLED else report.price,
        handed_at=report.at,
        batch=batch,
    )


def _reason(to: str, report: DeliveryReport) -> str:
    if to in (Status.ACCEPTED, Status.DELIVERED):
        return ""
    default = {Status.EXPIRED: Reason.EXPIRED, Status.CANCELLED: Reason.TAKEN_BACK}
    return report.reason or default.get(Status(to), Reason.OTHER)


def _outranks(report: DeliveryReport, other: DeliveryReport) -> bool:
    return other.status in RANK and report.status not in RANK


def _opted_out(report: DeliveryReport) -> bool:
    return report.reason == Reason.OPTED_OUT
