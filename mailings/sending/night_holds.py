"""Covers providers that delay messages at night on their own. Such a message may be missing from the
provider's records until the morning, and that does not mean that it never left. Reads only.
"""

from collections.abc import Collection
from datetime import datetime, time, timedelta
from typing import NamedTuple

from django.conf import settings

from integrations.providers.base import Provider
from mailings.models import Batch

from .send_times import zone_for
from .timing import QuietHours, zone_named


class _Person(NamedTuple):
    phone: str
    time_zone: str


def until(
    batch: Batch, since: datetime, provider: type[Provider], phones: Collection[str]
) -> datetime | None:
    """Return the time from which the absence of these messages from the records counts; None if it was
    night for none of them when they were submitted. A request may have arrived later than it left: up
    to the batch deadline plus the read timeout.
    """
    if provider.puts_off is None or not phones:
        return None
    begin, end = (time(hour) for hour in provider.puts_off)
    hours = QuietHours(begin, end)
    latest = since + timedelta(seconds=settings.BATCH_DEADLINE + settings.READ_TIMEOUT)
    rows = batch.messages.filter(phone__in=phones).values_list("phone", "user__time_zone")
    zones = {zone_for(_Person(phone, zone or "")) for phone, zone in rows}
    places = [place for zone in zones if (place := zone_named(zone))]
    woken = [(at, hours.over(at, place)) for place in places for at in (since, latest)]
    morning = max((over for at, over in woken if over > at), default=None)
    if morning is None:
        return None
    return morning + timedelta(seconds=provider.settle_seconds)
