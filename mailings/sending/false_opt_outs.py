"""Takes back opt-outs that nobody asked for. SMSC's err 250 was read as "on the stop list", but it is a
limit that the client has set in the account. The messages that caused them are found by their raw code.
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
    """What a repair has done, or would do (look())."""

    opt_outs: int = 0  # opt-outs taken back; from look(): to be taken back
    by_reply: int = 0  # opt-outs kept, because the person wrote "stop" as well
    messages: int = 0  # messages whose reason is now the right one
    left_out: int = 0  # messages of later mailings skipped because of these opt-outs


def look() -> Repair:
    """Count what there is to repair, and change nothing."""
    found = Repair(messages=_messages().count())
    for phones in _slices():
        wrote = _wrote_stop(phones)
        found.opt_outs += len(phones) - len(wrote)
        found.by_reply += len(wrote)
        found.left_out += _left_out(phones)
    return found


def repair() -> Repair:
    """Repair everything, one slice in each transaction. A repair that was ended can be started again."""
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
    """Return phones whose opt-out comes from err 250 and from nothing else that a provider said."""
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
    """Return the phones that wrote "stop" as well. A second opt-out of a phone creates no event of its
    own, but the reply is kept.
    """
    rows = Reply.objects.filter(phone__in=phones).values_list("phone", "text")
    return {phone for phone, text in rows if replies.is_stop(text)}


def _left_out(phones: list[str]) -> int:
    skipped = Message.objects.filter(phone__in=phones, status=Message.Status.SKIPPED)
    return skipped.filter(reason=Reason.OPTED_OUT).count()
