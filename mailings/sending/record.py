"""Records what became of a batch: the ledger writes every result, in one transaction, and messages that
were surely not sent go into a new batch. It also decides what the answers mean for the account and for
the whole mailing.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.providers.contract import Outcome, SendResult
from integrations.reasons import Fault, Reason
from integrations.routing import cooldown, service_clock
from integrations.short_domain import short_links
from mailings.models import Batch, Counters, Mailing, Message
from smsmail.compiled_query import CompiledQuery, CompiledUpdate
from users.consent import consent
from users.models import OptOut

from . import ledger
from .claim import ClaimedBatch, why_refused
from .halt import halt
from .ledger import Move
from .prepare import new_batches
from .send_times import SendWindow, keep_here

Status = Message.Status
_UNDECIDED = frozenset({Status.WAITING, Status.UNKNOWN})
BRAKE = (
    50  # refusals that pause a mailing of which nothing was taken; doubled with every resumption
)
MANY = 20  # so many refused messages of one batch are no coincidence
# Reasons that the provider or we cannot explain: where everybody in a batch gets one, it is not about a
# person.
UNCLEAR = frozenset({None, Reason.OTHER, Reason.BAD_REQUEST})
LATELY = timedelta(hours=1)
LATEST = 5  # the latest batches of an account, which show whether it works


BECOMES = {
    Outcome.TAKEN: Status.ACCEPTED,
    Outcome.REFUSED: Status.REFUSED,
    Outcome.UNKNOWN: Status.UNKNOWN,
}
# What runs for every batch.
_LOCKED_BATCH = CompiledQuery(
    Batch, lambda key: Batch.objects.select_for_update(no_key=True).filter(id=key)
)
_CLOSE = CompiledUpdate(
    lambda key, state, answered_at, look_up_at: (
        Batch.objects.filter(id=key),
        {"state": state, "answered_at": answered_at, "look_up_at": look_up_at},
    )
)


def record(batch: ClaimedBatch, results: Sequence[SendResult]) -> None:
    """Write down the results of a batch.

    1. Separate the messages that our own gate withheld: they say nothing about the provider. Refusals
       that are the account's fault become unsent (_without_blame).
    2. Open a transaction and lock the batch.
    3. Check whether the batch was refused as a whole, whether single requests would be refused too
       (hopeless), and whether nobody gets the mailing (spared). Pause the mailing in the last two cases.
    4. Split the results: all of a batch refused as a whole are sent again, and so are unsent ones, and
       refused ones if spared. The others are settled: taken, refused or unknown.
    5. Skip withheld messages whose people have opted out meanwhile; the other withheld ones are sent
       again.
    6. Put all that is sent again into a new batch, or into one batch each if the batch was refused as a
       whole and is not hopeless. In a cancelled mailing they are cancelled instead.
    7. Make all moves in the ledger, check whether the mailing has met too many refusals, and record the
       opt-outs that the provider reported.
    8. Close the batch and set the time of its look-up.
    9. After the transaction: note the provider's clock and slowness, and keep the mailing's set times
       here if the provider did not take them.
    10. Start or end the account's cooldown, and pause the mailing if it only meets refusals.
    """
    # 1.
    withheld = [result.key for result in results if result.withheld]
    results = _without_blame(batch, [v for v in results if not v.withheld])
    untimed = any(result.untimed for result in results)
    # 2.
    with transaction.atomic(durable=True):
        [row] = _LOCKED_BATCH.instances(key=batch.batch_id)
        # 3.
        whole = batch.provider.one_request_per_batch and _refused_as_a_whole(results)
        hopeless = whole and _no_way_out(batch, results[0])
        spared = not whole and _nobody_gets_it(row, results)
        if hopeless or spared:
            _halt(row.mailing_id, _refusals(results)[0])
        # 4.
        back = {Outcome.UNSENT, Outcome.REFUSED} if spared else {Outcome.UNSENT}
        again = results if whole else [v for v in results if v.outcome in back]
        settled = [] if whole else [v for v in results if v.outcome not in back]
        moves = [_move(result, batch.part_price) for result in settled]
        # 5.
        stopped = _refused_meanwhile(row, withheld)
        moves += [Move(key, Status.SKIPPED, reason) for key, reason in stopped.items()]
        keys = [result.key for result in again]
        keys += [key for key in withheld if key not in stopped]
        # 6.
        moves += _back(row, keys, one_by_one=whole and not hopeless, untimed=untimed)
        # 7. One call for all moves: a second one would lock messages after the counters.
        moved = ledger.move(moves, only_from=_UNDECIDED, in_batch=row.id)
        refused = {move.message for move in moves if move.to == Status.REFUSED} & set(moved)
        enough = _is_enough(batch.mailing_id, len(refused))
        if opted_out := _opted_out(batch, results):
            consent.opt_out_all(opted_out, OptOut.Source.PROVIDER)
        # 8.
        if row.state == Batch.State.IN_FLIGHT:
            row.state = Batch.State.ANSWERED
        row.answered_at = timezone.now()
        unknown = any(result.outcome == Outcome.UNKNOWN for result in results)
        # worker.recover_due() relies on this too: no provider's records lag longer than the lease.
        wait_for = (
            min(batch.provider.settle_seconds, settings.LEASE)
            if unknown
            else settings.LOOK_UP_AFTER
        )
        # While the provider keeps a batch until its set time, there is nothing to ask about it.
        kept_until = None if unknown else row.send_at
        since = max(timezone.now(), kept_until or timezone.now())
        row.look_up_at = since + timedelta(seconds=wait_for)
        _CLOSE.run(
            key=row.id,
            state=str(row.state),
            answered_at=row.answered_at,
            look_up_at=row.look_up_at,
        )
    # 9.
    service_clock.note_clock(batch.account_id, batch.provider)
    if unknown:
        service_clock.note_slow(batch.account_id)
    if untimed:
        keep_here(batch.mailing_id)
    # 10.
    _judge_account(batch.account_id, results)
    _judge_mailing(batch.mailing_id, results, enough=enough)


def send_again(batch: Batch, messages: Sequence[int]) -> None:
    """Send messages (ids) of the batch again, in a new batch: the provider never had them. Those of a
    cancelled mailing are cancelled. Call it in a transaction that holds the lock of the batch.
    """
    ledger.move(_back(batch, messages), only_from=_UNDECIDED, in_batch=batch.id)


def _back(
    batch: Batch,
    messages: Sequence[int],
    *,
    one_by_one: bool = False,
    untimed: bool = False,
) -> list[Move]:
    """Return the moves of messages that were surely not sent: to waiting, in new batches, so that a
    reference never means two things. If the mailing was cancelled meanwhile, they are cancelled.
    untimed: the batch waits here for its set time, and not at the provider.
    """
    if not messages:
        return []
    if batch.mailing.state == Mailing.State.CANCELLED:
        return [Move(each, Status.CANCELLED, Reason.CANCELLED) for each in messages]
    groups = [[each] for each in messages] if one_by_one else [list(messages)]
    send_window = SendWindow.waiting_here(batch) if untimed else SendWindow.of(batch)
    send_windows = [send_window] * len(groups)
    fresh = new_batches(batch.mailing_id, [len(group) for group in groups], send_windows)
    return [
        Move(each, Status.WAITING, batch=new.id)
        for new, group in zip(fresh, groups, strict=True)
        for each in group
    ]


def _refused_meanwhile(batch: Batch, withheld: Sequence[int]) -> dict[int, str]:
    """Return the withheld messages (ids) whose people may not be sent to, with the reason. The others
    were withheld together with them or because of their mailing, and are sent later if the mailing is.
    """
    if not withheld:
        return {}
    rows = batch.messages.filter(id__in=withheld, status=Status.WAITING)
    refused = rows.annotate(why_not=why_refused()).exclude(why_not="")
    return dict(refused.values_list("id", "why_not"))


def _move(result: SendResult, part_price: Decimal | None) -> Move:
    to = BECOMES[result.outcome]
    default = {Status.REFUSED: Reason.OTHER, Status.UNKNOWN: Reason.NO_ANSWER}.get(to, "")
    return Move(
        result.key,
        to,
        reason="" if to == Status.ACCEPTED else result.reason or default,
        raw_code=result.raw,
        provider_id=result.provider_id,
        price=result.price,
        part_price=part_price if to == Status.ACCEPTED else None,
    )


def _opted_out(batch: ClaimedBatch, results: Sequence[SendResult]) -> list[str]:
    """Return the phones that have opted out according to the provider: this holds for every mailing."""
    keys = {
        result.key
        for result in results
        if result.outcome == Outcome.REFUSED and result.reason == Reason.OPTED_OUT
    }
    return [sms.phone for sms in batch.messages if sms.key in keys]


def _no_way_out(batch: ClaimedBatch, result: SendResult) -> bool:
    """Was the same text for everybody refused, for a reason that is not about a number or a person? Then
    a hundred thousand more requests would be refused too, and the provider would block us.
    """
    fault = (result.reason or Reason.OTHER).about.fault
    texts = {short_links.hidden(sms.text) for sms in batch.messages}
    return fault not in (Fault.NUMBER, Fault.PERSON) and len(texts) == 1


def _halt(mailing_id: int, result: SendResult) -> None:
    """Pause the mailing, so that a person decides. Call it before any message is locked, because
    preparation locks the mailing first.

    Tests and notifications are not paused: the next one has another text.
    """
    running = Mailing.objects.campaigns().running()
    halt(running, mailing_id, result.reason or Reason.OTHER, result.raw)


def _refused_as_a_whole(results: Sequence[SendResult]) -> bool:
    """Were all messages refused with one code? One bad message can make a provider refuse the whole
    request; each message is then sent alone.
    """
    return len(results) > 1 and (
        {(v.outcome, v.raw) for v in results} == {(Outcome.REFUSED, results[0].raw)}
    )


def _without_blame(batch: ClaimedBatch, results: Sequence[SendResult]) -> Sequence[SendResult]:
    """Turn refusals for which no message is to blame into unsent. If everybody in the batch was
    refused with one unclear reason, the account or the sender is at fault, and nobody may be lost
    while it is corrected. A refusal of a single message may be about that message, if the account
    works.

    Batches sent in one request are left as they are: record() tries their messages one by one first, or
    pauses the mailing.
    """
    refused = _refusals(results)
    alike = len(refused) == len(results) and len({result.raw for result in refused}) == 1
    if not alike or any(result.reason not in UNCLEAR for result in refused):
        return _with_their_time(results)
    if len(results) > 1 and batch.provider.one_request_per_batch:
        return results
    if len(results) == 1 and _works(batch):
        return results
    return [replace(result, outcome=Outcome.UNSENT) for result in results]


def _with_their_time(results: Sequence[SendResult]) -> Sequence[SendResult]:
    """Mark all unsent results with the code of an untimed one as untimed: the provider did not even try
    them, for the same reason.
    """
    codes = {result.raw for result in results if result.untimed}
    if not codes:
        return results
    return [
        replace(each, untimed=each.outcome == Outcome.UNSENT and each.raw in codes)
        for each in results
    ]


def _works(batch: ClaimedBatch) -> bool:
    """Was any message taken of the account's LATEST batches answered within LATELY?"""
    latest = (
        Batch.objects.filter(
            account=batch.account_id, answered_at__gt=timezone.now() - LATELY, state="answered"
        )
        .exclude(id=batch.batch_id)
        .order_by("-answered_at")
        .values_list("id", flat=True)[:LATEST]
    )
    return Message.objects.filter(batch__in=list(latest), status__in=Message.TAKEN).exists()


