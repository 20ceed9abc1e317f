"""Take back opt-outs that nobody asked for. SMSC's err 250 was read as "on the stop list"; it is a limit
that the client has set in the account. What it wrote is found by its raw code.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet

from integrations.reasons import Reason
from mailings.models import Message
from users.consent import consent, replies
from users.models import OptOut, Reply, audit

RAW = "smsc:err 250"
SLICE = 1000
# An opt-out and the message it came from were written in one transaction; clocks differ a little.
APART = timedelta(minutes=5)


@dataclass
class Repair:
    opt_outs: int = 0  # taken back: or, on a trial, to be taken back
    by_reply: int = 0  # kept, because the person wrote "stop" as well
    messages: int = 0  # that say now what it was
    left_out: int = 0  # of later mailings, because of these opt-outs


def look() -> Repair:
    """What there is to repair. Changes nothing."""
    found = Repair(messages=_messages().count())
    for phones in _slices():
        wrote = _wrote_stop(phones)
        found.opt_outs += len(phones) - len(wrote)
        found.by_reply += len(wrote)
        found.left_out += _left_out(phones)
    return found


def repair() -> Repair:
    """A slice in each transaction: ended in between, it is simply started again."""
    done = Repair()
    while phones := _slice(after=""):
        with transaction.atomic():
            done.left_out += _left_out(phones)
            wrote = _wrote_stop(phones)
            done.by_reply += consent.opted_out_by_reply(wrote)
            done.opt_outs += consent.take_back(set(phones) - wrote)
    while ids := list(_messages().order_by("id").values_list("id", flat=True)[:SLICE]):
        done.messages += Message.objects.filter(id__in=ids).update(reason=Reason.SETTINGS_FORBID)
    if done != Repair():
        audit(None, "opt_outs_repaired", "account smsc", **vars(done))
    return done


def _messages() -> QuerySet[Message]:
    return Message.objects.filter(raw_code=RAW, reason=Reason.OPTED_OUT)


def _slices() -> list[list[str]]:
    slices, last = [], ""
    while phones := _slice(after=last):
        slices.append(phones)
        last = phones[-1]
    return slices


def _slice(after: str) -> list[str]:
    """Phones that have opted out by err 250 and by nothing else that a service said."""
    theirs = Message.objects.filter(phone=OuterRef("phone"))
    said_so = theirs.filter(Q(final_at=None) | Q(final_at__lte=OuterRef("until")), raw_code=RAW)
    truly = theirs.filter(reason=Reason.OPTED_OUT).exclude(raw_code__in=["", RAW])
    found = (
        OptOut.objects.filter(source=OptOut.Source.PROVIDER, phone__gt=after)
        .annotate(until=ExpressionWrapper(F("at") + APART, output_field=DateTimeField()))
        .filter(Exists(said_so), ~Exists(truly))
        .order_by("phone")
    )
    return list(found.values_list("phone", flat=True)[:SLICE])


def _wrote_stop(phones: list[str]) -> set[str]:
    """A second refusal leaves no event of its own, but the reply is kept."""
    rows = Reply.objects.filter(phone__in=phones).values_list("phone", "text")
    return {phone for phone, text in rows if replies.is_stop(text)}


def _left_out(phones: list[str]) -> int:
    skipped = Message.objects.filter(phone__in=phones, status=Message.Status.SKIPPED)
    return skipped.filter(reason=Reason.OPTED_OUT).count()
