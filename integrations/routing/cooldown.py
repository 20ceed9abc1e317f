"""After an error an account submits nothing for a while, longer each time, until it works again."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from integrations.models import Account
from integrations.reasons import Fault, Reason
from smsmail.compiled_query import CompiledUpdate
from smsmail.jobs import moments

# The length of the cooldown after the first, second, ... error in a row, as a multiple of
# settings.PROVIDER_COOLDOWN.
STEPS = (1, 2, 4, 10)


LONGEST = 600  # seconds; the most that a provider can ask for


def is_on(account: Account) -> bool:
    now = timezone.now()
    until = moments.believed(account.cooldown_until, longest(), now)
    return until is not None and until > now


def longest() -> timedelta:
    """Return the longest possible cooldown: by our own steps, or because the provider asked for it."""
    return timedelta(seconds=max(settings.PROVIDER_COOLDOWN * STEPS[-1], LONGEST))


def present_length(account: Account) -> timedelta:
    """Return the length of a cooldown after the account's present number of failures, if the
    provider asked for nothing else.
    """
    step = min(max(account.failures - 1, 0), len(STEPS) - 1)
    return timedelta(seconds=settings.PROVIDER_COOLDOWN * STEPS[step])


def start(account_id: int, reason: Reason, raw: str, *, seconds: float | None = None) -> None:
    """Submit nothing for as long as the provider asks (seconds, at most LONGEST), otherwise for 30 s
    (settings.PROVIDER_COOLDOWN), then 1, 2 and 5 minutes.

    Several batches that fail at the same moment count as one error.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update().get(id=account_id)
        pause: float = settings.PROVIDER_COOLDOWN * STEPS[min(account.failures, len(STEPS) - 1)]
        if seconds is not None:
            pause = min(max(seconds, 1), LONGEST)
        until = timezone.now() + timedelta(seconds=pause)
        if account.cooldown_until is not None and is_on(account):
            if seconds is not None and account.cooldown_until < until:
                Account.objects.filter(id=account_id).update(cooldown_until=until)
            return
        if not account.failures:
            account.cooldown_since = timezone.now()
        account.failures = F("failures") + 1
        account.cooldown_until = until
        account.cooldown_reason = reason
        account.cooldown_raw = raw[:64]
        account.save(
            update_fields=[
                "failures",
                "cooldown_until",
                "cooldown_reason",
                "cooldown_raw",
                "cooldown_since",
            ]
        )


def end(account_id: int) -> None:
    """Record that the account works. Writes nothing if that is known already, because this runs
    after every batch.
    """
    _END.run(key=account_id, now=timezone.now())


def doubt_settings(account: Account, reason: Reason, raw: str) -> None:
    """A person tried the account and the provider did not accept its settings: the page says so until it
    does. No cooldown starts, because no queued message failed.
    """
    if reason.about.fault != Fault.ACCOUNT:
        return
    Account.objects.filter(id=account.id).update(
        proven_at=None, cooldown_reason=reason, cooldown_raw=raw[:64], cooldown_since=timezone.now()
    )


AWAKE = {"failures": 0, "cooldown_until": None}


_END = CompiledUpdate(
    lambda key, now: (
        Account.objects.filter(Q(failures__gt=0) | Q(proven_at__isnull=True), id=key),
        {**AWAKE, "proven_at": Coalesce("proven_at", Value(now))},
    )
)


NO_TROUBLE = {"cooldown_reason": "", "cooldown_raw": "", "cooldown_since": None}
