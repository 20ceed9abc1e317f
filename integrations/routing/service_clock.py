"""What a service's answers say of our clock, and how late messages appear in its books."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.models import Account
from integrations.providers.base import Provider

CLOCK_TOLERANCE = 60  # seconds that our clock and a service's may differ


SLOW_FOR = timedelta(hours=1)  # for so long after the last sign of it a service counts as slow


def note_clock(account_id: int, provider: Provider) -> None:
    """What the service's answers said of our clock. Writes nothing while both are right."""
    off = provider.clock_off
    if off is None:
        return
    account = Account.objects.filter(id=account_id)
    if abs(off) > CLOCK_TOLERANCE:
        account.update(clock_off=round(off))
    else:
        account.filter(clock_off__isnull=False).update(clock_off=None)


def note_slow(account_id: int, seconds: float = 0) -> None:
    """No answer, or a message that was so many seconds late in its books: whatever is missing there
    may come later than usual, too. The more of it within an hour, the longer.
    """
    most = 10 * settings.LOOK_UP_PAUSE
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(id=account_id)
        longer = slowness(account) + settings.LOOK_UP_PAUSE if _lately_slow(account) else 0
        account.slow = round(min(max(longer, 4 * seconds), max(most, 4 * seconds)))
        account.slow_at = timezone.now()
        account.save(update_fields=["slow", "slow_at"])


def slowness(account: Account) -> int:
    """Seconds to wait longer than usual before what its books do not show is believed."""
    return account.slow if _lately_slow(account) else 0


def _lately_slow(account: Account) -> bool:
    return account.slow_at is not None and account.slow_at > timezone.now() - SLOW_FOR
