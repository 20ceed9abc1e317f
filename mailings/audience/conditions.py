"""The conditions of rules that concern the mailings a person got. They are registered with
users.segments.conditions at start.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from mailings.models import Batch, Mailing, Message
from mailings.models.message import MessageQuerySet
from smsmail.web import query
from users.segments import rules
from users.segments.conditions import (
    Among,
    Field,
    Kind,
    Operator,
    Words,
    days_after,
    days_ago,
    register,
)

HEADING = _("Mailings")
OFFERED = 300  # the newest mailings, offered as choices
# A claimed batch is submitted within seconds, not days, so with this margin a search by claimed_at
# finds all messages submitted in the period.
SLACK = timedelta(days=1)


def register_conditions() -> None:
    register(Field("mailing", _("Mailing"), HEADING, MAILING, mailings, name_of))
    register(Field("lately", _("An SMS of a mailing"), HEADING, LATELY))


def mailings() -> list[tuple[str, Words]]:
    rows = (
        _launched()
        .filter(messages_removed_at__isnull=True)
        .order_by("-id")
        .values_list("id", "name")[:OFFERED]
    )
    return [(str(number), name) for number, name in rows]


def asked_about(written: Iterable[object]) -> tuple[set[int], int]:
    """Return the mailings whose messages these stored rules ask about, and for how many days back they ask
    about the messages of any mailing.
    """
    named: set[int] = set()
    longest = 0
    for rule in written:
        for part in rules.every_part(rule):
            number = query.number(str(part.get("value")))
            if number is not None and part.get("field") == "mailing":
                named.add(number)
            elif number is not None and part.get("field") == "lately":
                longest = max(longest, number)
    return named, longest


def name_of(mailing: str) -> Words | None:
    """Return the name of any launched mailing: a rule still works when the list no longer offers
    it.
    """
    number = query.number(mailing)
    if number is None:
        return None
    return _launched().filter(pk=number).values_list("name", flat=True).first()


def _launched() -> QuerySet[Mailing]:
    return Mailing.objects.campaigns().filter(launched_at__isnull=False)


def _messages(mailing: str) -> MessageQuerySet:
    return Message.objects.filter(mailing_id=int(mailing))


def received(mailing: str) -> Q:
    return Q(Among(_messages(mailing).filter(status=Message.Status.DELIVERED)))


def sent(mailing: str) -> Q:
    return Q(Among(_messages(mailing).taken()))


def clicked(mailing: str) -> Q:
    return Q(Among(_messages(mailing).clicked()))


def not_clicked(mailing: str) -> Q:
    """The mailing was sent to them, and they clicked nothing."""
    rows = _messages(mailing).taken().filter(first_click_at__isnull=True)
    return Q(Among(rows))


def had_sms(days: int) -> Q:
    """Search by batches, which are few and have a time: messages have no index on the time of
    submission.
    """
    since = days_ago(days)
    batches = Batch.objects.of_campaigns().filter(claimed_at__gte=since - SLACK).values("id")
    rows = Message.objects.taken().filter(
        batch_id__in=batches, user_id=OuterRef("id"), submitted_at__gte=since
    )
    return Q(Exists(rows))


# --- since when it holds ------------------------------------------------------------------------
def _moment(column: str) -> Callable[[str], Subquery]:
    """Return this column of the person's message in the mailing."""
    return lambda mailing: Subquery(_messages(mailing).order_by("id").values(column)[:1])


def _last_sms() -> Subquery:
    """Search by the phone, which has an index. Messages to an earlier owner of the phone do not
    count.
    """
    rows = Message.objects.taken().filter(
        phone=OuterRef("phone"), user_id=OuterRef("id"), mailing__kind=Mailing.Kind.MAILING
    )
    last = rows.order_by().values("phone").annotate(last=Max("submitted_at"))
    return Subquery(last.values("last"))


MAILING = {
    "received": Operator(_("was delivered:"), Kind.CHOICE, received, _moment("final_at")),
    "sent": Operator(_("was sent:"), Kind.CHOICE, sent, _moment("submitted_at")),
    "clicked": Operator(_("was clicked:"), Kind.CHOICE, clicked, _moment("first_click_at")),
    "not_clicked": Operator(
        _("was sent and not clicked:"), Kind.CHOICE, not_clicked, _moment("submitted_at")
    ),
}
LATELY = {
    "had": Operator(_("came in the last"), Kind.DAYS, had_sms, lambda days: _last_sms()),
    "had_none": Operator(
        _("did not come in the last"),
        Kind.DAYS,
        lambda days: ~had_sms(days),
        lambda days: days_after(_last_sms(), days),
    ),
}
