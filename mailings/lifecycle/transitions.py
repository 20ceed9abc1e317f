"""The life of a mailing: launch, take back, pause, resume, stop watching, cancel, settle. Every change
of state is one conditional update that must hit its row: a second click hits none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
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
from smsmail.jobs.set_aside import Work, held, in_halves
from users.models import User, audit
from users.segments import rules

from . import approval, start

State = Mailing.State
Status = Message.Status
SWEEPING = Work("sweep", "batch")  # a part of the job "settle"
SWEEP = 10  # batches cancelled in one transaction: about 5,000 messages, 100 ms


@dataclass(frozen=True, slots=True)
class Split:
    """What a cancellation stops, and what had already gone or was leaving."""

    stopped: int
    gone: int
    kept: int = 0  # neither: the service has them, and keeps them until their time
    # Of those gone: in hand at this moment. Those of them that have not left yet are stopped too.
    leaving: int = field(default=0, compare=False)

    @property
    def left(self) -> int:
        return self.gone - self.leaving


def launch(
    mailing: Mailing,
    by: User,
    *,
    confirms: datetime | None = None,
    countdown: int | None = None,
    seen: str | None = None,
) -> None:
    """From draft to scheduled, once; start.py goes on from there. A big one first waits for a
    second person, who says which asked launch they confirm. countdown: seconds until its list is
    formed; None: as the policy says. seen: drafts.seen_of() what they have looked over. Raises
    CannotLaunch.
    """
    with transaction.atomic():
        open_ = Mailing.objects.filter(approval.open_to(by, confirms), id=mailing.id)
        launched = open_.update(
            state=State.SCHEDULED, launched_at=timezone.now(), launched_by=by, cursor=0, ceiling=0
        )
        if not launched:
            raise CannotLaunch(approval.why_closed(mailing, by))
        # As it is written now, which nobody can change any more; not as the caller read it.
        written = Mailing.objects.select_related("segment").get(id=mailing.id)
        # Until this is written down, none of its groups is deleted.
        list(written.groups.select_for_update(no_key=True, of=("self",)))
        if seen not in {None, drafts.seen_of(written)}:
            raise CannotLaunch(_("It was changed after you had looked it over. Look once more."))
        people = _check_ready(written)
        if written.starts_at and written.starts_at <= timezone.now():
            raise CannotLaunch(_("The time set has passed. Choose another one."))
        if approval.must_confirm(people, confirms):
            approval.ask(mailing, by)
            return
        if written.segment is not None and written.rule is None:  # else as it was asked for
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
    """To a draft again, while its list is not formed: as if it had not been launched."""
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
    """Nothing more is handed over until resume(). What has gone has gone."""
    _change(mailing, Mailing.PAUSABLE, State.PAUSED, by, "paused")
    last_look.hold_mailing(mailing.id)


def resume(mailing: Mailing, by: User) -> None:
    """On from where it stopped, whatever it stopped for: a time missed, errors of the first wave."""
    with transaction.atomic():
        stopped = Mailing.objects.select_for_update(no_key=True).get(id=mailing.id)
        _change(mailing, {State.PAUSED}, _where_it_was(stopped), by, "resumed")
        start.go_on(stopped)
        nudge("start")
        nudge("prepare")
        nudge("hand_over")
    mailing.refresh_from_db()


def stop_watching(mailing: Mailing, by: User) -> None:
    """Nobody new is taken; what is in it goes on to its end. A paused one stays paused."""
    with transaction.atomic():
        held = Mailing.objects.select_for_update(of=("self",), no_key=True).get(id=mailing.id)
        if not held.watches:
            raise WrongState(_("It watches no more. Look at the page again."))
        on = State.PAUSED if held.state == State.PAUSED else State.SENDING
        _change(mailing, {State.WATCHING, State.PAUSED}, on, by, "watching_stopped")
        complete(mailing)
        nudge("settle")


def cancel(mailing: Mailing, by: User) -> Split:
    """Stop for good everything not yet handed over. The rows follow within moments (settle_due)."""
    with transaction.atomic():
        _change(mailing, Mailing.STOPPABLE, State.CANCELLED, by, "cancelled")
        last_look.hold_mailing(mailing.id)
        complete(mailing)
        stopped_and_gone = split(mailing)
        nudge("settle")
    return stopped_and_gone


def complete(mailing: Mailing) -> None:
    """In the transaction of every way to an end. One that watched has everybody whom it will ever have:
    there is no list to finish. Of another, whom it would have reached is written down.
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
    """What a cancellation now would stop: people not prepared yet too, batches in hand no more."""
    counters = Counters.objects.get(mailing=mailing)
    leaving = last_look.leaving(mailing)
    to_come = 0 if mailing.prepared_at else audience.to_come(mailing)
    kept = send_times.kept(mailing)
    return Split(
        stopped=max(counters.waiting - leaving, 0) + to_come,
        gone=counters.gone + leaving - kept,
        kept=kept,
        leaving=leaving,
    )


