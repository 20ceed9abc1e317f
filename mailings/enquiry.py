"""Ask the provider what became of messages that are still open: the unknown ones first of all,
and accepted ones whose receipt does not come. Decides nothing without the provider's word.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations import router
from integrations.models import Account
from integrations.provider import Asked, Enquiry, Report, ReportStatus, Trouble
from integrations.reasons import Reason
from smsmail.set_aside import Thing, Work, attempt, held, in_halves, one_by_one, recovered

from . import ledger, marks, receipts
from .ledger import Move
from .models import Dispatch, Message
from .recording import send_again
from .sealed import opened

logger = logging.getLogger(__name__)

Status = Message.Status
# Parts of the job "enquire".
LOTS, CONCLUDING = Work("look_up", "batch"), Work("conclude", "batch")
AT_ONCE = 100  # lots in one enquiry: the provider's books are swept once for all of them
# When to ask again about accepted messages, counted from the hand-over; the last look is
# settings.RECEIPT_WAIT.
LATER = (timedelta(hours=1), timedelta(hours=6))


def enquire_due() -> bool:
    """Clock job: one enquiry per account about the lots whose time has come."""
    accounts = {each.pk: each for each in Account.objects.all()}
    things = [Thing(each.pk, f"account {each.provider}") for each in accounts.values()]
    return one_by_one(Work("enquire", "account"), things, lambda each: _enquire(accounts[each]))


def _enquire(account: Account) -> bool:
    dispatches = _take(account)
    if not dispatches:
        return False
    asked = _enquiries(dispatches)
    enquiries = [enquiry for enquiry in asked.values() if enquiry.asked]
    reports = _ask(account, enquiries)
    told, missing = _phones(reports)
    concluded = []
    for dispatch in _take_in(list(asked), reports):
        reference = dispatch.reference
        of_all = told[reference].issuperset(asked[dispatch].phones)
        conclude = partial(_conclude, dispatch.id, missing[reference], answered=of_all)
        if attempt(CONCLUDING, _thing(dispatch), conclude):
            concluded.append(dispatch.id)
    recovered(CONCLUDING, concluded)
    return len(dispatches) == AT_ONCE


def _phones(reports: Sequence[Report]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """By reference: of whom something was told, and of whom that the books do not know them."""
    told: dict[str, set[str]] = defaultdict(set)
    missing: dict[str, set[str]] = defaultdict(set)
    for report in reports:
        told[report.reference].add(report.phone)
        if report.status == ReportStatus.NOT_FOUND:
            missing[report.reference].add(report.phone)
    return told, missing


def _enquiries(dispatches: Sequence[Dispatch]) -> dict[Dispatch, Enquiry]:
    asked = {}
    for dispatch in dispatches:
        enquiry = attempt(LOTS, _thing(dispatch), partial(_enquiry, dispatch))
        if enquiry is not None:
            asked[dispatch] = enquiry
    return asked


def _take_in(dispatches: Sequence[Dispatch], reports: Sequence[Report]) -> list[Dispatch]:
    """Lots whose reports could be written down: nothing is concluded about the others."""
    of = {dispatch.id: dispatch for dispatch in dispatches}
    taken: list[Dispatch] = []

    def take_in(ids: Sequence[int]) -> None:
        references = {of[key].reference for key in ids}
        with transaction.atomic(durable=True):
            receipts.apply([each for each in reports if each.reference in references])
        taken.extend(of[key] for key in ids)

    in_halves(LOTS, list(of), take_in, lambda key: f"mailing {of[key].mailing_id}")
    return taken


def _thing(dispatch: Dispatch) -> Thing:
    return Thing(dispatch.id, f"mailing {dispatch.mailing_id}")


def _enquiry(dispatch: Dispatch) -> Enquiry:
    since = dispatch.claimed_at or timezone.now()
    return Enquiry(dispatch.reference, _open_messages(dispatch), since)


def _take(account: Account) -> list[Dispatch]:
    """The lots due, put off by a lease so that nobody else asks meanwhile."""
    with transaction.atomic(durable=True):
        due = list(
            Dispatch.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(account=account, look_up_at__lte=timezone.now())
            .exclude(id__in=held(LOTS.name, CONCLUDING.name))
            .order_by("look_up_at")[:AT_ONCE]
        )
        Dispatch.objects.filter(id__in=[each.id for each in due]).update(
            look_up_at=timezone.now() + timedelta(seconds=settings.LEASE)
        )
    return due


def _open_messages(dispatch: Dispatch) -> tuple[Asked, ...]:
    rows = dispatch.messages.filter(status__in=[Status.ACCEPTED, Status.UNKNOWN])
    return tuple(
        Asked(phone, marks.filled(opened(body), key), provider_id)
        for key, phone, body, provider_id in rows.values_list("id", "phone", "text", "provider_id")
    )


def _ask(account: Account, enquiries: Sequence[Enquiry]) -> list[Report]:
    """What the provider says: nothing when it cannot be asked (now). No transaction is open."""
    if not enquiries:
        return []
    try:
        provider = router.provider_of(account)
        return provider.look_up(enquiries) if account.connected and provider.can_look_up else []
    except Trouble as trouble:
        logger.warning("%s cannot be asked now: %s", account.provider, trouble)
    except Exception as error:  # noqa: BLE001 - one provider's mistake must not keep the others from being asked
        logger.error("%s cannot be asked: %s", account.provider, type(error).__name__)
    return []


def _conclude(dispatch_id: int, missing: set[str], *, answered: bool) -> bool:
    """Act on what the books do not know, and set the time of the next look.

    NOT_FOUND must be heard twice with a pause between: books may lag, and sending again what did
    arrive is the one thing that must not happen. So only looks count that told of every message, and
    none before the time for which a message was handed over, unless the books show what is kept.
    """
    with transaction.atomic(durable=True):
        dispatch = (
            Dispatch.objects.select_for_update(of=("self",), no_key=True)
            .select_related("mailing", "account")
            .get(id=dispatch_id)
        )
        waited = timezone.now() - _since(dispatch)
        books_tell = _books_tell(dispatch)
        unknown = dispatch.messages.filter(status=Status.UNKNOWN, phone__in=missing)
        twice = books_tell and dispatch.look_ups
        never_had = list(unknown.values_list("id", flat=True)) if twice else []
        # One move in one transaction (the order of locks): the rest at the next look, which is near.
        if never_had:
            send_again(dispatch, never_had)
        elif waited.total_seconds() >= settings.RECEIPT_WAIT:
            silent = dispatch.messages.filter(status=Status.ACCEPTED).values_list("id", flat=True)
            ledger.move([Move(each, Status.NO_RECEIPT, Reason.NO_RECEIPT) for each in silent])
        if answered and books_tell:
            dispatch.look_ups += 1
        dispatch.look_up_at = _next_look(dispatch, answered=answered)
        dispatch.save(update_fields=["look_ups", "look_up_at"])
    return True


def _books_tell(dispatch: Dispatch) -> bool:
    """Would its books know of a message that it has?"""
    if dispatch.send_at is None or dispatch.account is None:
        return True
    provider = router.provider_class(dispatch.account.provider)
    settled = dispatch.send_at + timedelta(seconds=provider.settle_seconds)
    return provider.books_show_kept or timezone.now() >= settled


def _since(dispatch: Dispatch) -> datetime:
    """From when a receipt may be waited for: the hand-over, or the time the service keeps it until."""
    handed = dispatch.claimed_at or timezone.now()
    return max(handed, dispatch.send_at or handed)


def _next_look(dispatch: Dispatch, *, answered: bool) -> datetime | None:
    open_ = set(
        dispatch.messages.filter(status__in=[Status.ACCEPTED, Status.UNKNOWN])
        .values_list("status", flat=True)
        .distinct()
    )
    if not open_:
        return None
    now = timezone.now()
    since = _since(dispatch)
    if dispatch.account is not None and not _books_tell(dispatch):
        settles = router.provider_class(dispatch.account.provider).settle_seconds
        return since + timedelta(seconds=settles)
    ends = timedelta(seconds=settings.RECEIPT_WAIT)
    if Status.UNKNOWN in open_ or not answered:
        pause = timedelta(seconds=settings.LOOK_UP_PAUSE * 2 ** min(dispatch.look_ups, 6))
        again = now + max(pause, (now - since) / 4)  # the older, the rarer, answered or not
        return min(again, since + ends) if now < since + ends else again
    looks = [*(later for later in LATER if later < ends), ends]
    return next((since + later for later in looks if since + later > now), now)
