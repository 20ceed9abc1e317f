"""Changes the state of mailings: launch, take back, pause, resume, stop following the rule, cancel, settle.
Every change is one conditional UPDATE that must hit its row, so a second click changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.reasons import Reason
from integrations.routing import routing
from mailings.audience import audience, funnel, personalization
from mailings.composing import drafts
from mailings.errors import CannotLaunch, WrongState
from mailings.models import Batch, Counters, Mailing, Message
from mailings.sending import last_look, ledger, send_times
from mailings.sending.ledger import Move
from mailings.text import template
from mailings.tracking import link_rows
from smsmail.jobs.periodic import nudge
from smsmail.jobs.set_aside import Work, in_halves, set_aside_ids
from users.models import User, audit
from users.segments import rules

from . import approval, start

State = Mailing.State
Status = Message.Status
SWEEPING = Work("sweep", "batch")  # a part of the job "settle"
SWEEP = 10  # batches cancelled in one transaction: about 5,000 messages, 100 ms


@dataclass(frozen=True, slots=True)
class Split:
    """What a cancellation stops, and what had already left or was leaving, in messages."""

    stopped: int
    gone: int
    scheduled: int = 0  # neither stopped nor gone: the provider keeps them until their set time
    # The part of `gone` that is in flight now. Those that have not left yet are stopped too.
    leaving: int = field(default=0, compare=False)

    @property
    def left(self) -> int:
        """Messages that have surely left."""
        return self.gone - self.leaving


def launch(
    mailing: Mailing,
    by: User,
    *,
    confirms: datetime | None = None,
    countdown: int | None = None,
    seen: str | None = None,
) -> None:
    """Launch a draft, once: it becomes scheduled, and start.py continues from there. A large mailing
    first waits for a second person.

    confirms: the asked_at of the launch that the second person confirms. countdown: seconds until the
    list is formed; None: as the policy says. seen: drafts.seen_of() of the version that the person has
    looked over; None: not checked. Raises CannotLaunch, with a message for the user.
    """
    with transaction.atomic():
        open_ = Mailing.objects.filter(approval.open_to(by, confirms), id=mailing.id)
        launched = open_.update(
            state=State.SCHEDULED, launched_at=timezone.now(), launched_by=by, cursor=0, ceiling=0
        )
        if not launched:
            raise CannotLaunch(approval.why_closed(mailing, by))
        # Read the mailing again: from now on nobody can change it, but the caller's copy may be old.
        written = Mailing.objects.select_related("segment").get(id=mailing.id)
        # The lock prevents the deletion of its groups until this transaction is committed.
        list(written.groups.select_for_update(no_key=True, of=("self",)))
        if seen not in {None, drafts.seen_of(written)}:
            raise CannotLaunch(_("It was changed after you had looked it over. Look once more."))
        people = _check_ready(written)
        if written.starts_at and written.starts_at <= timezone.now():
            raise CannotLaunch(_("The time set has passed. Choose another one."))
        if approval.must_confirm(people, confirms):
            approval.ask(mailing, by)
            return
        # The rule of a confirmed launch was stored when it was asked for.
        if written.segment is not None and written.rule is None:
            rule = rules.written_out(rules.read(written.segment.rule))
            Mailing.objects.filter(id=mailing.id).update(rule=rule)
        link_rows.write_down(written)
        Counters.objects.create(mailing=mailing)
        audit(by, "launched", f"mailing {mailing.id}")
        if written.urgent:
            audit(by, "launched_urgent", f"mailing {mailing.id}")
        start.schedule(written, countdown)
    mailing.refresh_from_db()


def take_back(mailing: Mailing, by: User) -> None:
    """Turn a scheduled mailing into a draft again, as if it had not been launched. Raises WrongState once
    its list is being formed.
    """
    with transaction.atomic():
        _change(mailing, {State.SCHEDULED}, State.DRAFT, by, "taken_back")
        Counters.objects.filter(mailing=mailing).delete()
        mailing.links.all().delete()  # its text may change again
        Mailing.objects.filter(id=mailing.id).update(
            rule=None,
            **dict.fromkeys(["launched_at", "launched_by", "asked_at", "asked_by", "leaves_at"]),
        )
    mailing.refresh_from_db()


def pause(mailing: Mailing, by: User) -> None:
    """Submit nothing more until resume(); what has left stays sent. Raises WrongState."""
    _change(mailing, Mailing.PAUSABLE, State.PAUSED, by, "paused")
    last_look.hold_mailing(mailing.id)


def resume(mailing: Mailing, by: User) -> None:
    """Continue a paused mailing where it stopped, for whatever reason it was paused: also after a missed
    time or errors of the first wave. Raises WrongState.
    """
    with transaction.atomic():
        stopped = Mailing.objects.select_for_update(no_key=True).get(id=mailing.id)
        _change(mailing, {State.PAUSED}, _where_it_was(stopped), by, "resumed")
        start.go_on(stopped)
        nudge("start")
        nudge("prepare")
        nudge("hand_over")
    mailing.refresh_from_db()


def stop_watching(mailing: Mailing, by: User) -> None:
    """Stop following the rule: take in nobody new. The messages that exist are sent to the end. A paused
    mailing stays paused. Raises WrongState.
    """
    with transaction.atomic():
        locked = Mailing.objects.select_for_update(of=("self",), no_key=True).get(id=mailing.id)
        if not locked.watches:
            raise WrongState(_("It watches no more. Look at the page again."))
        on = State.PAUSED if locked.state == State.PAUSED else State.SENDING
        _change(mailing, {State.WATCHING, State.PAUSED}, on, by, "watching_stopped")
        complete(mailing)
        nudge("settle")


def cancel(mailing: Mailing, by: User) -> Split:
    """Stop for good everything that was not submitted yet, and return what is stopped and what is not.
    settle_due() updates the message rows within moments. Raises WrongState.
    """
    with transaction.atomic():
        _change(mailing, Mailing.STOPPABLE, State.CANCELLED, by, "cancelled")
        last_look.hold_mailing(mailing.id)
        complete(mailing)
        stopped_and_gone = split(mailing)
        nudge("settle")
    return stopped_and_gone


def complete(mailing: Mailing) -> None:
    """Fix the list of a mailing that ends early. Call it in the transaction that ends it. An
    on-entry mailing already has everybody whom it will ever have, so its list is complete. For another one,
    `ceiling` marks the people whom it would have reached; preparation then enters them as cancelled.
    """
    changed = []
    if mailing.when == Mailing.When.ON_ENTRY and mailing.prepared_at is None:
        mailing.prepared_at = timezone.now()
        changed.append("prepared_at")
    elif not mailing.ceiling and mailing.when == Mailing.When.AT_LAUNCH:
        mailing.ceiling = audience.newest()
        changed.append("ceiling")
    if changed:
        mailing.save(update_fields=changed)


def split(mailing: Mailing) -> Split:
    """Return what a cancellation now would stop. People who are not prepared yet are included; batches in
    flight are not.
    """
    counters = Counters.objects.get(mailing=mailing)
    leaving = last_look.leaving(mailing)
    to_come = 0 if mailing.prepared_at else audience.to_come(mailing)
    scheduled = send_times.count_scheduled_at_provider(mailing)
    return Split(
        stopped=max(counters.waiting - leaving, 0) + to_come,
        gone=counters.gone + leaving - scheduled,
        scheduled=scheduled,
        leaving=leaving,
    )


def delete_draft(mailing: Mailing, by: User) -> None:
    """Delete a draft. Raises WrongState for any other mailing."""
    with transaction.atomic():
        draft = Mailing.objects.select_for_update().filter(id=mailing.id, state=State.DRAFT).first()
        if draft is None:
            raise WrongState(_("Only a draft can be deleted."))
        draft.delete()
        audit(by, "deleted", f"mailing {mailing.id}", name=mailing.name)


def settle_due() -> bool:
    """Periodic job: advance the states of mailings as their messages allow, and cancel the waiting
    messages of cancelled ones. Returns True when there are more to cancel.
    """
    open_ = (
        Mailing.objects.campaigns()
        .filter(
            Q(state__in=[State.SENDING, State.PAUSED, State.SETTLING])
            | Q(state=State.CANCELLED, finished_at__isnull=True)
        )
        .exclude(id__in=set_aside_ids("settle"))
    )
    ids = list(open_.order_by("id").values_list("id", flat=True))
    if ids:
        in_halves(Work("settle"), ids, _settle)
    return _sweep_cancelled()


def to_advance() -> QuerySet[Mailing]:
    """Return the mailings whose state settle_due() would change now."""
    return Mailing.objects.campaigns().filter(_goes_on() | _has_left() | _is_final())


def _settle(ids: Sequence[int]) -> None:
    """Advance the states of these mailings. Each change is a statement of its own, which can be repeated
    without harm.
    """
    now = timezone.now()
    mailings = Mailing.objects.filter(id__in=ids)
    mailings.filter(_goes_on()).update(state=State.SENDING)
    mailings.filter(_has_left()).update(state=State.SETTLING, trouble="", trouble_raw="")
    mailings.filter(_is_final(), state=State.SETTLING).update(state=State.DONE, finished_at=now)
    mailings.filter(_is_final(), state=State.CANCELLED).update(finished_at=now)


def _goes_on() -> Q:
    """An unknown message may wait again, if the provider never had it."""
    return Q(state=State.SETTLING) & _counts(waiting__gt=0)


def _has_left() -> Q:
    """A paused mailing stays paused while one of its messages may have to wait again: only resume() may
    send that.
    """
    sent = Q(state=State.SENDING) & _counts(waiting=0)
    stopped = Q(state=State.PAUSED) & _counts(waiting=0, unknown=0)
    return Q(sent | stopped, prepared_at__isnull=False)


def _is_final() -> Q:
    cancelled = Q(state=State.CANCELLED, finished_at__isnull=True, prepared_at__isnull=False)
    return Q(Q(state=State.SETTLING) | cancelled) & _counts(waiting=0, accepted=0, unknown=0)


def _check_ready(mailing: Mailing) -> int:
    """Return how many people would get the mailing now. Raises CannotLaunch if it is not ready."""
    if routing.current() is None:
        raise CannotLaunch(_("No SMS service is connected. Ask the owner to connect one."))
    if not mailing.text.strip():
        raise CannotLaunch(_("The text is empty."))
    try:
        personalization.parsed(mailing.text, mailing.wrapping)
    except template.BadText as error:
        raise CannotLaunch(str(error)) from error
    counted = funnel.count(mailing)
    if counted.trouble:
        raise CannotLaunch(counted.trouble)
    # An on-entry mailing may begin with nobody.
    if counted.will_receive == 0 and mailing.when != Mailing.When.ON_ENTRY:
        raise CannotLaunch(_("Nobody would get it. Choose other people."))
    return counted.will_receive


def _where_it_was(stopped: Mailing) -> Mailing.State:
    """Return the state in which a paused mailing continues."""
    if stopped.prepared_at:
        return State.SENDING
    if stopped.watching_since:
        return State.WATCHING
    # start.py starts a scheduled mailing as soon as it is due.
    return State.PREPARING if stopped.ceiling else State.SCHEDULED


def _change(
    mailing: Mailing,
    sources: "frozenset[Mailing.State] | set[Mailing.State]",
    to: Mailing.State,
    by: User,
    what: str,
) -> None:
    with transaction.atomic():
        changed = Mailing.objects.filter(id=mailing.id, state__in=sources).update(
            state=to, trouble="", trouble_raw=""
        )
        mailing.refresh_from_db()
        if not changed:
            raise WrongState(
                _("The mailing is “%(state)s” meanwhile. Look at the page again.")
                % {"state": mailing.get_state_display()}
            )
        audit(by, what, f"mailing {mailing.id}")


def _counts(**conditions: int) -> Q:
    """Return the condition that the counters of a mailing match. The statement that changes the state
    evaluates it.
    """
    return Q(Exists(Counters.objects.filter(mailing=OuterRef("pk"), **conditions)))


def _sweep_cancelled() -> bool:
    """Cancel waiting batches of cancelled mailings, SWEEP at a time. Returns True when there are more."""
    waiting = Batch.objects.waiting().filter(mailing__state=State.CANCELLED)
    waiting = waiting.exclude(id__in=set_aside_ids(SWEEPING.name))
    batches = dict(waiting.order_by("id").values_list("id", "mailing_id")[:SWEEP])
    if batches:
        in_halves(SWEEPING, list(batches), _sweep, lambda batch: f"mailing {batches[batch]}")
    return len(batches) == SWEEP


def _sweep(ids: Sequence[int]) -> None:
    with transaction.atomic(durable=True):
        batches = list(
            Batch.objects.waiting()
            .select_for_update(skip_locked=True, of=("self",), no_key=True)
            .filter(id__in=ids)
            .order_by("id")
        )
        swept = [batch.id for batch in batches]
        waiting = Message.objects.waiting().filter(batch_id__in=swept).values_list("id", flat=True)
        ledger.move([Move(each, Status.CANCELLED, Reason.CANCELLED) for each in waiting])
        Batch.objects.filter(id__in=swept).update(state=Batch.State.ANSWERED)
