"""After a copy was put back: the books of each service are read from the copy's time on, page by page.
What becomes of a page is in book_pages.py. Nothing is sent meanwhile (epoch.py), and nothing here decides.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from integrations.providers.contract import ProviderError
from integrations.reasons import Reason
from integrations.routing import retention, routing
from mailings.models import Batch, BooksSweep, Message, Restoration, UnclaimedSms
from mailings.sending import record
from smsmail.jobs import heartbeat
from smsmail.jobs.set_aside import Thing, Work, one_by_one
from smsmail.uptime import clock

from . import book_pages

logger = logging.getLogger(__name__)

Status = Message.Status
SLICE = 20.0  # seconds for which one call of the clock job goes on reading


def ask_due() -> bool:
    """Periodic job: continue reading the records of each provider. Returns True while there is more to
    read at once.
    """
    restoration = open_restoration()
    if restoration is None or restoration.asked_at is not None:
        _forget()
        return False
    until = clock() + SLICE
    sweeps = {sweep.pk: sweep for sweep in sweeps_of(restoration)}

    def read(key: int) -> None:
        while clock() < until and _read_page(sweeps[key]):
            heartbeat.beat()

    things = [Thing(key, f"account {sweep.account.provider}") for key, sweep in sweeps.items()]
    one_by_one(Work("ask_books", "sweep"), things, read)
    if restoration.sweeps.filter(done_at__isnull=True, waived_at__isnull=True).exists():
        return clock() >= until
    _finish(restoration)
    return False


def _forget() -> None:
    """Delete old rows of UnclaimedSms. Like receipts, they are kept for KEEP_RECEIPTS."""
    before = timezone.now() - retention.KEEP_RECEIPTS
    UnclaimedSms.objects.filter(at__lt=before).delete()


def open_restoration() -> Restoration | None:
    return Restoration.objects.filter(decided_at__isnull=True).order_by("-id").first()


def sweeps_of(restoration: Restoration) -> list[BooksSweep]:
    """Return the sweeps, and create one for each connected provider that lists what it has sent."""
    for account in routing.connected():
        if routing.provider_class(account.provider).lists_sent:
            BooksSweep.objects.get_or_create(restoration=restoration, account=account)
    return list(restoration.sweeps.select_related("account").order_by("id"))


def _read_page(sweep: BooksSweep) -> bool:
    """Read the next page. Returns True when there is another one to read now."""
    held = _take(sweep.pk)
    if held is None:
        return False
    try:
        page = routing.provider_of(held.account).sent_since(held.restoration.since, held.cursor)
    except ProviderError as trouble:
        logger.warning("%s does not show its books now: %s", held.account.provider, trouble)
        return _put_off(held, trouble.reason)
    except Exception as error:  # noqa: BLE001 - one provider's mistake must not keep the others from being asked
        logger.error(
            "%s: its books cannot be read: %s", held.account.provider, type(error).__name__
        )
        return _put_off(held, Reason.OTHER)
    if page.cursor and page.cursor == held.cursor:  # pages without an end
        return _put_off(held, Reason.OTHER)
    book_pages.take_in(held, page)
    return bool(page.cursor)


def _take(sweep_id: int) -> BooksSweep | None:
    """Take the sweep for this worker alone, by postponing it by a lease; None if it is not due."""
    now = timezone.now()
    due = BooksSweep.objects.filter(
        Q(again_at=None) | Q(again_at__lte=now),
        id=sweep_id,
        done_at__isnull=True,
        waived_at__isnull=True,
    )
    sweep = due.select_related("account", "restoration").first()
    if sweep is None or now < _begins(sweep):
        return None
    lease = now + timedelta(seconds=settings.LEASE)
    if not due.filter(cursor=sweep.cursor).update(again_at=lease):
        return None
    if sweep.began_at is None:
        BooksSweep.objects.filter(id=sweep_id).update(began_at=now)
    return sweep


def _begins(sweep: BooksSweep) -> datetime:
    """Return the time from which the records are read. They may lag, and a worker may still have had a
    request running when the copy was found.
    """
    settles = routing.provider_class(sweep.account.provider).settle_seconds
    wait = min(settles, settings.LEASE)
    return sweep.restoration.found_at + timedelta(seconds=wait)


def _put_off(sweep: BooksSweep, reason: Reason) -> bool:
    again = timezone.now() + timedelta(seconds=settings.LOOK_UP_PAUSE)
    BooksSweep.objects.filter(id=sweep.pk).update(again_at=again, trouble=reason)
    return False


def _finish(restoration: Restoration) -> None:
    """Finish the reading. Messages that the records do not show, of a batch that has left, go into a new
    batch, since a reference never means two things.
    """
    left = Batch.objects.filter(state=Batch.State.SILENT, messages__status=Status.WAITING)
    for batch_id in sorted(set(left.values_list("id", flat=True))):
        with transaction.atomic(durable=True):
            batch = (
                Batch.objects.select_for_update(of=("self",), no_key=True)
                .select_related("mailing")
                .get(id=batch_id)
            )
            rest = batch.messages.waiting().values_list("id", flat=True)
            record.send_again(batch, list(rest))
    Restoration.objects.filter(id=restoration.pk, asked_at__isnull=True).update(
        asked_at=timezone.now()
    )
