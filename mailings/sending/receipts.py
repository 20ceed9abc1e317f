"""Processes raw receipts, a thousand at a time: delivery reports go to the ledger, and the replies of
people among them go to users.consent.replies.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from integrations.models import Receipt, ReceiptPack
from integrations.providers.base import Provider
from integrations.providers.contract import (
    Credentials,
    DeliveryReport,
    DeliveryStatus,
    InboundSms,
    WebhookPayload,
)
from integrations.reasons import Reason
from integrations.receipts import inbox, packs
from integrations.receipts.inbox import RawReceipt
from integrations.routing import routing, trial_messages
from mailings.models import Batch, Message
from smsmail.jobs import heartbeat
from smsmail.jobs.set_aside import Work, in_halves, is_outage, recovered, set_aside_ids
from users.consent import consent, replies
from users.consent.replies import Written
from users.models import OptOut

from . import bulk, ledger
from .ledger import Move

logger = logging.getLogger(__name__)

Status = Message.Status
Outcome = ReceiptPack.Outcome
PROCESSING = Work("process_receipts", "receipt")
AT_ONCE = 1000
# Receipts come out of order: of several reports on one message that are processed together, one with
# any other status wins over one with these.
RANK = (DeliveryStatus.NOT_FOUND, DeliveryStatus.ACCEPTED)


class Told(NamedTuple):
    """What a receipt contains: reports and replies."""

    reports: list[DeliveryReport]
    written: list[Written]


@dataclass
class Processed:
    """What became of a sequence of reports, as indexes into it."""

    applied: set[int] = field(default_factory=set)
    strangers: set[int] = field(default_factory=set)


def process_due() -> bool:
    """Periodic job: process up to AT_ONCE raw receipts. Returns True when there may be more.

    If all together fail, they are processed in halves, down to the one that fails: it is set aside.
    """
    due = Receipt.objects.exclude(id__in=set_aside_ids(PROCESSING.name)).order_by("id")
    oldest = due.values_list("id", flat=True)[:AT_ONCE]
    try:
        taken = _process(oldest)
    except Exception as error:
        if is_outage(error):
            raise
        heartbeat.beat()
        found = dict(due.values_list("id", "account__provider")[:AT_ONCE])
        in_halves(PROCESSING, list(found), _process_these, lambda each: f"account {found[each]}")
        return len(found) == AT_ONCE
    recovered(PROCESSING, taken)
    return len(taken) == AT_ONCE


def _process_these(ids: Sequence[int]) -> None:
    _process(Receipt.objects.filter(id__in=ids).order_by("id").values_list("id", flat=True))


def _process(chosen: "QuerySet[Receipt, int]") -> list[int]:
    """Take these receipts out of the inbox, process them and pack them, in one transaction. Returns the
    ids of those that were taken: other workers may have taken some.
    """
    with transaction.atomic(durable=True):
        receipts = inbox.take(chosen)
        if receipts:
            packs.pack(receipts, _outcomes(receipts))
    return [receipt.id for receipt in receipts]


def _outcomes(receipts: Sequence[RawReceipt]) -> dict[int, str]:
    """Do what the receipts say, and return what became of each, by its id."""
    outcomes: dict[int, str] = {}
    reports: list[DeliveryReport] = []
    sources: list[int] = []  # for each report, the id of its receipt
    written: list[Written] = []
    letters: dict[str, int] = {}  # for each reply, by its key, the id of its receipt
    for receipt in receipts:
        told = _read(receipt)
        outcomes[receipt.id] = Outcome.UNREADABLE if told is None else Outcome.STALE
        if told is not None:
            reports += told.reports
            sources += [receipt.id] * len(told.reports)
            written += told.written
            letters |= {each.key: receipt.id for each in told.written if each.key not in letters}
    processed = apply(reports)
    tests = trial_messages.hear([reports[place] for place in processed.strangers])
    strangers = {place for place in processed.strangers if reports[place].reference not in tests}
    outcomes |= dict.fromkeys((sources[place] for place in strangers), Outcome.STRANGER)
    applied = [sources[place] for place in processed.applied | (processed.strangers - strangers)]
    applied += [letters[key] for key in replies.keep(written)]
    return outcomes | dict.fromkeys(applied, Outcome.APPLIED)


def apply(reports: Sequence[DeliveryReport]) -> Processed:
    """Apply delivery reports to their messages. Call it inside a transaction.

    1. Find the batches that the references of the reports name.
    2. Find each message by its batch and phone. A message that has moved to another batch since is
       found by its mailing and phone: the report says that the first submission did arrive.
    3. Choose one move for each message. A report without a message is a stranger, a NOT_FOUND report
       moves nothing, and of several reports on one message RANK decides. A message that has moved
       returns to the batch of its report, whose account is asked about it from then on.
    4. Schedule a look-up for the batches that get a message back, before any message is locked.
    5. Move the messages in the ledger; a report counts as applied if its message was moved.
    6. Record opt-outs for the applied reports that say so; they hold for every later mailing.
    """
    processed = Processed()
    # 1.
    batches = {
        reference: (batch_id, mailing_id)
        for reference, batch_id, mailing_id in Batch.objects.filter(
            reference__in={report.reference for report in reports}
        ).values_list("reference", "id", "mailing_id")
    }
    # 2.
    known = {
        place: (*batches[report.reference], report.phone)
        for place, report in enumerate(reports)
        if report.reference in batches
    }
    here = _locate(set(known.values()))
    moved_on = _locate_moved(set(known.values()) - here.keys())
    messages = here | moved_on
    # 3.
    moves: dict[int, tuple[int, Move]] = {}
    for place, report in enumerate(reports):
        message = messages.get(known[place]) if place in known else None
        if message is None:
            processed.strangers.add(place)
        elif report.status != DeliveryStatus.NOT_FOUND:
            move = _move(message, report, known[place][0] if known[place] in moved_on else None)
            if message not in moves or _outranks(report, reports[moves[message][0]]):
                moves[message] = (place, move)
    # 4.
    _ask_again_about([key[0] for key in moved_on])
    # 5.
    moved = set(ledger.move([move for _, move in moves.values()]))
    processed.applied = {place for message, (place, _) in moves.items() if message in moved}
    # 6. A provider that says "this number has opted out" is believed.
    opted_out = {reports[p].phone for p in processed.applied if _opted_out(reports[p])}
    consent.opt_out_all(opted_out, OptOut.Source.PROVIDER)
    return processed


def _read(receipt: RawReceipt) -> Told | None:
    """Return what a raw receipt contains; None when it cannot be understood."""
    note = WebhookPayload(headers=receipt.headers, query=receipt.query, body=receipt.body)
    try:
        provider = _reader(routing.provider_class(receipt.provider))
        reports = provider.read_receipts(note)
        found = [] if reports else provider.read_replies(note)
    except (ValueError, KeyError):
        return None
    except Exception as error:  # noqa: BLE001 - one odd receipt must not hold up the rest
        logger.error("receipt %s cannot be read: %s", receipt.id, type(error).__name__)
        return None
    # Our references and phones are plain ASCII. Some databases could not even be queried for others.
    for report in reports:
        if not _plain(report.reference + report.phone):
            return None
    return Told(reports, [_written(receipt, place, reply) for place, reply in enumerate(found)])


@lru_cache(maxsize=16)
def _reader(provider: type[Provider]) -> Provider:
    """Return the provider without credentials: reading needs none."""
    return provider(Credentials(values={}))


def _written(receipt: RawReceipt, place: int, reply: InboundSms) -> Written:
    """Return the reply with a key that tells it from every other reply. When the provider does not say
    when the reply was written, the key is made of the whole receipt and its day: a person may write
    "yes" twice in a year.
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
    """Map (batch, mailing, phone) to the message id."""
    found = {
        (each.batch_id, each.phone): each.id
        for each in bulk.find_messages([(batch, phone) for batch, _, phone in wanted])
    }
    return {key: found[key[0], key[2]] for key in wanted if (key[0], key[2]) in found}


def _locate_moved(missing: set[tuple[int, int, str]]) -> dict[tuple[int, int, str], int]:
    """Do the same for messages that have moved to another batch. This is rare, and without such
    messages there is no query.
    """
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
    """Schedule a look-up for batches that get a message back, perhaps after their last look-up. Call it
    before any message is locked.
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
        # A message that the provider gave back costs nothing, whatever its submission was to cost.
        price=Decimal(0) if to == Status.CANCELLED else report.price,
        submitted_at=report.at,
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
