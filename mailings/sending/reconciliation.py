"""Asks the provider what became of open messages: unknown ones above all, and accepted ones whose receipt
does not come. Nothing is decided without the provider's answer. evidence.py judges what an answer is
worth that says that the provider never had a message.
"""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from integrations.models import Account
from integrations.providers.base import Provider
from integrations.providers.contract import DeliveryReport, LookupItem, LookupRequest, ProviderError
from integrations.reasons import Reason
from integrations.routing import logins, routing, service_clock
from integrations.routing.in_turn import Turns
from mailings.models import Batch, Message
from mailings.text import markers
from mailings.text.sealed import opened
from smsmail.jobs.set_aside import Thing, Work, attempt, in_halves, recovered, set_aside_ids

from . import epoch, ledger, night_holds, receipts, witnesses
from .evidence import Doubt, Heard
from .ledger import Move
from .record import send_again

logger = logging.getLogger(__name__)

Status = Message.Status
# Parts of the job "reconcile".
BATCHES, CONCLUDING = Work("look_up", "batch"), Work("conclude", "batch")
AT_ONCE = 100  # batches in one look-up: the provider's records are read once for all of them
# Times after the submission at which to ask again about accepted messages; the last look-up comes
# after settings.RECEIPT_WAIT.
LATER = (timedelta(hours=1), timedelta(hours=6))


def reconcile_due() -> bool:
    """Periodic job: make one look-up per account, about the batches that are due."""
    if epoch.is_held():  # a restored copy lacks what happened since, and would conclude wrongly
        return False
    logins.forget_unneeded()
    due = Batch.objects.filter(account=OuterRef("pk"), look_up_at__lte=timezone.now())
    return _turns.take(Account.objects.filter(Exists(due)))


def _reconcile(account: Account) -> bool:
    """Make one look-up for the account. Returns True when more batches are due already."""
    batches = _take(account)
    if not batches:
        return False
    heard = ask_about(account, batches)
    concluded = []
    for each in batches:
        if each.reference in heard.broken:
            continue
        conclude = partial(
            _conclude,
            each.id,
            heard.missing[each.reference],
            answered=heard.answered(each.reference),
            doubt=heard.doubts.get(each.reference, ""),
            read_to=heard.read_to.get(each.reference, ""),
        )
        if attempt(CONCLUDING, _thing(each), conclude):
            concluded.append(each.id)
    recovered(CONCLUDING, concluded)
    due = Batch.objects.filter(account=account, look_up_at__lte=timezone.now())
    return due.exclude(id__in=set_aside_ids(BATCHES.name, CONCLUDING.name)).exists()


_turns = Turns("reconcile", _reconcile)


def _thing(batch: Batch) -> Thing:
    return Thing(batch.id, f"mailing {batch.mailing_id}")


def _take(account: Account) -> list[Batch]:
    """Return batches that are due, and postpone them by a lease so that no other worker asks meanwhile.
    All of them were submitted with one login, and the records were read back to the same place.
    """
    with transaction.atomic(durable=True):
        due = (
            Batch.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(account=account, look_up_at__lte=timezone.now())
            .exclude(id__in=set_aside_ids(BATCHES.name, CONCLUDING.name))
            .order_by("look_up_at")
        )
        first = due.first()
        if first is None:
            return []
        batches = list(due.filter(login=first.login, read_to=first.read_to)[:AT_ONCE])
        Batch.objects.filter(id__in=[each.id for each in batches]).update(
            look_up_at=timezone.now() + timedelta(seconds=settings.LEASE)
        )
    return batches


# --- asking ----------------------------------------------------------------------------------
def ask_about(
    account: Account, batches: Sequence[Batch], statuses: Collection[str] = Message.AWAITING_RECEIPT
) -> Heard:
    """Look up batches of one login of an account in the provider's records. What is found is applied to
    the messages; what is missing is only returned. Call it without an open transaction.
    """
    read = {
        batch.reference: attempt(BATCHES, _thing(batch), partial(_lookup, batch, statuses))
        for batch in batches
    }
    heard = Heard(each for each in read.values() if each is not None and each.asked)
    heard.broken = {reference for reference, lookup in read.items() if lookup is None}
    if not heard.lookups:
        return heard
    try:
        provider = logins.provider_of(account, batches[0].login, routing.receipt_url(account))
    except Exception as error:  # noqa: BLE001 - one provider's mistake must not keep the others from being asked
        logger.error("%s cannot be asked: %s", account.provider, type(error).__name__)
        heard.doubt(Doubt.AWAY)
        return heard
    if provider is None:
        if account.connected:
            heard.doubt(Doubt.LOGIN)
    elif provider.can_look_up:
        _look(account, provider, heard, batches)
    return heard


