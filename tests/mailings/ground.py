"""What tests of the protocol stand on: a launched mailing, and the sums that must hold."""

from typing import Any

from django.db.models import Count, Q, Sum

from mailings import lifecycle, prepare
from mailings.models import Counters, Mailing, Message
from users.models import User


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
