"""Record what became of a batch: every result by the ledger, in one transaction; what surely was not sent
goes into a new batch. And what a service's answers mean for its account and for the whole mailing.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.providers.base import Outcome, SendResult
from integrations.reasons import Fault, Reason
from integrations.routing import cooldown, service_clock
from integrations.short_domain import short_links
from mailings.models import Batch, Counters, Mailing, Message
from users.consent import consent
from users.models import OptOut

from . import ledger
from .claim import ClaimedBatch, why_refused
from .halt import halt
from .ledger import Move
from .prepare import new_batches
from .send_times import Departure, keep_here

Status = Message.Status
_UNDECIDED = frozenset({Status.WAITING, Status.UNKNOWN})
BRAKE = 50  # refusals of a mailing of which nothing was taken; doubled with every resumption
MANY = 20  # messages of one batch that are no chance any more
# What a service says that it does not understand, or we do not: of everybody in a batch it is not about
# a person.
UNCLEAR = frozenset({None, Reason.OTHER, Reason.BAD_REQUEST})
LATELY = timedelta(hours=1)
LATEST = 5  # batches of an account that show whether it works


def record(batch: ClaimedBatch, results: Sequence[SendResult]) -> None:
    """Write the results down: taken, refused and unknown by the ledger, unsent into a new batch."""
    withheld = [result.key for result in results if result.withheld]
    # What we held back ourselves tells nothing of the service.
    results = _without_blame(batch, [v for v in results if not v.withheld])
    untimed = any(result.untimed for result in results)
    with transaction.atomic(durable=True):
        row = (
            Batch.objects.select_for_update(no_key=True, of=("self",))
            .select_related("mailing")
            .get(id=batch.batch_id)
        )
        whole = batch.provider.one_request_per_batch and _refused_as_a_whole(results)
        hopeless = whole and _no_way_out(batch, results[0])
        spared = not whole and _nobody_gets_it(row, results)
        if hopeless or spared:
            _halt(row.mailing_id, _refusals(results)[0])
        back = {Outcome.UNSENT, Outcome.REFUSED} if spared else {Outcome.UNSENT}
        again = results if whole else [v for v in results if v.outcome in back]
        settled = [] if whole else [v for v in results if v.outcome not in back]
        moves = [_move(result, batch.part_price) for result in settled]
        stopped = _refused_meanwhile(row, withheld)
        moves += [Move(key, Status.SKIPPED, reason) for key, reason in stopped.items()]
        keys = [result.key for result in again]
        keys += [key for key in withheld if key not in stopped]
        moves += _back(row, keys, one_by_one=whole and not hopeless, untimed=untimed)
        # One move for all: a second one would lock messages after the counters.
        moved = ledger.move(moves, only_from=_UNDECIDED, in_batch=row.id)
        refused = {move.message for move in moves if move.to == Status.REFUSED} & set(moved)
        enough = _is_enough(batch.mailing_id, len(refused))
        consent.opt_out_all(_opted_out(batch, results), OptOut.Source.PROVIDER)
        if row.state == Batch.State.HANDING:
            row.state = Batch.State.ANSWERED
        row.answered_at = timezone.now()
        unknown = any(result.outcome == Outcome.UNKNOWN for result in results)
        # recover() relies on it too: nobody's books lag longer than the lease.
        wait_for = (
            min(batch.provider.settle_seconds, settings.LEASE)
            if unknown
            else settings.LOOK_UP_AFTER
        )
        # About what the service keeps until a time set there is nothing to ask before that time.
        kept_until = None if unknown else row.send_at
        since = max(timezone.now(), kept_until or timezone.now())
        row.look_up_at = since + timedelta(seconds=wait_for)
        row.save(update_fields=["state", "answered_at", "look_up_at"])
    service_clock.note_clock(batch.account_id, batch.provider)
    if unknown:
        service_clock.note_slow(batch.account_id)
    if untimed:
        keep_here(batch.mailing_id)
    _judge_account(batch.account_id, results)
    _judge_mailing(batch.mailing_id, results, enough=enough)


def send_again(batch: Batch, messages: Sequence[int]) -> None:
    """The provider never had them: back to waiting."""
    ledger.move(_back(batch, messages), only_from=_UNDECIDED, in_batch=batch.id)


def _back(
    batch: Batch,
    messages: Sequence[int],
    *,
    one_by_one: bool = False,
    untimed: bool = False,
) -> list[Move]:
    """Surely not sent: waiting, in a new batch (a reference never means two things). untimed: not with
    the service but here, until its time.

    For a cancelled mailing the way back ends here.
    """
    if not messages:
        return []
    if batch.mailing.state == Mailing.State.CANCELLED:
        return [Move(each, Status.CANCELLED, Reason.CANCELLED) for each in messages]
    groups = [[each] for each in messages] if one_by_one else [list(messages)]
    departure = Departure.kept_here(batch) if untimed else Departure.of(batch)
    departures = [departure] * len(groups)
    fresh = new_batches(batch.mailing_id, [len(group) for group in groups], departures)
    return [
        Move(each, Status.WAITING, batch=new.id)
        for new, group in zip(fresh, groups, strict=True)
        for each in group
    ]


def _refused_meanwhile(batch: Batch, withheld: Sequence[int]) -> dict[int, str]:
    """Of the messages held back at the last moment, those whose people refuse, and why. The others were
    held back with them, or because of their mailing: they go another time, if it does.
    """
    if not withheld:
        return {}
    rows = batch.messages.filter(id__in=withheld, status=Status.WAITING)
    refused = rows.annotate(why_not=why_refused()).exclude(why_not="")
    return dict(refused.values_list("id", "why_not"))


def _move(result: SendResult, part_price: Decimal | None) -> Move:
    to = {
        Outcome.TAKEN: Status.ACCEPTED,
        Outcome.REFUSED: Status.REFUSED,
        Outcome.UNKNOWN: Status.UNKNOWN,
    }[result.outcome]
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
    """Phones of which the service says that they have opted out: believed for every mailing."""
    keys = {
        result.key
        for result in results
        if result.outcome == Outcome.REFUSED and result.reason == Reason.OPTED_OUT
    }
    return [sms.phone for sms in batch.messages if sms.key in keys]


def _no_way_out(batch: ClaimedBatch, result: SendResult) -> bool:
    """The very same text for everybody was refused, and not for what is wrong with a number: a
    hundred thousand more requests would be refused too, and the service would block us.
    """
    fault = (result.reason or Reason.OTHER).about.fault
    texts = {short_links.hidden(sms.text) for sms in batch.messages}
    return fault not in (Fault.NUMBER, Fault.PERSON) and len(texts) == 1


def _halt(mailing_id: int, result: SendResult) -> None:
    """Pause; a person decides. Before any message is locked: preparation locks the mailing first.

    Tests and notifications go on: the next one has another text.
    """
    running = Mailing.objects.filter(kind=Mailing.Kind.MAILING, state__in=Mailing.RUNNING)
    halt(running, mailing_id, result.reason or Reason.OTHER, result.raw)


def _refused_as_a_whole(results: Sequence[SendResult]) -> bool:
    """One bad message makes a service refuse the whole request: then each goes alone."""
    return len(results) > 1 and (
        {(v.outcome, v.raw) for v in results} == {(Outcome.REFUSED, results[0].raw)}
    )


def _without_blame(batch: ClaimedBatch, results: Sequence[SendResult]) -> Sequence[SendResult]:
    """A refusal that nobody understands and that everybody in the batch met is wrong for everybody: of
    the account or the sender. Unsent, so that nobody is lost while it is mended. Of one message
    alone it may be about that one, if the account works.

    What a service took in one request is tried one by one first, or halts the mailing.
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
    """What was not even tried, since another met it, is not sent for the same reason."""
    codes = {result.raw for result in results if result.untimed}
    if not codes:
        return results
    return [
        replace(each, untimed=each.outcome == Outcome.UNSENT and each.raw in codes)
        for each in results
    ]


