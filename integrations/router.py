"""Which account sends now, and how fast; connect, disconnect, check and try one; put one to rest and
wake it again.
"""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from smsmail import moments
from smsmail.models import SetAside
from smsmail.set_aside import Work, held, in_halves
from users import consent
from users.models import User, audit

from . import logins, providers, try_outs
from .http import clock
from .models import Account, FormerLogin, Receipt, Routing, SimulatedSms, Stray
from .provider import Balance, Credentials, Outcome, Provider, Sms, Trouble, Verdict
from .reasons import Fault, Reason
from .turns import Turns

# How long an account rests after the first, second, ... trouble in a row, in settings.REST.
RESTS = (1, 2, 4, 10)
LONGEST_REST = 600  # seconds, whatever a service asks for
# The pause after a lot is longer by this share than its messages take by the pace. Else a lot that leaves
# late by a moment would come into the second of the fourth one after it, which leaves in time.
SPREAD = 0.15
BALANCE_AGE = timedelta(minutes=10)
KEEP_RECEIPTS = timedelta(days=90)
CLOCK_TOLERANCE = 60  # seconds that our clock and a service's may differ
SLOW_FOR = timedelta(hours=1)  # for so long after the last sign of it a service counts as slow


def provider_class(slug: str) -> type[Provider]:
    """KeyError for a slug that is not registered."""
    return providers.provider_class(slug)


def connected() -> list[Account]:
    """Connected accounts, the one with priority first."""
    order = [provider.slug for provider in providers.REGISTRY]
    accounts = [each for each in Account.objects.filter(provider__in=order) if each.connected]
    return sorted(accounts, key=lambda account: order.index(account.provider))


def current() -> Account | None:
    """The account that has priority: the first connected one, resting or not."""
    return next(iter(connected()), None)


def sender() -> Account | None:
    """The account to hand over to now: the one with priority or, while it rests and the switch is
    on, the next that does not. None: messages wait.
    """
    return sender_of(connected())


def sender_of(accounts: Sequence[Account]) -> Account | None:
    """The same among these, which have been read already."""
    if not accounts:
        return None
    first, *others = accounts
    if not rests(first):
        return first
    others = [each for each in others if may_stand_in(each) and not rests(each)]
    return others[0] if others and falls_back() else None


def may_stand_in(account: Account) -> bool:
    """The simulator would only pretend to send what people wait for."""
    return not provider_class(account.provider).pretends


def falls_back() -> bool:
    """May the next connected service send while the first is down?"""
    return Routing.objects.filter(fallback=True).exists()


@transaction.atomic
def set_fallback(on: bool, by: User | None) -> None:
    if falls_back() != on:
        Routing.objects.update_or_create(id=Routing.ONLY, defaults={"fallback": on})
        audit(by, "fallback_on" if on else "fallback_off", "routing")


def rests(account: Account) -> bool:
    now = timezone.now()
    until = moments.believed(account.resting_until, longest_rest(), now)
    return until is not None and until > now


def longest_rest() -> timedelta:
    """By our own count, or because the service asked for it."""
    return timedelta(seconds=max(settings.REST * RESTS[-1], LONGEST_REST))


def present_rest(account: Account) -> timedelta:
    """How long a rest after so many failures lasts, where the service asked for nothing else."""
    step = min(max(account.failures - 1, 0), len(RESTS) - 1)
    return timedelta(seconds=settings.REST * RESTS[step])


def pause_of(account: Account) -> float:
    """Seconds until its pace allows the next lot; 0 when it does now."""
    now = timezone.now()
    free = moments.believed(account.next_free_at, longest_pause(account), now)
    if not account.per_second or free is None:
        return 0.0
    return max(0.0, (free - now).total_seconds())


def longest_pause(account: Account) -> timedelta:
    """Of its pace: after the biggest lot that it takes."""
    return seconds_of(account, provider_class(account.provider).lot)


