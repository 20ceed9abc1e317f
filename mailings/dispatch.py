"""Claim a lot, hand it over, record the answer, recover what nobody recorded.

claim() and record() are transactions of their own; between them no transaction is open, and the
request is made in a pool thread that never touches the database.
"""

import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Case, CharField, Exists, OuterRef, Q, Value, When
from django.utils import timezone

from integrations import router, short_links
from integrations.http import clock
from integrations.models import Account
from integrations.provider import Outcome, Provider, Sms, Verdict
from integrations.reasons import Fault, Reason
from users import consent
from users.models import OptOut

from . import ledger, marks, starting
from .departures import Departure, Leave, may_leave
from .ledger import Move
from .models import Counters, Dispatch, Mailing, Message
from .prepare import new_lots
from .sealed import opened

logger = logging.getLogger(__name__)

Status = Message.Status
_UNDECIDED = frozenset({Status.WAITING, Status.UNKNOWN})
BRAKE = 50  # refusals for the text or the sender, before anything was taken
SLICE = 10  # seconds for which one call of the clock job goes on claiming
# A pause of the pace that is waited out; for a longer one the clock comes again soon enough.
LONGEST_PAUSE = 1.0
# The lane of notifications looks for new ones so often while it waits for answers, and goes on for so
# long; what it claims last is answered, or given up, in time for the limit of a task.
LANE_LOOK = 0.3
LANE_SLICE = max(SLICE, settings.TASK_LIMIT - settings.LOT_DEADLINE - settings.READ_TIMEOUT - 5)
# A lot handed over this long ago can have no request under way: it holds no place any more,
# though only the lease decides what became of it.
BUSY = timedelta(seconds=settings.LOT_DEADLINE + settings.READ_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Lot:
    """A claimed Dispatch: all that the hand-over needs, without the database."""

    dispatch_id: int
    mailing_id: int
    account_id: int
    reference: str
    provider: Provider
    messages: tuple[Sms, ...]
    part_price: Decimal | None  # of the account, for services that do not say
    claimed: float  # http.clock()

    @property
    def deadline(self) -> float:
        return self.claimed + settings.LOT_DEADLINE


def hand_over_due() -> bool:
    """Clock job: claim, hand over and record for SLICE seconds; True when lots are left."""
    return _hand_over()


def notify_due() -> bool:
    """Clock job: the same for notifications and tests alone, with threads of its own: a mailing that
    fills the others, or whose service is slow, does not hold them up.
    """
    return _hand_over(lane=True)


def _hand_over(*, lane: bool = False) -> bool:
    began = clock()
    until = began + SLICE
    flying: dict[Future[list[Verdict]], Lot] = {}
    more = True
    try:
        while flying or (more and clock() < until):
            if lane and flying:  # an answer that is long in coming keeps nobody waiting
                until = began + LANE_SLICE
            while more and len(flying) < settings.HAND_OVER_THREADS and clock() < until:
                lot = claim(lane=lane)
                more = lot is not None
                if lot is not None:
                    flying[_pool(lane=lane).submit(hand_over, lot)] = lot
            pause = 0.0 if more or clock() >= until else _pause()
            if flying:
                _land(flying, LANE_LOOK if lane else pause or None)
                more = True  # a place is free again
            elif 0 < pause < LONGEST_PAUSE:
                time.sleep(pause)
                more = True
    finally:
        while flying:  # whatever broke, what is in the air must be written down
            _land(flying)
    return more


def _pause() -> float:
    """Seconds until the pace of the account that sends allows the next lot."""
    sender = router.sender()
    return router.pause_of(sender) if sender else 0.0


def _land(flying: dict[Future[list[Verdict]], Lot], timeout: float | None = None) -> None:
    """Wait for the next answers and record them."""
    landed, _ = wait(flying, timeout, return_when=FIRST_COMPLETED)
    for future in landed:
        record_surely(flying.pop(future), future.result())


def claim(*, lane: bool = False) -> Lot | None:
    """Take one waiting lot for the account that sends now; None when there is nothing to do now.
    lane: of notifications and tests alone.

    Late refusals, and whose message has outlived its time, are left out here, the last moment before
    the hand-over.
    """
    with transaction.atomic(durable=True):
        account, places = _free_account(lane=lane)
        if account is None:
            return None
        provider = router.provider_of(account)
        # Of several places, the last is kept free for a notification.
        waiting = _waiting_dispatch(provider, lane=lane or places == 1 < account.parallel)
        if waiting is None:
            return None
        dispatch, too_late = waiting
        messages = _fit_messages(dispatch, too_late=too_late)
        router.reserve(account, len(messages))
        now = timezone.now()
        dispatch.state = Dispatch.State.HANDING if messages else Dispatch.State.ANSWERED
        dispatch.account = account
        dispatch.claimed_at = now
        dispatch.save(update_fields=["state", "account", "claimed_at", "send_at"])
        return Lot(
            dispatch_id=dispatch.id,
            mailing_id=dispatch.mailing_id,
            account_id=account.id,
            reference=dispatch.reference,
            provider=provider,
            messages=messages,
            part_price=account.price or None,
            claimed=clock(),
        )


def hand_over(lot: Lot) -> list[Verdict]:
    """One verdict per message, whatever happens. No database here."""
    if not lot.messages:
        return []
    try:
        verdicts = lot.provider.send(lot.reference, lot.messages, lot.deadline)
    except Exception as error:  # noqa: BLE001 - a provider's mistake must not lose a lot: it may have gone
        logger.error("%s failed on %s: %s", lot.provider.slug, lot.reference, type(error).__name__)
        verdicts = []
    answered = {verdict.key: verdict for verdict in verdicts}
    return [
        answered.get(sms.key) or Verdict(sms.key, Outcome.UNKNOWN, reason=Reason.NO_ANSWER)
        for sms in lot.messages
    ]


def record_surely(lot: Lot, verdicts: Sequence[Verdict]) -> None:
    """record(), again and again while the database is away, as long as the lease allows: what the
    provider has said would otherwise have to be asked for.
    """
    while True:
        try:
            record(lot, verdicts)
        except (OperationalError, InterfaceError):
            if clock() > lot.claimed + settings.TASK_LIMIT - 5:
                raise
            connection.close()
            time.sleep(0.5)
        else:
            return


def record(lot: Lot, verdicts: Sequence[Verdict]) -> None:
    """Write the verdicts down: taken, refused and unknown by the ledger, unsent into a new lot."""
    with transaction.atomic(durable=True):
        dispatch = (
            Dispatch.objects.select_for_update(no_key=True, of=("self",))
            .select_related("mailing")
            .get(id=lot.dispatch_id)
        )
        whole = lot.provider.one_request_per_lot and _refused_as_a_whole(verdicts)
        hopeless = whole and _no_way_out(lot, verdicts[0])
        if hopeless:
            _halt(dispatch.mailing_id, verdicts[0])
        again = verdicts if whole else [v for v in verdicts if v.outcome == Outcome.UNSENT]
        settled = [] if whole else [v for v in verdicts if v.outcome != Outcome.UNSENT]
        moves = [_move(verdict, lot.part_price) for verdict in settled]
        moves += _back(dispatch, [v.key for v in again], one_by_one=whole and not hopeless)
        # One move for all: a second one would lock messages after the counters.
        ledger.move(moves, only_from=_UNDECIDED, in_dispatch=dispatch.id)
        consent.opt_out_all(_opted_out(lot, verdicts), OptOut.Source.PROVIDER)
        if dispatch.state == Dispatch.State.HANDING:
            dispatch.state = Dispatch.State.ANSWERED
        dispatch.answered_at = timezone.now()
        unknown = any(verdict.outcome == Outcome.UNKNOWN for verdict in verdicts)
        # recover() relies on it too: nobody's books lag longer than the lease.
        wait_for = (
            min(lot.provider.settle_seconds, settings.LEASE) if unknown else settings.LOOK_UP_AFTER
        )
        # About what the service keeps until a time set there is nothing to ask before that time.
        kept_until = None if unknown else dispatch.send_at
        since = max(timezone.now(), kept_until or timezone.now())
        dispatch.look_up_at = since + timedelta(seconds=wait_for)
        dispatch.save(update_fields=["state", "answered_at", "look_up_at"])
    _judge_account(lot.account_id, verdicts)
    _judge_mailing(lot.mailing_id, verdicts)


def send_again(dispatch: Dispatch, messages: Sequence[int]) -> None:
    """The provider never had them: back to waiting."""
    ledger.move(_back(dispatch, messages), only_from=_UNDECIDED, in_dispatch=dispatch.id)


def _back(dispatch: Dispatch, messages: Sequence[int], *, one_by_one: bool = False) -> list[Move]:
    """Surely not sent: waiting, in a new lot (a reference never means two things).

    For a cancelled mailing the way back ends here.
    """
    if not messages:
        return []
    if dispatch.mailing.state == Mailing.State.CANCELLED:
        return [Move(each, Status.CANCELLED, Reason.CANCELLED) for each in messages]
    lots = [[each] for each in messages] if one_by_one else [list(messages)]
    departures = [Departure.of(dispatch)] * len(lots)
    fresh = new_lots(dispatch.mailing_id, [len(lot) for lot in lots], departures)
    return [
        Move(each, Status.WAITING, dispatch=new.id)
        for new, lot in zip(fresh, lots, strict=True)
        for each in lot
    ]


def recover_due() -> bool:
    """Clock job: a lot still in hand after the lease belongs to a dead worker. What it did not
    record may have gone: unknown, and the provider is asked.
    """
    with transaction.atomic(durable=True):
        dispatch = (
            Dispatch.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .select_related("account")
            .filter(
                state=Dispatch.State.HANDING,
                claimed_at__lt=timezone.now() - timedelta(seconds=settings.LEASE),
            )
            .order_by("claimed_at")
            .first()
        )
        if dispatch is None:
            return False
        left = dispatch.messages.filter(status=Status.WAITING).values_list("id", flat=True)
        moves = [Move(each, Status.UNKNOWN, Reason.NO_ANSWER) for each in left]
        ledger.move(moves, only_from={Status.WAITING}, in_dispatch=dispatch.id)
        dispatch.state = Dispatch.State.SILENT
        dispatch.look_up_at = timezone.now()  # the lease is longer than any provider's books lag
        dispatch.save(update_fields=["state", "look_up_at"])
    logger.warning("lot %s was never answered: %s messages unknown", dispatch.reference, len(moves))
    return True


@cache
def _pool(*, lane: bool) -> ThreadPoolExecutor:
    """One of each for the process, for as long as it lives; made in the process that uses it (fork)."""
    name = "lane" if lane else "hand-over"
    return ThreadPoolExecutor(settings.HAND_OVER_THREADS, thread_name_prefix=name)


def _free_account(*, lane: bool) -> tuple[Account | None, int]:
    """The account that sends now, locked, if its hands are not full and its pace allows a lot; and
    how many places it has left.

    The lock makes both hold over all workers; a claim keeps it for a few milliseconds.
    """
    sender = router.sender()
    if sender is None:
        return None, 0
    # Looked at again: while we waited for the lock it may have gone to rest, or been disconnected.
    account = Account.objects.select_for_update(no_key=True).get(id=sender.id)
    pause = router.pause_of(account)
    # A longer one is of a lot that was written before the pace was set: the lane does not wait for it.
    paused = 0 < pause <= LONGEST_PAUSE if lane else pause > 0
    if router.rests(account) or not account.connected or paused:
        return None, 0
    in_hand = Dispatch.objects.filter(
        account=account, state=Dispatch.State.HANDING, claimed_at__gt=timezone.now() - BUSY
    )
    places = account.parallel - in_hand.count()
    return (account if places > 0 else None), places


def _waiting_dispatch(provider: Provider, *, lane: bool) -> tuple[Dispatch, bool] | None:
    """A lot that leaves now, or whose messages have outlived their time (True).

    Of a notification or test before mailings (lane: of those alone); among mailings by chance, so that
    a million messages of one do not hold up a hundred of another.
    """
    now = timezone.now()
    waiting = Dispatch.objects.filter(state=Dispatch.State.WAITING, not_before__lte=now)
    of_it = waiting.filter(mailing=OuterRef("pk"))
    mailings = Mailing.objects.filter(
        # The second wave when the first has passed.
        Exists(of_it.filter(wave=0))
        | Q(Exists(of_it.filter(wave__gt=0)), wave_passed_at__isnull=False),
        state__in=Mailing.RUNNING,
    )
    if lane:
        mailings = mailings.exclude(kind=Mailing.Kind.MAILING)
    running = list(mailings)
    random.shuffle(running)
    running.sort(key=lambda mailing: mailing.kind == Mailing.Kind.MAILING)
    for mailing in running:
        lots = waiting.filter(mailing=mailing)
        if mailing.wave_passed_at is None:
            lots = lots.filter(wave=0)
        lots = lots.select_for_update(skip_locked=True, no_key=True).order_by("id")
        while (lot := lots.first()) is not None:
            planned = Departure.of(lot).arrives
            if starting.missed(mailing, planned, now) and starting.hold_missed(mailing.id):
                break
            leave = may_leave(lot, provider, now)
            if leave is not Leave.HELD:
                return lot, leave is Leave.TOO_LATE
    return None


def _fit_messages(dispatch: Dispatch, *, too_late: bool) -> tuple[Sms, ...]:
    """The messages still waiting in the lot, less those who refused in between; none of a lot whose
    lifetime is over.
    """
    rows = list(
        dispatch.messages.filter(status=Status.WAITING)
        # In the same query: asked with lists of 500 ids and phones, this was half of a claim's time.
        .annotate(
            why_not=Case(
                When(consent.forbidden("user_id"), then=Value(Reason.FORBIDDEN)),
                When(consent.opted_out("phone"), then=Value(Reason.OPTED_OUT)),
                default=Value(Reason.TOO_LATE.value if too_late else ""),
                output_field=CharField(),
            )
        )
        .order_by("id")
        .values_list("id", "phone", "text", "why_not")
    )
    late = [Move(key, Status.SKIPPED, reason) for key, _, _, reason in rows if reason]
    ledger.move(late)
    at, until = dispatch.send_at, dispatch.expires_at
    return tuple(
        Sms(key, phone, marks.filled(opened(body), key), at, until)
        for key, phone, body, why in rows
        if not why
    )


def _move(verdict: Verdict, part_price: Decimal | None) -> Move:
    to = {
        Outcome.TAKEN: Status.ACCEPTED,
        Outcome.REFUSED: Status.REFUSED,
        Outcome.UNKNOWN: Status.UNKNOWN,
    }[verdict.outcome]
    default = {Status.REFUSED: Reason.OTHER, Status.UNKNOWN: Reason.NO_ANSWER}.get(to, "")
    return Move(
        verdict.key,
        to,
        reason="" if to == Status.ACCEPTED else verdict.reason or default,
        raw_code=verdict.raw,
        provider_id=verdict.provider_id,
        price=verdict.price,
        part_price=part_price if to == Status.ACCEPTED else None,
    )


def _opted_out(lot: Lot, verdicts: Sequence[Verdict]) -> list[str]:
    """Phones of which the service says that they have opted out: believed for every mailing."""
    keys = {
        verdict.key
        for verdict in verdicts
        if verdict.outcome == Outcome.REFUSED and verdict.reason == Reason.OPTED_OUT
    }
    return [sms.phone for sms in lot.messages if sms.key in keys]


def _no_way_out(lot: Lot, verdict: Verdict) -> bool:
    """The very same text for everybody was refused, and not for what is wrong with a number: a
    hundred thousand more requests would be refused too, and the service would block us.
    """
    fault = (verdict.reason or Reason.OTHER).about.fault
    texts = {short_links.hidden(sms.text) for sms in lot.messages}
    return fault not in (Fault.NUMBER, Fault.PERSON) and len(texts) == 1


def _halt(mailing_id: int, verdict: Verdict) -> None:
    """Pause; a person decides. Before any message is locked: preparation locks the mailing first.

    Tests and notifications go on: the next one has another text.
    """
    Mailing.objects.filter(
        id=mailing_id, kind=Mailing.Kind.MAILING, state__in=Mailing.RUNNING
    ).update(
        state=Mailing.State.PAUSED,
        trouble=verdict.reason or Reason.OTHER,
        trouble_raw=verdict.raw[:64],
    )


def _refused_as_a_whole(verdicts: Sequence[Verdict]) -> bool:
    """One bad message makes a service refuse the whole request: then each goes alone."""
    return len(verdicts) > 1 and (
        {(v.outcome, v.raw) for v in verdicts} == {(Outcome.REFUSED, verdicts[0].raw)}
    )


def _judge_mailing(mailing_id: int, verdicts: Sequence[Verdict]) -> None:
    """Pause a mailing of which BRAKE messages were refused for what they say or who sends, and none
    was taken: with a text of their own for everybody, each would be refused in its turn.

    A transaction of its own: mailings are locked before counters, never after.
    """
    faults = [
        verdict
        for verdict in verdicts
        if verdict.outcome == Outcome.REFUSED
        and (verdict.reason or Reason.OTHER).about.fault in (Fault.TEXT, Fault.ACCOUNT, Fault.US)
    ]
    if not faults:
        return
    counters = Counters.objects.get(mailing_id=mailing_id)
    if counters.refused >= BRAKE and not counters.of(*Message.TAKEN):
        _halt(mailing_id, faults[0])


def _judge_account(account_id: int, verdicts: Sequence[Verdict]) -> None:
    """Trouble with the service rests the account; one message taken proves that it works, unless
    it said of another that it wants no more now (no money, too many requests).

    A transaction of its own: claims lock the account before lots and messages, never after.
    """
    unsent = [verdict for verdict in verdicts if verdict.outcome == Outcome.UNSENT]
    told = [each for each in unsent if each.reason not in (None, Reason.UNAVAILABLE)]
    works = any(verdict.outcome in (Outcome.TAKEN, Outcome.REFUSED) for verdict in verdicts)
    trouble = next(iter(told or ([] if works else verdicts)), None)
    if trouble is not None:
        router.rest(account_id, trouble.reason or Reason.UNAVAILABLE, trouble.raw)
    elif works:
        router.wake(account_id)