def _works(batch: ClaimedBatch) -> bool:
    """Was any message of the account's latest batches taken?"""
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
    """MANY messages of this batch were refused, for whatever reasons, and none was taken, of the batch
    or of the mailing: nobody is given up, the mailing pauses.

    So at most BRAKE - 1 people, and MANY - 1 of each batch in hand, are refused before it pauses.
    """
    return (
        batch.mailing.kind == Mailing.Kind.MAILING
        and len(_refusals(results)) >= MANY
        and all(result.outcome != Outcome.TAKEN for result in results)
        and not Counters.objects.get(mailing=batch.mailing_id).of(*Message.TAKEN)
    )


def _is_enough(mailing_id: int, refused: int) -> bool:
    """BRAKE messages of the mailing were refused, and none was taken. After a resumption twice as
    many, and so on: each number may be bad for itself.

    Whoever has counted in this transaction holds the counters: no two batches see the same step.
    """
    if not refused:
        return False
    counters = Counters.objects.get(mailing_id=mailing_id)
    steps = counters.refused // BRAKE, (counters.refused - refused) // BRAKE
    return not counters.of(*Message.TAKEN) and steps[0].bit_length() > steps[1].bit_length()


def _judge_mailing(mailing_id: int, results: Sequence[SendResult], *, enough: bool) -> None:
    """Pause a mailing that only meets refusals; or of which a whole batch was refused with the same
    code, and not for what is wrong with its numbers, whatever was taken before.

    A transaction of its own: mailings are locked before counters, never after.
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
    """Trouble with the service rests the account, as long as it asks for; one message taken proves
    that it works, unless it said of another that it wants no more now (no money, too many requests).
    A time that it does not take is no trouble: the message goes without.

    A transaction of its own: claims lock the account before batches and messages, never after.
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
