"""Starts mailings: from the launch to the moment at which the list is formed. It handles the countdown,
the set time, and a set time that was missed. Until the start nothing of the mailing is prepared.
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
LONGEST_COUNTDOWN = 600  # seconds, the maximum on the settings page


def schedule(mailing: Mailing, countdown: int | None = None) -> None:
    """Set the time at which the list is formed, and start the mailing at once if that is now. Call it in
    the transaction of the launch. countdown: seconds; None: as the policy says.
    """
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
    else:
        nudge("start")  # a worker that rests learns when it is to start


def first_wave(mailing: Mailing) -> int:
    """Return the size of the first wave in messages: first_percent of the people who get the mailing, and
    at least one; without a percentage, the stored size.
    """
    if not mailing.first_percent:
        return mailing.first_wave
    people = funnel.recent(mailing).will_receive
    return max(1, people * mailing.first_percent // 100)


def start_due() -> bool:
    """Periodic job: start scheduled mailings that are due."""
    if epoch.is_held():
        return False
    now = timezone.now()
    _mend(now)
    due = {each.pk: each for each in Mailing.objects.scheduled().filter(leaves_at__lte=now)}
    if due:
        policy = Policy.current()

        def begin(mailing: int) -> None:
            with transaction.atomic():
                _start(due[mailing], policy, now)

        one_by_one(Work("start"), map(Thing, due), begin)
    return False


def _mend(now: datetime) -> None:
    """Repair mailings that were launched by a wrong clock: their countdown begins now. A set time
    stays.
    """
    later = Mailing.objects.scheduled().filter(leaves_at__gt=now + SKEW)
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
    """Continue a mailing after a manual resume. It starts even if its set time was missed, and the later
    waves are released if the error limit had paused it.
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
    """Start a due mailing, or pause it if its set time was missed. This is one conditional UPDATE, so a
    concurrent take_back() takes effect before it or not at all.
    """
    due = Mailing.objects.scheduled().filter(id=mailing.id, leaves_at__lte=now)
    if lateness.missed(mailing, mailing.leaves_at or now, now):
        halt(due, mailing.id, Reason.MISSED_TIME)
    elif mailing.when == Mailing.When.ON_ENTRY:
        due.update(state=State.WATCHING)
    elif due.update(state=State.PREPARING, ceiling=audience.newest()):
        nudge("prepare")
