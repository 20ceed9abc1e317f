"""What a provider's responses say about our clock, and how late messages appear in its records."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.models import Account
from integrations.providers.base import Provider

CLOCK_TOLERANCE = 60  # seconds by which our clock may differ from a provider's


SLOW_FOR = timedelta(hours=1)  # how long after the last sign of it a provider counts as slow


def note_clock(account_id: int, provider: Provider) -> None:
    """Store what the provider's responses said about our clock. Writes nothing while both agree."""
    off = provider.clock_off
    if off is None:
        return
    account = Account.objects.filter(id=account_id)
    if abs(off) > CLOCK_TOLERANCE:
        account.update(clock_off=round(off))
    else:
        account.filter(clock_off__isnull=False).update(clock_off=None)


def note_slow(account_id: int, seconds: float = 0) -> None:
    """Record a missing response, or a message that appeared `seconds` late in the records: others
    may be late, too. The more of it within an hour, the longer the wait.
    """
    most = 10 * settings.LOOK_UP_PAUSE
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(id=account_id)
        longer = slowness(account) + settings.LOOK_UP_PAUSE if _lately_slow(account) else 0
        account.slow = round(min(max(longer, 4 * seconds), max(most, 4 * seconds)))
        account.slow_at = timezone.now()
        account.save(update_fields=["slow", "slow_at"])


def slowness(account: Account) -> int:
    """Return the extra seconds to wait before a missing record is believed."""
    return account.slow if _lately_slow(account) else 0


def _lately_slow(account: Account) -> bool:
    return account.slow_at is not None and account.slow_at > timezone.now() - SLOW_FOR
