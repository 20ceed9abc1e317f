"""Runs on-entry mailings: once a minute, everybody who has come under the rule of the mailing since the last
look is taken in and gets the message once. The arrivals, messages, batches and counters of a chunk are one
transaction: after a crash at any point the next look takes the same people in, and nobody twice.

One query outside of any transaction finds the new people (audience.newcomers). A person is considered
only once, even if they leave the rule and come back, or were left out for a reason.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.reasons import Reason
from mailings.audience import audience, frequency_cap
from mailings.models import Arrival, Mailing
from mailings.sending import bulk, epoch, prepare
from mailings.sending.halt import halt
from smsmail.jobs.moments import SKEW
from smsmail.jobs.periodic import nudge
from smsmail.jobs.set_aside import Thing, Work, one_by_one
from users.models import AuditEvent
from users.segments import rules, segments
from users.segments.rules import BadRule

EVERY = timedelta(seconds=60)  # from one look to the next
CHUNK = prepare.CHUNK
State = Mailing.State


def watch_due() -> bool:
    """Periodic job: take in one chunk for every on-entry mailing whose minute is over. Returns True while
    one of them has more.
    """
    if epoch.is_held():
        return False
    # The longest wait comes first, so that a mailing that fails every time does not delay the others.
    due = _due().order_by(F("watched_at").asc(nulls_first=True), "id")
    return one_by_one(Work("watch"), map(Thing, due.values_list("id", flat=True)), watch_some)


def watch_some(mailing_id: int) -> bool:
    """Take in the next chunk of new people of one mailing. Returns True when there may be more."""
    # The worker whose update hits the row makes this look; for a second worker the minute is not over.
    if not _due().filter(id=mailing_id).update(watched_at=timezone.now()):
        return False
    mailing = Mailing.objects.select_related("segment").get(id=mailing_id)
    try:
        _follow_rule(mailing)
        if not _begun(mailing):
            return False
        ids = audience.newcomers(mailing, CHUNK)
        return _take_in(mailing, ids)
    except BadRule:
        return _give_up(mailing)


def rule_now(mailing: Mailing) -> dict[str, object] | None:
    """Return the rule of the mailing, with the segments inside it written out; None for a mailing to
    everyone or to groups.

    Raises BadRule for a rule that cannot be read, and when all groups of the mailing are gone.
    """
    if mailing.everyone:
        return None
    if mailing.segment is not None:
        return rules.written_out(rules.read(mailing.segment.rule, of=mailing.segment.pk))
    if not mailing.groups.exists():
        raise BadRule(_("The groups that it went to are no longer there."))
    return None


def names_of_watchers(segment_ids: set[int]) -> list[str]:
    """Return the names of on-entry mailings that follow the rules of these segments (ids), or will once
    they have begun.
    """
    waiting = [State.AWAITING, State.SCHEDULED, State.WATCHING, State.PAUSED]
    rows = Mailing.objects.filter(
        when=Mailing.When.ON_ENTRY,
        segment__in=segment_ids,
        state__in=waiting,
        prepared_at__isnull=True,
    )
    return list(rows.order_by("id").values_list("name", flat=True))


def _due() -> QuerySet[Mailing]:
    now = timezone.now()
    # If the last look lies in the future, a wrong clock has written it.
    minute_over = (
        Q(watched_at=None)
        | Q(watched_at__lte=now - EVERY)
        | Q(watched_at__gt=now + SKEW)
        | Q(cursor__gt=0)
    )
    return Mailing.objects.watching().filter(minute_over)


def _locked(mailing: Mailing) -> Mailing | None:
    """Return the mailing, locked; None if it no longer follows its rule, or if another worker has it
    locked or has moved its cursor since it was read.
    """
    return (
        Mailing.objects.watching()
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(id=mailing.id, cursor=mailing.cursor)
        .first()
    )


def _follow_rule(mailing: Mailing) -> None:
    """Store the current rule if the segment was changed: the change counts from this look on, and the
    history says who made it. Raises BadRule.
    """
    now = rule_now(mailing)
    if now == mailing.rule:
        return
    with transaction.atomic(durable=True):
        locked = Mailing.objects.select_for_update(of=("self",), no_key=True).get(id=mailing.id)
        if locked.rule not in (None, now):  # otherwise this is the first rule, or already stored
            event = AuditEvent(what="rule_changed", target=f"mailing {mailing.id}")
            event.details = {"was": locked.rule, "now": now}
            change = _last_change(mailing)
            if change is not None:
                event.by, event.at = change.by, change.at
            event.save()
        locked.rule = now
        locked.save(update_fields=["rule"])
    mailing.rule = now


def _last_change(mailing: Mailing) -> AuditEvent | None:
    """Return the last change of the mailing's segment, or of a segment inside it."""
    if mailing.segment is None:
        return None
    targets = [f"segment {each}" for each in segments.inside(mailing.segment)]
    changes = AuditEvent.objects.filter(target__in=targets, what="segment_changed")
    return changes.select_related("by").order_by("-id").first()


def _begun(mailing: Mailing) -> bool:
    """Make the first look, unless it was made; return False if it could not be made now. In a mailing
    for newcomers only, one statement records the people who match already: everybody who matches after
    it is new.
    """
    if mailing.watching_since is not None:
        return True
    with transaction.atomic(durable=True):
        locked = _locked(mailing)
        if locked is None:  # nobody may be taken in before the first look
            return False
        if locked.watching_since is not None:
            return True
        now = timezone.now()
        if not locked.present_too:
            bulk.insert_arrivals(
                locked.id, audience.matching(locked).values_list("id", flat=True), now
            )
        locked.watching_since, locked.ceiling = now, audience.newest()
        locked.save(update_fields=["watching_since", "ceiling"])
    return True


def _take_in(mailing: Mailing, ids: list[int]) -> bool:
    """Take in those of these people (ids) who are still new. Returns True when there may be more."""
    with transaction.atomic(durable=True):
        locked = _locked(mailing)
        if locked is None or not frequency_cap.its_turn(locked):
            return False
        more = len(ids) == CHUNK
        locked.cursor = ids[-1] if more else 0
        locked.save(update_fields=["cursor"])
        # Checked again under the lock: people who left the rule in between may be taken in later.
        chosen = audience.still_new(locked, ids) if ids else []
        if chosen:
            now = timezone.now()
            Arrival.objects.bulk_create(
                Arrival(mailing=locked, user_id=each.id, at=now) for each in chosen
            )
            prepare.enter(locked, chosen)
            nudge("hand_over")
    return more


def _give_up(mailing: Mailing) -> bool:
    """Pause a mailing whose rule names something deleted: a person decides. Other mailings go on."""
    halt(Mailing.objects.watching(), mailing.id, Reason.BAD_RULE, cursor=0)
    return False