def delete_draft(mailing: Mailing, by: User) -> None:
    with transaction.atomic():
        draft = Mailing.objects.select_for_update().filter(id=mailing.id, state=State.DRAFT).first()
        if draft is None:
            raise WrongState(_("Only a draft can be deleted."))
        draft.delete()
        audit(by, "deleted", f"mailing {mailing.id}", name=mailing.name)


def settle_due() -> bool:
    """Clock job: move mailings on when their messages allow it; sweep cancelled ones."""
    open_ = Mailing.objects.filter(
        Q(state__in=[State.SENDING, State.PAUSED, State.SETTLING])
        | Q(state=State.CANCELLED, finished_at__isnull=True),
        kind=Mailing.Kind.MAILING,
    ).exclude(id__in=held("settle"))
    ids = list(open_.order_by("id").values_list("id", flat=True))
    if ids:
        in_halves(Work("settle"), ids, _settle)
    # An open mailing whose receipts are all in but one late "no receipt": nothing to do here.
    return _sweep_cancelled()


def _settle(ids: Sequence[int]) -> None:
    """Each change a statement of its own, which may be repeated."""
    now = timezone.now()
    mailings = Mailing.objects.filter(id__in=ids)
    # An unknown message that the provider never had waits again.
    mailings.filter(_counts(waiting__gt=0), state=State.SETTLING).update(state=State.SENDING)
    # A paused one stays paused while something may have to wait again: that is for resume() to send.
    mailings.filter(
        (Q(state=State.SENDING) & _counts(waiting=0))
        | (Q(state=State.PAUSED) & _counts(waiting=0, unknown=0)),
        prepared_at__isnull=False,
    ).update(state=State.SETTLING, trouble="", trouble_raw="")
    final = _counts(waiting=0, accepted=0, unknown=0)
    mailings.filter(final, state=State.SETTLING).update(state=State.DONE, finished_at=now)
    mailings.filter(
        final, state=State.CANCELLED, finished_at__isnull=True, prepared_at__isnull=False
    ).update(finished_at=now)


def _check_ready(mailing: Mailing) -> int:
    """How many would get it now."""
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
    # One that watches may well begin with nobody.
    if counted.will_receive == 0 and mailing.when != Mailing.When.ON_ENTRY:
        raise CannotLaunch(_("Nobody would get it. Choose other people."))
    return counted.will_receive


def _where_it_was(stopped: Mailing) -> Mailing.State:
    """What a paused mailing goes on with."""
    if stopped.prepared_at:
        return State.SENDING
    if stopped.watching_since:
        return State.WATCHING
    # Due or not, start.py begins with it.
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
    """Mailings whose counters are so; asked in the same statement that changes the state."""
    return Q(Exists(Counters.objects.filter(mailing=OuterRef("pk"), **conditions)))


def _sweep_cancelled() -> bool:
    """The waiting batches of cancelled mailings, some at a time; True when there are more."""
    waiting = Batch.objects.filter(
        state=Batch.State.WAITING, mailing__state=State.CANCELLED
    ).exclude(id__in=held(SWEEPING.name))
    batches = dict(waiting.order_by("id").values_list("id", "mailing_id")[:SWEEP])
    if batches:
        in_halves(SWEEPING, list(batches), _sweep, lambda batch: f"mailing {batches[batch]}")
    return len(batches) == SWEEP


def _sweep(ids: Sequence[int]) -> None:
    with transaction.atomic(durable=True):
        batches = list(
            Batch.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .filter(id__in=ids, state=Batch.State.WAITING)
            .order_by("id")
        )
        waiting = Message.objects.filter(
            batch_id__in=[batch.id for batch in batches], status=Status.WAITING
        ).values_list("id", flat=True)
        ledger.move([Move(each, Status.CANCELLED, Reason.CANCELLED) for each in waiting])
        Batch.objects.filter(id__in=[batch.id for batch in batches]).update(
            state=Batch.State.ANSWERED
        )
