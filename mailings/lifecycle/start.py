"""From the launch to the moment at which a mailing's list is formed: the countdown, the time set, and
what happens when that time was missed. Until then nothing of it is prepared.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from integrations.reasons import Reason
from mailings.audience import audience, funnel
from mailings.models import Mailing, Policy
from mailings.sending import epoch, lateness
from mailings.sending.halt import halt
from mailings.sending.timing import forms_at
from smsmail.jobs.moments import SKEW, beyond
from smsmail.jobs.periodic import nudge
from smsmail.jobs.set_aside import Thing, Work, one_by_one

State = Mailing.State
LONGEST_COUNTDOWN = 600  # seconds, as the settings page has it


def schedule(mailing: Mailing, countdown: int | None = None) -> None:
    """Set when its list is formed; at once, if that is now. In the transaction of the launch."""
    policy = Policy.current()
    now = timezone.now()
    seconds = policy.countdown if countdown is None else countdown
    early = timedelta(hours=policy.early_hours)
    mailing.leaves_at = forms_at(now, timedelta(seconds=seconds), mailing.starts_at, early)
    mailing.first_wave = first_wave(mailing)
    mailing.wave_passed_at = None
    mailing.save(update_fields=["leaves_at", "first_wave", "wave_passed_at"])
    if mailing.leaves_at <= now:
        _start(mailing, policy, now)


def first_wave(mailing: Mailing) -> int:
    """In messages: one in a hundred of those who get it, and one at least."""
    if not mailing.first_percent:
        return mailing.first_wave
    people = funnel.recent(mailing).will_receive
    return max(1, people * mailing.first_percent // 100)


def start_due() -> bool:
    """Clock job: begin with mailings whose moment has come."""
    if epoch.is_held():
        return False
    now = timezone.now()
    _mend(now)
    due = {
        each.pk: each for each in Mailing.objects.filter(state=State.SCHEDULED, leaves_at__lte=now)
    }
    if due:
        policy = Policy.current()

        def begin(mailing: int) -> None:
            with transaction.atomic():
                _start(due[mailing], policy, now)

        one_by_one(Work("start"), map(Thing, due), begin)
    return False


def _mend(now: datetime) -> None:
    """Launched by a wrong clock: its countdown counts from now on. What was set for later stays so."""
    later = Mailing.objects.filter(state=State.SCHEDULED, leaves_at__gt=now + SKEW)
    for mailing in later:
        longest = timedelta(seconds=LONGEST_COUNTDOWN)
        if mailing.leaves_at and beyond(
            mailing.leaves_at, forms_at(now, longest, mailing.starts_at, timedelta()) - now, now
        ):
            policy = Policy.current()
            early = timedelta(hours=policy.early_hours)
            countdown = timedelta(seconds=policy.countdown)
            same = later.filter(id=mailing.id, leaves_at=mailing.leaves_at)
            same.update(leaves_at=forms_at(now, countdown, mailing.starts_at, early))


def go_on(stopped: Mailing) -> None:
    """A person has resumed it: go now, missed or not, and with the rest of the waves if it was their
    errors that stopped it.
    """
    now = timezone.now()
    changed = []
    if (
        stopped.leaves_at
        and stopped.leaves_at < now
        and lateness.missed(stopped, stopped.leaves_at, now)
    ):
        stopped.leaves_at = now
        changed.append("leaves_at")
    if stopped.trouble == Reason.WAVE_ERRORS:
        stopped.wave_passed_at = now
        changed.append("wave_passed_at")
    if changed:
        stopped.save(update_fields=changed)


def _start(mailing: Mailing, policy: Policy, now: datetime) -> None:
    """One conditional update: whoever takes it back a moment earlier or later wins or loses whole."""
    due = Mailing.objects.filter(id=mailing.id, state=State.SCHEDULED, leaves_at__lte=now)
    if lateness.missed(mailing, mailing.leaves_at or now, now):
        halt(due, mailing.id, Reason.MISSED_TIME)
    elif mailing.when == Mailing.When.ON_ENTRY:
        due.update(state=State.WATCHING)
    elif due.update(state=State.PREPARING, ceiling=audience.newest()):
        nudge("prepare")
