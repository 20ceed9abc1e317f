"""Writes Message rows and batches for the audience of a mailing, chunk by chunk. The rows of a chunk, its
batches, the counters and the cursor are one transaction: after a crash at any point the same chunk is
prepared again, and nothing is written twice.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from integrations.reasons import Reason
from integrations.routing import routing
from mailings.audience import audience, frequency_cap
from mailings.audience.personalization import as_launched, values_of
from mailings.models import Batch, Mailing, Message
from mailings.text import markers
from mailings.text import template as text
from smsmail.jobs.periodic import nudge
from smsmail.jobs.set_aside import Thing, Work, one_by_one
from users.segments.rules import BadRule

from . import already_sent, bulk, epoch, ledger
from .halt import halt
from .send_times import Plan, SendWindow

CHUNK = 5000  # people in one transaction: about 50 ms, 10 batches
BATCH = 500  # messages in a batch when no account is connected

Status = Message.Status


def prepare_due() -> bool:
    """Periodic job: prepare one chunk of every mailing that is not prepared yet. Returns True when one
    of them has more.
    """
    if epoch.is_held():
        return False
    due = (
        Mailing.objects.campaigns()
        .filter(
            state__in=[Mailing.State.PREPARING, Mailing.State.CANCELLED],
            launched_at__isnull=False,
            prepared_at__isnull=True,
        )
        .exclude(when=Mailing.When.ON_ENTRY)
    )  # only lifecycle/on_entry.py writes their rows
    ids = due.order_by("launched_at", "id").values_list("id", flat=True)
    return one_by_one(Work("prepare"), map(Thing, ids), prepare_some)


def prepare_some(mailing_id: int) -> bool:
    """Prepare the next chunk of one mailing. Returns True when there is more to do.

    A mailing that was cancelled meanwhile is prepared to its end as well, with cancelled messages, so
    that it shows everybody whom it would have reached.
    """
    with transaction.atomic(durable=True):
        mailing = (
            Mailing.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .filter(id=mailing_id, prepared_at__isnull=True, launched_at__isnull=False)
            .exclude(when=Mailing.When.ON_ENTRY)
            .exclude(state=Mailing.State.PAUSED)
            .first()
        )
        if mailing is None:
            return False
        if not frequency_cap.its_turn(mailing):
            return False
        try:
            chosen = audience.candidates(mailing, CHUNK)
        except BadRule:
            return _give_up(mailing)
        if not chosen:
            mailing.prepared_at = timezone.now()
            if mailing.state == Mailing.State.PREPARING:
                mailing.state = Mailing.State.SENDING
            mailing.save(update_fields=["prepared_at", "state"])
            return False
        enter(mailing, chosen)
        mailing.cursor = chosen[-1].id
        mailing.save(update_fields=["cursor"])
    nudge("hand_over")
    return True


def _give_up(mailing: Mailing) -> bool:
    """Pause a mailing whose rule names something deleted since the launch: a person decides. Otherwise
    it would fail again every second. The mailings after it go on.
    """
    mailing.prepared_at = timezone.now()
    mailing.save(update_fields=["prepared_at"])
    preparing = Mailing.objects.filter(state=Mailing.State.PREPARING)
    halt(preparing, mailing.id, Reason.BAD_RULE)
    return False


class _Fit(NamedTuple):
    """A person who gets the mailing, with their text and send window."""

    person: audience.Candidate
    text: str
    send_window: SendWindow


def enter(mailing: Mailing, chosen: list[audience.Candidate]) -> None:
    """Write the messages of these people. Call it in a transaction that holds the lock of the mailing."""
    now = timezone.now()
    template = as_launched(mailing.text, mailing.wrapping)
    taken = bulk.keys_taken(mailing.id, [each.phone for each in chosen if not each.why_not])
    plan = Plan(mailing, now)
    wanted = template.names
    skipped: list[bulk.Entry] = []
    fit: list[_Fit] = []
    for each in chosen:
        body = _rendered(template, wanted, each)
        # A provider would refuse an empty text, and the whole batch with it. A text of "{first_name}"
        # is empty for a person without a name.
        why_not = each.why_not or ("" if body else Reason.EMPTY_TEXT)
        why_not = why_not or (Reason.SAME_PHONE if each.phone in taken else "")
        send_window = None if why_not else plan.of(each)
        if send_window is None or send_window.too_late:
            why_not = why_not or Reason.TOO_LATE
            skipped.append(_left_out(mailing.id, each, why_not, now))
        else:
            taken.add(each.phone)
            fit.append(_Fit(each, body, send_window))
    fit, served = already_sent.split(mailing, fit)
    ledger.enter(mailing.id, [*skipped, *_messages(mailing, fit, now)])
    already_sent.enter(mailing, served)


def _rendered(template: text.Template, wanted: Collection[str], each: audience.Candidate) -> str:
    if each.why_not:
        return ""
    return text.render(template, values_of(each, wanted)).strip()


def _left_out(mailing_id: int, each: audience.Candidate, why_not: str, now: datetime) -> bulk.Entry:
    return bulk.Entry(
        mailing_id=mailing_id,
        key=f"user:{each.id}",
        user_id=each.id,
        phone=each.phone,
        text="",
        parts=0,
        status=Status.SKIPPED.value,
        reason=str(why_not),
        batch_id=None,
        final_at=now,
    )


def _messages(mailing: Mailing, fit: list[_Fit], now: datetime) -> Iterator[bulk.Entry]:
    cancelled = mailing.state == Mailing.State.CANCELLED
    groups = _groups(fit)
    send_windows = [group[0].send_window for group in groups]
    batches = (
        [] if cancelled else new_batches(mailing.id, [len(group) for group in groups], send_windows)
    )
    status = Status.CANCELLED.value if cancelled else Status.WAITING.value
    reason = Reason.CANCELLED.value if cancelled else ""
    final_at = now if cancelled else None
    mailing_id = mailing.id
    for number, group in enumerate(groups):
        batch_id = None if cancelled else batches[number].id
        for person, body, _send_window in group:
            phone, parts = person.phone, text.parts_of(markers.masked(body))
            # In the order of its fields: by name it takes twice as long.
            yield bulk.Entry(
                *(mailing_id, phone, person.id, phone, body, parts),
                *(status, reason, batch_id, final_at),
            )


def _groups(fit: list[_Fit]) -> list[list[_Fit]]:
    """Group the people who leave at the same time and in the same wave, in groups of batch size. In one
    plan, the zone and the wave say when.
    """
    groups: dict[tuple[str, int], list[_Fit]] = {}
    for each in fit:
        groups.setdefault((each.send_window.zone, each.send_window.wave), []).append(each)
    size = batch_size()
    return [
        group[start : start + size]
        for group in groups.values()
        for start in range(0, len(group), size)
    ]


def new_batches(
    mailing_id: int, sizes: list[int], send_windows: list[SendWindow] | None = None
) -> list[Batch]:
    """Create waiting batches of these sizes, each with a new reference, in one statement. send windows:
    one for each batch; None: they may leave now.
    """
    at_once = SendWindow(timezone.now())
    return Batch.objects.bulk_create(
        Batch(
            mailing_id=mailing_id,
            reference=Batch.new_reference(),
            size=size,
            not_before=send_window.not_before,
            send_at=send_window.send_at,
            expires_at=send_window.expires_at,
            zone=send_window.zone,
            wave=send_window.wave,
        )
        for size, send_window in zip(sizes, send_windows or [at_once] * len(sizes), strict=True)
    )


def batch_size() -> int:
    """Return the number of messages in a batch, as the provider that sends now takes them. With a rate
    limit, a batch is no larger than a quarter of a second allows, and no larger than the number of
    requests made at once: a batch leaves all at once, and the pause follows it.
    """
    account = routing.sender() or routing.current()
    if account is None:
        return BATCH
    provider = routing.provider_class(account.provider)
    if not account.per_second:
        return provider.batch
    return min(provider.batch, provider.at_once or provider.batch, max(1, account.per_second // 4))