def _lookup(batch: Batch, statuses: Collection[str]) -> LookupRequest:
    now = timezone.now()
    since = min(batch.books_since or batch.claimed_at or now, now)
    return LookupRequest(
        batch.reference, _open_messages(batch, statuses), since, read_to=batch.read_to
    )


def _open_messages(
    batch: Batch, statuses: Collection[str] = Message.AWAITING_RECEIPT
) -> tuple[LookupItem, ...]:
    rows = batch.messages.filter(status__in=statuses)
    return tuple(
        LookupItem(phone, markers.filled(opened(body), key), provider_id)
        for key, phone, body, provider_id in rows.values_list("id", "phone", "text", "provider_id")
    )


def _look(account: Account, provider: Provider, heard: Heard, batches: Sequence[Batch]) -> None:
    """Ask the provider about the batches, and take the answers into `heard` and into the messages."""
    unknown = _with_unknown(batches)
    if not provider.books_are_sure:
        for batch in batches:
            if batch.id in unknown and batch.reference in heard.lookups:
                heard.change(batch.reference, witness=witnesses.of(batch, provider))
    guessed = heard.without_id if provider.books_by_text else set()
    phones = {phone for _, phone in guessed}
    others = witnesses.others(account, phones, guessed)
    if phones:
        heard.change_all(taken=others.ids, rivals=tuple(others.rivals.values()))
    reports = _ask(account, provider, list(heard.lookups.values()))
    service_clock.note_clock(account.id, provider)
    if reports is None:
        heard.doubt(Doubt.AWAY)
        return
    if phones:
        reports = _of_nobody_else(
            reports, others, witnesses.others(account, phones, guessed), guessed
        )
    heard.take(reports, provider)
    asked = [batch for batch in batches if batch.reference in heard.lookups]
    heard.broken |= _not_taken_in(asked, reports)
    at_once = {
        batch.reference for batch in batches if batch.id in unknown and batch.send_at is None
    }
    late = heard.lateness(reports, at_once)
    if late:
        service_clock.note_slow(account.id, late)


def _not_taken_in(batches: Sequence[Batch], reports: Sequence[DeliveryReport]) -> set[str]:
    """Apply the reports. Returns the references of batches whose reports could not be applied: nothing
    is concluded about those.
    """
    of = {batch.id: batch for batch in batches}
    left = {batch.reference for batch in batches}

    def take_in(ids: Sequence[int]) -> None:
        references = {of[key].reference for key in ids}
        with transaction.atomic(durable=True):
            receipts.apply([each for each in reports if each.reference in references])
        left.difference_update(references)

    in_halves(BATCHES, list(of), take_in, lambda key: f"mailing {of[key].mailing_id}")
    return left


def _with_unknown(batches: Sequence[Batch]) -> set[int | None]:
    """Return the ids of the batches with unknown messages. Only those can be sent again; about others no
    proof is needed.
    """
    unknown = Message.objects.unknown().filter(batch__in=[batch.id for batch in batches])
    return set(unknown.values_list("batch_id", flat=True).distinct())


def _ask(
    account: Account, provider: Provider, lookups: Sequence[LookupRequest]
) -> list[DeliveryReport] | None:
    """Return the provider's reports; None when it cannot be asked now. No transaction is open."""
    try:
        return provider.look_up(lookups)
    except ProviderError as trouble:
        logger.warning("%s cannot be asked now: %s", account.provider, trouble)
    except Exception as error:  # noqa: BLE001 - one provider's mistake must not keep the others from being asked
        logger.error("%s cannot be asked: %s", account.provider, type(error).__name__)
    return None


def _of_nobody_else(
    reports: Sequence[DeliveryReport],
    before: witnesses.OtherMessages,
    after: witnesses.OtherMessages,
    guessed: Collection[tuple[str, str]],
) -> list[DeliveryReport]:
    """Return the reports without those that belong, or may belong, to another message of ours by the
    time the records were read.
    """
    doubtful = after.came_since(before)
    return [
        report
        for report in reports
        if (report.reference, report.phone) not in guessed
        or not report.provider_id
        or (report.provider_id not in after.ids and report.phone not in doubtful)
    ]


