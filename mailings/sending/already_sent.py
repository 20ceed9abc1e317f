"""Skips people who already got the same text, when a mailing is prepared after a database copy was
restored. The provider's records showed those messages (restoration/book_pages.py, UnclaimedSms). The
people are entered as served, and nothing is sent to them again.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from django.conf import settings
from django.utils import timezone

from integrations.providers.contract import DeliveryReport, DeliveryStatus
from integrations.reasons import Reason
from mailings.models import Batch, Mailing, Message, UnclaimedSms
from mailings.text import fingerprints, markers, template

from . import bulk, ledger, receipts


class HasPhone(Protocol):
    """The fields of a person that this module needs."""

    @property
    def id(self) -> int: ...
    @property
    def phone(self) -> str: ...


class Prepared(Protocol):
    """A person, and the text that they would get; its short links are still marks (text/markers.py)."""

    @property
    def person(self) -> HasPhone: ...
    @property
    def text(self) -> str: ...


P = TypeVar("P", bound=Prepared)
Served = tuple[P, UnclaimedSms]


def split(mailing: Mailing, chosen: list[P]) -> tuple[list[P], list[Served[P]]]:
    """Split the people into those who are to get the mailing and those who already got it.

    Call it in the transaction that writes the messages: it locks the rows that it matches.
    """
    unclaimed = UnclaimedSms.objects.filter(claimed_at__isnull=True)
    # A mailing created after the copy was restored cannot have been sent before.
    of_it = unclaimed.filter(restoration__found_at__gte=mailing.created_at)
    if not chosen or not of_it.exists():  # nearly always
        return chosen, []
    rows = of_it.filter(phone__in=[each.person.phone for each in chosen])
    by_phone: dict[str, list[UnclaimedSms]] = defaultdict(list)
    for row in rows.select_for_update(of=("self",), no_key=True).order_by("id"):
        by_phone[row.phone].append(row)
    left: list[P] = []
    served: list[Served[P]] = []
    for each in chosen:
        theirs = _same(by_phone[each.person.phone], each.text)
        if theirs is None:
            left.append(each)
        else:
            served.append((each, theirs))
    return left, served


def enter(mailing: Mailing, served: Sequence[Served[P]]) -> None:
    """Enter the served people's messages as the provider's records show them, in batches with the
    references under which the messages were sent.
    """
    if not served:
        return
    batches = _batches(mailing, [row for _each, row in served])
    ledger.enter(mailing.id, [_entry(mailing, each, batches[row.id]) for each, row in served])
    receipts.apply([_report(row, batches[row.id].reference) for _each, row in served])
    UnclaimedSms.objects.filter(id__in=[row.id for _each, row in served]).update(
        claimed_at=timezone.now(), mailing=mailing
    )


def _same(rows: list[UnclaimedSms], body: str) -> UnclaimedSms | None:
    """Find the row with this text and remove it from the list: each row stands for one message."""
    ours = fingerprints.of_stored(body) if rows else ""
    for row in rows:
        if row.fingerprint in ("", ours):
            rows.remove(row)
            return row
    return None


def _batches(mailing: Mailing, rows: Sequence[UnclaimedSms]) -> dict[int, Batch]:
    """Return the batch of each row, by row id. A row whose reference is empty or belongs to another
    mailing goes into a new batch with a new reference.
    """
    named = {row.reference for row in rows if row.reference}
    there = {batch.reference: batch for batch in Batch.objects.filter(reference__in=named)}
    sizes: Counter[tuple[int, str]] = Counter()
    for row in rows:
        sizes[_key(mailing, row, there)] += 1
    fresh = {key: _batch(mailing, *key, size) for key, size in sizes.items() if key[1] not in there}
    Batch.objects.bulk_create(fresh.values())
    return {
        row.id: there[row.reference] if key[1] in there else fresh[key]
        for row in rows
        for key in [_key(mailing, row, there)]
    }


def _key(mailing: Mailing, row: UnclaimedSms, there: dict[str, Batch]) -> tuple[int, str]:
    theirs = row.reference in there and there[row.reference].mailing_id != mailing.id
    return row.account_id, "" if theirs else row.reference


def _batch(mailing: Mailing, account_id: int, reference: str, size: int) -> Batch:
    now = timezone.now()
    return Batch(
        mailing=mailing,
        account_id=account_id,
        reference=reference or Batch.new_reference(),
        size=size,
        state=Batch.State.ANSWERED,
        claimed_at=now,
        answered_at=now,
        look_up_at=now + timedelta(seconds=settings.LOOK_UP_AFTER),
    )


def _entry(mailing: Mailing, each: Prepared, batch: Batch) -> bulk.Entry:
    return bulk.Entry(
        mailing_id=mailing.id,
        key=each.person.phone,
        user_id=each.person.id,
        phone=each.person.phone,
        text=each.text,
        parts=template.parts_of(markers.masked(each.text)),
        status=Message.Status.WAITING.value,
        reason="",
        batch_id=batch.id,
        final_at=None,
    )


def _report(row: UnclaimedSms, reference: str) -> DeliveryReport:
    return DeliveryReport(
        reference,
        row.phone,
        DeliveryStatus(row.status),
        Reason(row.reason) if row.reason in set(Reason) else None,
        row.raw_code,
        row.provider_id,
        row.price,
        at=row.at,
    )
