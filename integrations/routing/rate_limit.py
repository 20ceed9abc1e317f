"""The account's rate limit (messages a second), held over all workers by one row of the database."""

from datetime import timedelta

from django.utils import timezone

from integrations.models import Account
from smsmail.jobs import moments

from . import routing

# The pause after a batch is longer by this share than its messages take by the pace. Else a batch that leaves
# late by a moment would come into the second of the fourth one after it, which leaves in time.
SPREAD = 0.15


def wait_of(account: Account) -> float:
    """Seconds until its pace allows the next batch; 0 when it does now."""
    now = timezone.now()
    free = moments.believed(account.next_free_at, longest_wait(account), now)
    if not account.per_second or free is None:
        return 0.0
    return max(0.0, (free - now).total_seconds())


def longest_wait(account: Account) -> timedelta:
    """Of its pace: after the biggest batch that it takes."""
    return seconds_of(account, routing.provider_class(account.provider).batch)


def seconds_of(account: Account, size: int) -> timedelta:
    """How long the next batch waits after one of so many messages, so that no second, wherever it begins,
    holds more than the pace. Only so many whole batches of this size fit into a second.
    """
    pace = account.per_second
    if not pace:
        return timedelta()
    seconds = 1 / (pace // size) if size <= pace else size / pace
    return timedelta(seconds=seconds * (1 + SPREAD))


def reserve(account: Account, size: int) -> None:
    """A batch of so many messages leaves now: the next one must wait as long as these take by the
    account's pace. The caller holds the account's row, which makes the pace that of all workers.
    """
    if account.per_second and size:
        now = timezone.now()
        free = moments.believed(account.next_free_at, longest_wait(account), now)
        account.next_free_at = max(now, free or now) + seconds_of(account, size)
        account.save(update_fields=["next_free_at"])