def _refusals(results: Sequence[SendResult]) -> list[SendResult]:
    return [result for result in results if result.outcome == Outcome.REFUSED]


def _nobody_gets_it(batch: Batch, results: Sequence[SendResult]) -> bool:
    """Were at least MANY messages of this batch refused, for whatever reasons, and none taken, of the
    batch or of the mailing? Then nobody is given up, and the mailing pauses.

    So at most BRAKE - 1 people, and MANY - 1 of each batch in flight, are refused before it pauses.
    """
    return (
        len(_refusals(results)) >= MANY
        and batch.mailing.is_campaign
        and all(result.outcome != Outcome.TAKEN for result in results)
        and not Counters.objects.get(mailing=batch.mailing_id).of(*Message.TAKEN)
    )


def _is_enough(mailing_id: int, refused: int) -> bool:
    """Have the refusals of the mailing just reached BRAKE, or 2, 4, 8 ... times as many after
    resumptions, while none of its messages was taken? Each number may be bad by itself.

    The caller has counted in this transaction and so holds the counters: no two batches see one step.
    """
    if not refused:
        return False
    counters = Counters.objects.get(mailing_id=mailing_id)
    steps = counters.refused // BRAKE, (counters.refused - refused) // BRAKE
    return not counters.of(*Message.TAKEN) and steps[0].bit_length() > steps[1].bit_length()