def seconds_of(account: Account, size: int) -> timedelta:
    """How long the next lot waits after one of so many messages, so that no second, wherever it begins,
    holds more than the pace. Only so many whole lots of this size fit into a second.
    """
    pace = account.per_second
    if not pace:
        return timedelta()
    seconds = 1 / (pace // size) if size <= pace else size / pace
    return timedelta(seconds=seconds * (1 + SPREAD))


def reserve(account: Account, size: int) -> None:
    """A lot of so many messages leaves now: the next one must wait as long as these take by the
    account's pace. The caller holds the account's row, which makes the pace that of all workers.
    """
    if account.per_second and size:
        now = timezone.now()
        free = moments.believed(account.next_free_at, longest_pause(account), now)
        account.next_free_at = max(now, free or now) + seconds_of(account, size)
        account.save(update_fields=["next_free_at"])


def provider_of(account: Account) -> Provider:
    """The provider with this account's credentials, ready to send."""
    return provider_class(account.provider)(
        Credentials(values=account.credentials, sender=account.sender), receipt_url(account)
    )


def receipt_url(account: Account) -> str:
    """Where the provider tells us what became of messages."""
    return called_url(account) + provider_class(account.provider).callback_hint


def called_url(account: Account, query: str = "", key: str = "") -> str:
    """Our receipt door as the provider called it, whatever proxies made of the address since. key: the
    one it was called with, where that may be the one before.
    """
    door = f"{settings.PUBLIC_URL}/hooks/{account.provider}/{key or account.receipt_key}/"
    return f"{door}?{query}" if query else door


@transaction.atomic
def connect(
    slug: str,
    credentials: dict[str, str],
    *,
    sender: str,
    price: Decimal,
    by: User | None,
    parallel: int | None = None,  # None: as many as the service takes
    per_second: int = 0,
    warn_below: Decimal | None = None,
) -> Account:
    """Keep the settings; the account sends from now on if it has priority. The credentials it had are kept
    as long as only they can ask about something.
    """
    provider = provider_class(slug)
    before = Account.objects.select_for_update(no_key=True).filter(provider=slug).first()
    if before is not None and logins.fingerprint(slug, credentials) != logins.fingerprint(
        slug, before.credentials
    ):
        logins.keep(before)
    account, _ = Account.objects.update_or_create(
        provider=slug,
        defaults={
            "credentials": credentials,
            "sender": sender,
            "price": price,
            "currency": settings.CURRENCY,
            "parallel": min(parallel or provider.parallel, provider.parallel),
            "per_second": per_second,
            "next_free_at": None,
            "warn_below": warn_below,
            "balance": None,
            "balance_at": None,
            "proven_at": timezone.now() if provider.pretends else None,
            **_AWAKE,
            **_NO_TROUBLE,
        },
    )
    audit(by, "account_connected", f"account {slug}")
    return account


@transaction.atomic
def disconnect(account: Account, by: User | None) -> None:
    """Delete the credentials, former ones too. What waits goes through the next connected service, if
    any; what may have gone can be asked about when the same login is connected again.
    """
    FormerLogin.objects.filter(account=account).delete()
    Account.objects.filter(id=account.id).update(
        credentials={}, sender="", balance=None, balance_at=None, **_AWAKE, **_NO_TROUBLE
    )
    account.refresh_from_db()
    audit(by, "account_disconnected", f"account {account.provider}")


def check(account: Account) -> Balance | None:
    """Ask the provider for the balance (None where it has none). Raises Trouble, in words.

    An account that rested because of money or login wakes up when the check succeeds.
    """
    provider = provider_of(account)
    try:
        balance = provider.balance() if provider.has_balance else None
    except Trouble as trouble:
        _doubt(account, trouble.reason, trouble.raw)
        raise
    note_clock(account.id, provider)
    if balance is not None:
        _write_down(account, balance)
    wake(account.id)
    account.refresh_from_db()
    return balance


class Refuses(Exception):
    """Nothing may be sent to this phone: it has opted out, or its owner's SMS are forbidden."""


def try_out(account: Account, phone: str, text: str, by: User | None) -> Verdict:
    """One message straight through this account, with priority or not, resting or not. It is in no
    mailing and no statistics. Raises Refuses.

    Takes as long as the service does: never inside a transaction. What goes wrong puts nothing to
    rest, as nobody waits for this message; one that is taken proves that the account works.
    """
    if consent.phone_refuses(phone):
        raise Refuses
    reference = try_outs.new_reference()
    sms = Sms(key=0, phone=phone, text=text)
    deadline = clock() + settings.LOT_DEADLINE
    provider = provider_of(account)
    # Before it leaves: it is in the service's books then, and no proof of anything else.
    stray = Stray.objects.create(
        account=account, phone=phone, at=timezone.now(), reference=reference
    )
    verdict = next(
        iter(provider.send(reference, [sms], deadline)),
        Verdict(0, Outcome.UNKNOWN, reason=Reason.NO_ANSWER),
    )
    if verdict.outcome == Outcome.UNSENT:
        stray.delete()
    else:
        try_outs.keep(stray, verdict)
    note_clock(account.id, provider)
    if verdict.outcome == Outcome.TAKEN:
        wake(account.id)
    elif verdict.reason is not None:
        _doubt(account, verdict.reason, verdict.raw)
    audit(by, "account_tried", f"account {account.provider}", outcome=verdict.outcome.value)
    return verdict


def rest(account_id: int, reason: Reason, raw: str, *, seconds: float | None = None) -> None:
    """Hand nothing over for a while: as long as the service asks for (seconds), within LONGEST_REST;
    else 30 s (settings.REST), then 1, 2 and 5 minutes.

    Several lots that fail at the same moment count as one trouble.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update().get(id=account_id)
        pause: float = settings.REST * RESTS[min(account.failures, len(RESTS) - 1)]
        if seconds is not None:
            pause = min(max(seconds, 1), LONGEST_REST)
        until = timezone.now() + timedelta(seconds=pause)
        if account.resting_until is not None and rests(account):
            if seconds is not None and account.resting_until < until:
                Account.objects.filter(id=account_id).update(resting_until=until)
            return
        if not account.failures:
            account.rest_since = timezone.now()
        account.failures = F("failures") + 1
        account.resting_until = until
        account.rest_reason = reason
        account.rest_raw = raw[:64]
        account.save(
            update_fields=["failures", "resting_until", "rest_reason", "rest_raw", "rest_since"]
        )


def wake(account_id: int) -> None:
    """It works. Writes nothing when that was known: this is asked after every lot."""
    news = Q(failures__gt=0) | Q(proven_at__isnull=True)
    Account.objects.filter(news, id=account_id).update(
        **_AWAKE, proven_at=Coalesce("proven_at", timezone.now())
    )


def _doubt(account: Account, reason: Reason, raw: str) -> None:
    """The service was asked by a person and did not take these settings: the page says so until it takes
    them. It does not rest: only what waits for it may decide that.
    """
    if reason.about.fault != Fault.ACCOUNT:
        return
    Account.objects.filter(id=account.id).update(
        proven_at=None, rest_reason=reason, rest_raw=raw[:64], rest_since=timezone.now()
    )


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


_AWAKE = {"failures": 0, "resting_until": None}
_NO_TROUBLE = {"rest_reason": "", "rest_raw": "", "rest_since": None}


def refresh_balances() -> bool:
    """Clock job: ask every connected account that has not been asked lately."""
    return _balances.take(connected())


def _refresh_balance(account: Account) -> bool:
    now = timezone.now()
    asked_at = moments.believed(account.balance_at, timedelta(), now)
    fresh = asked_at and asked_at > now - BALANCE_AGE
    provider = provider_of(account)
    if not fresh and provider.has_balance:
        # Sending itself puts the account to rest; a balance is only a figure.
        with contextlib.suppress(Trouble):
            _write_down(account, provider.balance())
        note_clock(account.id, provider)
    return False


_balances = Turns("refresh_balances", _refresh_balance)


def _write_down(account: Account, balance: Balance) -> None:
    Account.objects.filter(id=account.id).update(
        balance=balance.amount,
        balance_currency=balance.currency[:3],
        balance_at=timezone.now(),
    )


def forget_old() -> bool:
    """Clock job: folded receipts and the simulator's books are kept 90 days. A slice at a time."""
    before = timezone.now() - KEEP_RECEIPTS
    Stray.objects.filter(at__lt=before).delete()
    receipts = Receipt.objects.filter(received_at__lt=before, folded_at__isnull=False)
    receipts = receipts.order_by("received_at")
    simulated = SimulatedSms.objects.filter(at__lt=before)
    gone = [
        _forget(Work("forget", "receipt"), receipts),
        _forget(Work("forget_simulated", "sms"), simulated),
    ]
    SetAside.objects.filter(next_try_at__lt=timezone.now() - timedelta(days=1)).delete()
    return any(gone)


def _forget(work: Work, rows: "QuerySet[Any]") -> int:
    """A slice; what cannot be deleted is set aside."""
    old = rows.exclude(id__in=held(work.name)).values_list("id", flat=True)
    ids = list(old[:5000])

    def forget(these: Sequence[int]) -> None:
        rows.model._default_manager.filter(id__in=these).delete()

    if ids:
        in_halves(work, ids, forget, lambda _id: "forget ")
    return len(ids)
