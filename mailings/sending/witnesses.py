"""Finds witnesses and rivals for a look-up. A witness is another message that the provider surely took
with the same login: an absence is a proof only if the same look-up shows the witness. A rival is another
message of ours that may be mistaken for the one that is looked for. Reads only.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations.models import Account, Stray
from integrations.providers.base import Provider
from integrations.providers.contract import Rival, Witness
from mailings.models import Batch, Message
from mailings.text import markers
from mailings.text.sealed import opened
from smsmail.compiled_query import CompiledQuery

Status = Message.Status
# Statuses that only the provider's own word brings about.
SURE = (Status.ACCEPTED, Status.DELIVERED, Status.UNDELIVERED, Status.EXPIRED)
OLDEST = timedelta(
    days=30
)  # an older witness may be gone from the records, or too far back to read in reasonable time
AROUND = timedelta(days=1)
CHUNK = 500  # phones in one query


def reference_for(account: Account, login: str) -> str:
    """Return the reference of the latest batch of this login of which the provider surely took something;
    '' if there is none. Called at the claim, so that batch came earlier, whatever any clock says.
    """
    now = timezone.now()
    found = _LATEST_TAKEN.rows(account=account.id, login=login, since=now - OLDEST, now=now)
    return str(found[0][0]) if found else ""


def of(batch: Batch, provider: Provider) -> Witness | None:
    """Return a witness to look up together with the batch; None if there is none. It comes from the
    batch that the claim named. The first batches of a login have none: for them it comes from the
    earliest other batch claimed since a day before (AROUND), or from the answered part of the batch
    itself.
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
    """Return the phone and the provider id of a message that the provider surely took."""
    messages = batch.messages.filter(status__in=SURE)
    if provider.books_by_text:
        messages = messages.exclude(provider_id="")
    return messages.order_by("id").values_list("phone", "provider_id").first()


def _taken(account: Account | int | None, login: str) -> QuerySet[Batch]:
    """Select the batches of which the provider surely took something."""
    sure = Message.objects.filter(batch=OuterRef("pk"), status__in=SURE)
    return Batch.objects.filter(
        Exists(sure), account=account, login=login, claimed_at__isnull=False
    )


_LATEST_TAKEN = CompiledQuery(
    Batch,
    lambda account, login, since, now: (
        _taken(account, login)
        .filter(claimed_at__gt=since, claimed_at__lte=now)
        .order_by("-claimed_at")
        .values_list("reference")[:1]
    ),
)


@dataclass(frozen=True, slots=True)
class OtherMessages:
    """What the records may show for some phones besides the messages looked for: provider ids that belong
    to other messages of ours, and messages of ours whose id is unknown, by a key of our own.
    """

    ids: frozenset[str] = frozenset()
    rivals: Mapping[str, Rival] = field(default_factory=dict)

    def came_since(self, before: "OtherMessages") -> set[str]:
        """Return the phones to which another message may have been submitted since `before` was read."""
        fresh = self.rivals.keys() - before.rivals.keys()
        return {self.rivals[key].phone for key in fresh}


def others(
    account: Account, phones: Iterable[str], asked: Collection[tuple[str, str]]
) -> OtherMessages:
    """Collect the other messages to these phones, for providers that do not store our references. asked:
    the messages that are looked up, as (reference, phone).
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
    return OtherMessages(frozenset(ids - {""}), rivals)


def _with_phones(
    account: Account, phones: Sequence[str]
) -> Iterable[tuple[int, str | None, str, str, str, datetime | None]]:
    """Select the messages to these phones whose provider id is known, and those that were submitted, or
    are being submitted, without one.
    """
    in_hand = Q(status=Status.WAITING, batch__state=Batch.State.IN_FLIGHT)
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
