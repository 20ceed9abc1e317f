"""What tests of the protocol stand on: a launched mailing, and the sums that must hold."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from integrations.provider import Outcome, Report, ReportStatus, Verdict
from mailings import claiming, lifecycle, prepare, receipts, recording
from mailings.models import Counters, Dispatch, Mailing, Message
from users.models import Group, Membership, User


def draft(**fields: Any) -> Mailing:
    fields.setdefault("name", "Webinar")
    fields.setdefault("text", "Webinar at six, {first_name|friend}")
    fields.setdefault("everyone", True)
    return Mailing.objects.create(**fields)


def launched(by: User, **fields: Any) -> Mailing:
    mailing = draft(**fields)
    lifecycle.launch(mailing, by)
    return mailing


def prepared(by: User, **fields: Any) -> Mailing:
    mailing = launched(by, **fields)
    while prepare.prepare_some(mailing.id):
        pass
    mailing.refresh_from_db()
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


def verdicts(lot: claiming.Lot, outcome: Outcome, **fields: Any) -> list[Verdict]:
    """The same answer for every message of the lot."""
    return [Verdict(sms.key, outcome, **fields) for sms in lot.messages]


def claimed() -> claiming.Lot:
    """A lot that must be there."""
    lot = claiming.claim()
    assert lot is not None
    return lot


def sent(outcome: Outcome = Outcome.TAKEN, **fields: Any) -> claiming.Lot:
    """Claim a lot and record the same answer for all of it."""
    lot = claimed()
    recording.record(lot, verdicts(lot, outcome, **fields))
    return lot


def by_phone(mailing: Mailing) -> dict[str, str]:
    """Last four digits of the phone -> status."""
    rows = Message.objects.filter(mailing=mailing).exclude(phone="")
    return {phone[-4:]: status for phone, status in rows.values_list("phone", "status")}


def grown_older(**time: float) -> None:
    """Every hand-over happened so much earlier, and is due to be looked at."""
    passed = timedelta(**time)
    Dispatch.objects.update(
        claimed_at=F("claimed_at") - passed, look_up_at=F("look_up_at") - passed
    )


def reported(lot: claiming.Lot, status: str, **fields: Any) -> receipts.Folded:
    """The provider reports the same about every message of the lot."""
    status_ = ReportStatus(status)
    with transaction.atomic():
        return receipts.apply(
            [Report(lot.reference, sms.phone, status_, **fields) for sms in lot.messages]
        )


def settle() -> None:
    """As often as the clock would."""
    for _ in range(4):
        lifecycle.settle_due()
