"""Finds the logins of an account that are still needed, for open batches. Reads only."""

from collections.abc import Iterable

from django.db.models import Q

from integrations.models import Account
from mailings.models import Batch


def needed(account: Account, logins: Iterable[str]) -> set[str]:
    """Return those logins whose batches are in flight or still have a look-up to come."""
    in_hand = Q(state=Batch.State.IN_FLIGHT) | Q(look_up_at__isnull=False)
    batches = Batch.objects.filter(in_hand, account=account, login__in=list(logins))
    return set(batches.values_list("login", flat=True).distinct())
