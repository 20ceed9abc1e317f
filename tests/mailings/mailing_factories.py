"""What tests of the protocol stand on: a launched mailing, and the sums that must hold."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from integrations.models import Account, Receipt, ReceiptPack
from integrations.providers.contract import DeliveryReport, DeliveryStatus, Outcome, SendResult, Sms
from integrations.receipts import packs
from integrations.routing import logins, routing
from mailings.lifecycle import transitions
from mailings.models import Batch, Counters, Mailing, Message, Policy
from mailings.sending import claim, epoch, prepare, receipts, record
from smsmail.uptime import clock
from users.models import AuditEvent, Group, Membership, User

WITNESS = "+79990000077"


def policy(**fields: Any) -> Policy:
    """The owner's rules, with no countdown where a test does not ask for one."""
    values = {"countdown": 0, **fields}
    made, _new = Policy.objects.update_or_create(id=1, defaults=values)
    return made


def draft(**fields: Any) -> Mailing:
    fields.setdefault("name", "Webinar")
    fields.setdefault("text", "Webinar at six, {first_name|friend}")
    fields.setdefault("everyone", True)
    return Mailing.objects.create(**fields)


def launched(by: User, **fields: Any) -> Mailing:
    mailing = draft(**fields)
    transitions.launch(mailing, by)
    return mailing


def prepared(by: User, **fields: Any) -> Mailing:
    mailing = launched(by, **fields)
    while prepare.prepare_some(mailing.id):
        pass
    mailing.refresh_from_db()
    epoch.is_held()  # makes its row where a flush has taken it: not while somebody counts queries
    return mailing


def watching(*groups: Group, **fields: Any) -> Mailing:
    """A mailing on entry as the launch leaves it when its time has come."""
    fields.setdefault("everyone", False)
    mailing = draft(
        when=Mailing.When.ON_ENTRY,
        state=Mailing.State.WATCHING,
        launched_at=timezone.now(),
        **fields,
    )
    mailing.groups.set(groups)
    Counters.objects.create(mailing=mailing)
    return mailing


def join(group: Group, *people: User) -> None:
    for person in people:
        Membership.objects.get_or_create(user=person, group=group)


def leave(group: Group, *people: User) -> None:
    Membership.objects.filter(group=group, user__in=people).delete()


def statuses(mailing: Mailing) -> dict[str, int]:
    rows = Message.objects.filter(mailing=mailing).values_list("status").annotate(Count("id"))
    return dict(rows)


def halts(mailing: Mailing) -> list[str]:
    """Why the system paused it, as its history keeps for good, the first reason first."""
    rows = AuditEvent.objects.filter(target=f"mailing {mailing.pk}", what="halted", by=None)
    return [row.details["reason"] for row in rows.order_by("id")]


def assert_counters_equal_rows(mailing: Mailing) -> None:
    counters = Counters.objects.get(mailing=mailing)
    counted = {status.value: getattr(counters, status) for status in Message.Status}
    rows = statuses(mailing)
    assert counted == {status.value: rows.get(status, 0) for status in Message.Status}
    sums = Message.objects.filter(mailing=mailing).aggregate(
        parts=Sum("parts", filter=Q(status__in=Message.TAKEN), default=0),
        price=Sum("price", default=0),
    )
    assert counters.parts == sums["parts"]
    assert counters.price == sums["price"]


def results(batch: claim.ClaimedBatch, outcome: Outcome, **fields: Any) -> list[SendResult]:
    """The same answer for every message of the batch."""
    return [SendResult(sms.key, outcome, **fields) for sms in batch.messages]


def claimed() -> claim.ClaimedBatch:
    """A batch that must be there."""
    batch = claim.claim()
    assert batch is not None
    return batch


def sent(outcome: Outcome = Outcome.TAKEN, **fields: Any) -> claim.ClaimedBatch:
    """Claim a batch and record the same answer for all of it."""
    batch = claimed()
    record.record(batch, results(batch, outcome, **fields))
    return batch


def taken_before(account: Account, *, phone: str = WITNESS, hours: float = 1) -> Message:
    """A message that the service has had through this account's login: without such a one, that its books
    do not show another proves nothing.
    """
    mailing = draft(name="Earlier", state=Mailing.State.DONE, launched_at=timezone.now())
    Counters.objects.create(mailing=mailing, delivered=1, parts=1)
    batch = Batch.objects.create(
        mailing=mailing,
        state=Batch.State.ANSWERED,
        size=1,
        account=account,
        login=logins.fingerprint(account.provider, account.credentials),
        reference=Batch.new_reference(),
        claimed_at=timezone.now() - timedelta(hours=hours),
        answered_at=timezone.now() - timedelta(hours=hours),
    )
    sms = Sms(1, phone, "Something else")
    [result] = routing.provider_of(account).send(batch.reference, [sms], clock() + 60)
    assert result.outcome == Outcome.TAKEN
    return Message.objects.create(
        mailing=mailing,
        key=phone,
        phone=phone,
        text=sms.text,
        parts=1,
        status=Message.Status.DELIVERED,
        batch=batch,
        provider_id=result.provider_id,
    )


def by_phone(mailing: Mailing) -> dict[str, str]:
    """Last four digits of the phone -> status."""
    rows = Message.objects.filter(mailing=mailing).exclude(phone="")
    return {phone[-4:]: status for phone, status in rows.values_list("phone", "status")}


def grown_older(**time: float) -> None:
    """Every hand-over happened so much earlier, and is due to be looked at."""
    passed = timedelta(**time)
    moments = ("not_before", "claimed_at", "look_up_at")
    Batch.objects.update(**{name: F(name) - passed for name in moments})


def reported(batch: claim.ClaimedBatch, status: str, **fields: Any) -> receipts.Processed:
    """The provider reports the same about every message of the batch."""
    status_ = DeliveryStatus(status)
    with transaction.atomic():
        return receipts.apply(
            [
                DeliveryReport(batch.reference, sms.phone, status_, **fields)
                for sms in batch.messages
            ]
        )


def settle() -> None:
    """As often as the clock would."""
    for _ in range(4):
        transitions.settle_due()


def receipt_outcomes() -> list[str]:
    """What became of each receipt, oldest first; '' for those that still lie in the inbox."""
    known = dict.fromkeys(Receipt.objects.values_list("id", flat=True), "")
    for stored in ReceiptPack.objects.all():
        known |= {receipt.id: outcome for receipt, outcome in packs.unpack(stored)}
    return [known[key] for key in sorted(known)]