def _judge_mailing(mailing_id: int, results: Sequence[SendResult], *, enough: bool) -> None:
    """Pause a mailing that only meets refusals. Pause it also, whatever was taken before, when a whole
    batch was refused with one code, and not for what is wrong with its numbers or people.

    This is a transaction of its own: mailings are locked before counters, never after.
    """
    refused = _refusals(results)
    if refused and (enough or _at_once(refused, results)):
        _halt(mailing_id, refused[0])


def _at_once(refused: Collection[SendResult], results: Sequence[SendResult]) -> bool:
    personal = {Fault.NUMBER, Fault.PERSON}
    faults = {(result.reason or Reason.OTHER).about.fault for result in refused}
    alike = len({result.raw for result in refused}) == 1
    return len(refused) == len(results) >= MANY and alike and not faults & personal


def _judge_account(account_id: int, results: Sequence[SendResult]) -> None:
    """Start a cooldown of the account when the provider has a problem, for as long as the provider asks.
    End the cooldown when the provider took a message, unless it said of another that it wants no more
    now (no money, too many requests). An unsupported set time is no problem: we keep the message here.

    This is a transaction of its own: claims lock the account before batches and messages, never after.
    """
    unsent = [v for v in results if v.outcome == Outcome.UNSENT and not v.untimed]
    told = [each for each in unsent if each.reason not in (None, Reason.UNAVAILABLE)]
    outcomes = {result.outcome for result in results}
    works = bool({Outcome.TAKEN, Outcome.REFUSED} & outcomes) or any(v.untimed for v in results)
    trouble = next(iter(told or ([] if works else results)), None)
    if Outcome.TAKEN in outcomes or (works and trouble is None):
        cooldown.end(account_id)
    if trouble is not None:
        waits = [result.retry_after for result in results if result.retry_after is not None]
        reason = trouble.reason or Reason.UNAVAILABLE
        cooldown.start(account_id, reason, trouble.raw, seconds=max(waits, default=None))
