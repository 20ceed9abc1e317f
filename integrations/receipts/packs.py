"""Packs of processed receipts: up to a thousand together, exactly as they came, compressed. A pack is
written in the transaction that processes its receipts.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from integrations.models import Account, ReceiptPack

from .inbox import RawReceipt

Outcome = ReceiptPack.Outcome
FASTEST = (
    1  # level of compression: 3 us a receipt; the best one costs 20 and saves a tenth of the bytes
)


def pack(receipts: Sequence[RawReceipt], outcomes: Mapping[int, str]) -> None:
    """Store processed receipts with what became of each (outcomes: by receipt id)."""
    if not receipts:
        return
    rows = [
        (
            each.id,
            each.account_id,
            each.headers,
            each.query,
            each.body,
            each.received_at.isoformat(),
            outcomes[each.id],
        )
        for each in receipts
    ]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    ReceiptPack.objects.create(
        last_at=max(each.received_at for each in receipts),
        receipts=len(receipts),
        strangers=sum(outcome == Outcome.STRANGER for outcome in outcomes.values()),
        content=zlib.compress(text.encode("utf-8", "surrogatepass"), FASTEST),
    )


def unpack(stored: ReceiptPack) -> Iterator[tuple[RawReceipt, str]]:
    """Return the receipts of a pack, oldest first, each with its outcome."""
    providers = dict(Account.objects.values_list("id", "provider"))
    text = zlib.decompress(bytes(stored.content)).decode("utf-8", "surrogatepass")
    for key, account, headers, query, body, at, outcome in json.loads(text):
        provider = providers.get(account, "")
        moment = datetime.fromisoformat(at)
        yield RawReceipt(key, account, provider, headers, query, body, moment), outcome


def take_strangers(since: datetime) -> Iterator[list[RawReceipt]]:
    """Remove the receipts received since then that named no message of ours from their packs, and return
    them, pack by pack. Call it inside the transaction that puts them somewhere else.
    """
    theirs = ReceiptPack.objects.filter(last_at__gte=since, strangers__gt=0)
    for key in list(theirs.order_by("id").values_list("id", flat=True)):
        stored = ReceiptPack.objects.select_for_update().get(id=key)
        strangers: list[RawReceipt] = []
        others: list[RawReceipt] = []
        outcomes: dict[int, str] = {}
        for receipt, outcome in unpack(stored):
            again = outcome == Outcome.STRANGER and receipt.received_at >= since
            (strangers if again else others).append(receipt)
            outcomes[receipt.id] = outcome
        stored.delete()
        pack(others, {each.id: outcomes[each.id] for each in others})
        yield strangers
