"""Record what became of a lot: every verdict by the ledger, in one transaction; what surely was not sent
goes into a new lot. And what a service's answers mean for its account and for the whole mailing.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations import router, short_links
from integrations.provider import Outcome, Verdict
from integrations.reasons import Fault, Reason
from users import consent
from users.models import OptOut

from . import ledger
from .claiming import Lot, why_refused
from .departures import Departure
from .ledger import Move
from .models import Counters, Dispatch, Mailing, Message
from .prepare import new_lots

Status = Message.Status
_UNDECIDED = frozenset({Status.WAITING, Status.UNKNOWN})
BRAKE = 50  # refusals for the text or the sender, before anything was taken


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
        stopped = _refused_meanwhile(dispatch, verdicts)
        again = verdicts if whole else [v for v in verdicts if v.outcome == Outcome.UNSENT]
        settled = [] if whole else [v for v in verdicts if v.outcome != Outcome.UNSENT]
        moves = [_move(verdict, lot.part_price) for verdict in settled]
        moves += [Move(key, Status.SKIPPED, reason) for key, reason in stopped.items()]
        back = [v.key for v in again if v.key not in stopped]
        moves += _back(dispatch, back, one_by_one=whole and not hopeless)
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
    said = [verdict for verdict in verdicts if not verdict.withheld]
    _judge_account(lot.account_id, said)  # what we held back ourselves tells nothing of the service
    _judge_mailing(lot.mailing_id, said)


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


def _refused_meanwhile(dispatch: Dispatch, verdicts: Sequence[Verdict]) -> dict[int, str]:
    """Of the messages held back at the last moment, those whose people refuse, and why. The others were
    held back with them, or because of their mailing: they go another time, if it does.
    """
    withheld = [verdict.key for verdict in verdicts if verdict.withheld]
    if not withheld:
        return {}
    rows = dispatch.messages.filter(id__in=withheld, status=Status.WAITING)
    refused = rows.annotate(why_not=why_refused()).exclude(why_not="")
    return dict(refused.values_list("id", "why_not"))


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
