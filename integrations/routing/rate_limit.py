"""The account's rate limit (messages a second), held over all workers by one row of the database."""

from datetime import timedelta

from django.utils import timezone

from integrations.models import Account
from smsmail.jobs import moments

from . import routing

# The pause after a batch exceeds the time of its messages by this share. Otherwise a batch that leaves
# slightly late could fall into the same second as the fourth batch after it.
SPREAD = 0.15


def wait_of(account: Account) -> float:
    """Return the seconds until the rate limit allows the next batch; 0 if it does now."""
    now = timezone.now()
    free = moments.believed(account.next_free_at, longest_wait(account), now)
    if not account.per_second or free is None:
        return 0.0
    return max(0.0, (free - now).total_seconds())


def longest_wait(account: Account) -> timedelta:
    """Return the pause after the largest batch that the provider accepts."""
    return seconds_of(account, routing.provider_class(account.provider).batch)


def seconds_of(account: Account, size: int) -> timedelta:
    """Return the pause after a batch of this size, so that no second, wherever it begins, holds more
    messages than the rate limit. Only whole batches of this size fit into a second.
    """
    pace = account.per_second
    if not pace:
        return timedelta()
    seconds = 1 / (pace // size) if size <= pace else size / pace
    return timedelta(seconds=seconds * (1 + SPREAD))


def reserve(account: Account, size: int) -> None:
    """Reserve the time for a batch of this size that leaves now; the next one waits until it has
    passed. The caller has locked the account's row, so the limit holds over all workers.
    """
    if account.per_second and size:
        now = timezone.now()
        free = moments.believed(account.next_free_at, longest_wait(account), now)
        account.next_free_at = max(now, free or now) + seconds_of(account, size)
        account.save(update_fields=["next_free_at"])
