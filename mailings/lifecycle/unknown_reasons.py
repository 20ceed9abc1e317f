"""Explains messages of unknown fate on the mailing's page: which provider was asked, and what cannot be
known. The texts claim nothing that was not done.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, Count, Max, Min, Value, When
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import Account
from integrations.providers.base import Provider
from integrations.routing import routing
from mailings.models import Batch, Mailing

from . import unresolved

Doubt = Batch.Doubt

WORDS: dict[str, Promise] = {
    "": gettext_lazy(
        "%(service)s gave no answer. We are asking it; nothing is sent a second time until its records "
        "prove that it never had them."
    ),
    Doubt.READING: gettext_lazy(
        "%(service)s gave no answer. We are asking it: its records are long and have not been read far "
        "enough back yet."
    ),
    Doubt.AWAY: gettext_lazy(
        "%(service)s gave no answer, and does not answer our question about them now. We go on asking."
    ),
    Doubt.CLOCK: gettext_lazy(
        "The clock of this server and that of %(service)s differ. Until they agree, nothing is concluded "
        "from what its records do not show. Have the clock of the server set right."
    ),
    Doubt.PUT_OFF: gettext_lazy(
        "%(service)s gave no answer and may keep them for later, until the morning or the time set: what "
        "its records do not show counts only after that. Then we ask it again."
    ),
    Doubt.LOGIN: gettext_lazy(
        "They were handed over with another login of %(service)s, which is not kept here any more: the "
        "present one cannot see them. Connect that login again, and it is asked; or decide now."
    ),
    Doubt.NO_PROOF: gettext_lazy(
        "%(service)s was asked and cannot tell: its records do not show them, and nothing proves that they "
        "would. It is asked again from time to time; if you do not want to wait, decide."
    ),
}
EARLY: Promise = gettext_lazy(
    "%(service)s was asked; its records do not show them, and nothing proves yet that they would. "
    "It is asked again."
)
READ_UNTIL: Promise = gettext_lazy(
    "%(service)s gave no answer. We are asking it: its records are long and have been read back to "
    "%(at)s so far."
)
MUTE: Promise = gettext_lazy(
    "%(service)s cannot be asked about a message. If it still sends a receipt, it counts; otherwise only "
    "you can decide."
)
OFF: Promise = gettext_lazy("%(service)s is disconnected and cannot be asked about them.")
LONG: Promise = gettext_lazy(
    "%(service)s has not told us in all the time for which receipts are awaited."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A number of unknown messages to which one explanation applies."""

    count: int
    words: str
    decide: bool  # a person has to decide


def explanations(mailing: Mailing) -> list[Explanation]:
    """Return the explanations for the unknown messages of a mailing, those to be decided first. It takes
    the same few queries for any number of messages.
    """
    groups = (
        unresolved.unknown(mailing)
        .annotate(decide=Case(When(unresolved.decidable(), then=Value(True)), default=Value(False)))
        .order_by()
        .values("batch__account_id", "batch__doubt", "decide")
        .annotate(
            count=Count("id"),
            since=Min("batch__claimed_at"),
            read_to=Max("batch__read_to"),
        )
    )
    accounts = {account.id: account for account in Account.objects.all()}
    told: Counter[tuple[str, bool]] = Counter()
    for group in groups:
        decide = bool(group["decide"])
        words = _words(
            accounts.get(group["batch__account_id"]),
            group["batch__doubt"],
            str(group["read_to"] or ""),
            decide=decide,
            long=_asked_long(group["since"]),
        )
        told[words, decide] += group["count"]
    found = [Explanation(count, words, decide) for (words, decide), count in told.items()]
    return sorted(found, key=lambda each: (not each.decide, -each.count))


def _words(account: Account | None, doubt: str, read_to: str, *, decide: bool, long: bool) -> str:
    if account is None:
        return _("Nobody can be asked about them.")
    provider = routing.provider_class(account.provider)
    moment = provider.read_until(read_to)
    words = _of_service(account, provider) or WORDS.get(doubt, WORDS[""])
    if words is WORDS[Doubt.READING] and moment:
        words = READ_UNTIL
    elif words is WORDS[Doubt.NO_PROOF] and not decide:
        words = EARLY
    elif decide and long and words in _ASKING:
        words = LONG
    at = formats.date_format(timezone.localtime(moment), "SHORT_DATETIME_FORMAT") if moment else ""
    return str(words) % {"service": provider.title, "at": at}


_ASKING = [WORDS[doubt] for doubt in ("", Doubt.AWAY)]  # replaced by LONG after RECEIPT_WAIT


def _of_service(account: Account, provider: type[Provider]) -> Promise | None:
    """Return the explanation that applies whatever was asked: the provider cannot be asked at all."""
    if not provider.can_look_up:
        return MUTE
    return None if account.connected else OFF


def _asked_long(since: object) -> bool:
    wait = timedelta(seconds=settings.RECEIPT_WAIT)
    return isinstance(since, datetime) and since < timezone.now() - wait
