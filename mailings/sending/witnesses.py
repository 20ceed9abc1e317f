"""What makes an absence a proof: another message that the same login had surely taken, seen in the same
read of the books; and what else of ours may stand where a message is looked for. Reads only.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations.models import Account, Stray
from integrations.providers.base import Provider, Rival, Witness
from mailings.models import Batch, Message
from mailings.text import markers
from mailings.text.sealed import opened

Status = Message.Status
# Statuses that only a service's own word brings about.
SURE = (Status.ACCEPTED, Status.DELIVERED, Status.UNDELIVERED, Status.EXPIRED)
OLDEST = timedelta(
    days=30
)  # an older one may have left the books, or take too long to read back to
AROUND = timedelta(days=1)
CHUNK = 500  # phones in one query


def reference_for(account: Account, login: str) -> str:
    """At the claim: a batch of this login that has been answered already. So it came before, whatever any
    clock says; '' when there is none.
    """
    now = timezone.now()
    batches = _taken(account, login).filter(claimed_at__gt=now - OLDEST, claimed_at__lte=now)
    return batches.order_by("-claimed_at").values_list("reference", flat=True).first() or ""


def of(batch: Batch, provider: Provider) -> Witness | None:
    """One to look for together with the batch: of the batch that its claim named; else, for the first ones of
    a login, of another of about that time, or of the answered part of the batch itself.
    """
    before = (
        Batch.objects.filter(reference=batch.witness) if batch.witness else Batch.objects.none()
    )
    since = batch.claimed_at or timezone.now()
    around = _taken(batch.account_id, batch.login).exclude(id=batch.id)
    around = around.filter(claimed_at__gt=since - AROUND).order_by("claimed_at")
    own = Batch.objects.filter(id=batch.id)
    for batches, earlier in ((before, True), (around, False), (own, False)):
        witness = batches.first()
        found = _message_of(witness, provider) if witness else None
        if witness and found:
            return Witness(
                witness.reference, found[0], witness.claimed_at or since, found[1], earlier
            )
    return None


def _message_of(batch: Batch, provider: Provider) -> tuple[str, str] | None:
    """Phone and the service's id of a message that it surely had."""
    messages = batch.messages.filter(status__in=SURE)
    if provider.books_by_text:
        messages = messages.exclude(provider_id="")
    return messages.order_by("id").values_list("phone", "provider_id").first()


def _taken(account: Account | int | None, login: str) -> QuerySet[Batch]:
    """Batches of which the service surely had something."""
    sure = Message.objects.filter(batch=OuterRef("pk"), status__in=SURE)
    return Batch.objects.filter(
        Exists(sure), account=account, login=login, claimed_at__isnull=False
    )


@dataclass(frozen=True, slots=True)
class Others:
    """What of the books of some phones is not what is looked for: ids that somebody has, and messages
    of ours whose id nobody told, by what tells them apart.
    """

    ids: frozenset[str] = frozenset()
    rivals: Mapping[str, Rival] = field(default_factory=dict)

    def came_since(self, before: "Others") -> set[str]:
        """Phones to which something else may have been handed over after the first look at them."""
        fresh = self.rivals.keys() - before.rivals.keys()
        return {self.rivals[key].phone for key in fresh}


def others(account: Account, phones: Iterable[str], asked: Collection[tuple[str, str]]) -> Others:
    """Beside the messages asked about (reference and phone), for services whose books know no reference
    of ours.
    """
    ids: set[str] = set()
    rivals: dict[str, Rival] = {}
    for some in _chunks(sorted(set(phones)), CHUNK):
        for stray, phone, provider_id, at in Stray.objects.filter(
            account=account, phone__in=some
        ).values_list("id", "phone", "provider_id", "at"):
            ids.add(provider_id)
            if not provider_id:
                rivals[f"stray {stray}"] = Rival(phone, at)
        for key, reference, phone, body, provider_id, since in _with_phones(account, some):
            if (reference, phone) in asked:
                continue
            ids.add(provider_id)
            if not provider_id:
                text = markers.filled(opened(body), key)
                rivals[f"message {key}"] = Rival(phone, since or timezone.now(), text)
    return Others(frozenset(ids - {""}), rivals)


def _with_phones(
    account: Account, phones: Sequence[str]
) -> Iterable[tuple[int, str | None, str, str, str, datetime | None]]:
    """Those whose id is known, and those that were handed over, or are being, without one."""
    in_hand = Q(status=Status.WAITING, batch__state=Batch.State.HANDING)
    gone = Q(status__in=[*SURE, Status.UNKNOWN, Status.NO_RECEIPT]) | in_hand
    rows = Message.objects.filter(phone__in=phones)
    rows = rows.filter(~Q(provider_id="") | gone & Q(batch__account=account))
    return rows.values_list(
        "id", "batch__reference", "phone", "text", "provider_id", "batch__claimed_at"
    )


def _chunks(phones: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(phones)
    while some := list(islice(left, size)):
        yield some