# --- conclusions -----------------------------------------------------------------------------
def _conclude(
    batch_id: int, missing: set[str], *, answered: bool, doubt: str = "", read_to: str = ""
) -> bool:
    """Act on what the records do not show, and set the time of the next look-up.

    NOT_FOUND must be reported twice with a pause in between: records may lag, and sending a message
    again that did arrive is the one thing that must not happen. So a look-up counts only if it reported
    on every message, and only after the time from which an absence says anything.
    """
    with transaction.atomic(durable=True):
        batch = (
            Batch.objects.select_for_update(of=("self",), no_key=True)
            .select_related("mailing", "account")
            .get(id=batch_id)
        )
        waited = timezone.now() - _since(batch)
        not_before = _counts_from(batch, missing)
        books_tell = not_before is None or timezone.now() >= not_before
        unknown = batch.messages.unknown().filter(phone__in=missing)
        twice = books_tell and batch.look_ups
        never_had = list(unknown.values_list("id", flat=True)) if twice else []
        # One move in one transaction, because of the order of locks. The rest follows at the next
        # look-up, which is near.
        if never_had:
            send_again(batch, never_had)
        elif waited.total_seconds() >= settings.RECEIPT_WAIT:
            silent = batch.messages.filter(status=Status.ACCEPTED).values_list("id", flat=True)
            ledger.move([Move(each, Status.NO_RECEIPT, Reason.NO_RECEIPT) for each in silent])
        if answered and books_tell:
            batch.look_ups += 1
        batch.read_to = read_to
        batch.doubt = doubt or ("" if books_tell else Doubt.PUT_OFF)
        batch.look_up_at = _next_look(batch, None if books_tell else not_before, answered=answered)
        batch.save(update_fields=["look_ups", "look_up_at", "read_to", "doubt"])
    return True


def _counts_from(batch: Batch, missing: Collection[str]) -> datetime | None:
    """Return the time from which the records would surely show these messages; None: as soon as they
    are settled.
    """
    if batch.account is None or not (batch.send_at or missing):
        return None
    provider = routing.provider_class(batch.account.provider)
    later = []
    if batch.send_at is not None and not provider.books_show_kept:
        later.append(batch.send_at + timedelta(seconds=provider.settle_seconds))
    put_off = night_holds.until(batch, _since(batch), provider, missing)
    return max([*later, *([put_off] if put_off else [])], default=None)


def _since(batch: Batch) -> datetime:
    """Return the time from which a receipt can be expected: the submission, or the set time until which
    the provider keeps the batch.
    """
    handed = batch.claimed_at or timezone.now()
    return max(handed, batch.send_at or handed)


def _next_look(batch: Batch, not_before: datetime | None, *, answered: bool) -> datetime | None:
    """Return the time of the next look-up; None if no message of the batch is open any more."""
    open_ = set(batch.messages.awaiting_receipt().values_list("status", flat=True).distinct())
    if not open_:
        return None
    now = timezone.now()
    since = _since(batch)
    if batch.read_to:
        return now  # to read the rest of the records
    if not_before is not None:
        return not_before
    ends = timedelta(seconds=settings.RECEIPT_WAIT)
    if Status.UNKNOWN in open_ or not answered:
        pause = timedelta(seconds=settings.LOOK_UP_PAUSE * 2 ** min(batch.look_ups, 6))
        # A provider that was slow to answer may be slow to write its records, too.
        pause += timedelta(seconds=service_clock.slowness(batch.account) if batch.account else 0)
        # The older a batch, the rarer its look-ups, answered or not. It is not older than the time from which
        # it could be submitted: a clock that was slow may have written the claim. A message that was missing
        # once is looked up again soon, however old it is.
        oldest = max(since, min(batch.not_before, now))
        age = timedelta() if answered and batch.look_ups == 1 else (now - oldest) / 4
        again = now + max(pause, age)
        return min(again, since + ends) if now < since + ends else again
    looks = [*(later for later in LATER if later < ends), ends]
    return next((since + later for later in looks if since + later > now), now)
