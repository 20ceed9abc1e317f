"""Views for what a manager does to a mailing: launch, send back, pause, resume, cancel, delete, and
decide about messages of unknown fate. Each action is a POST. Actions that cannot be undone first
ask for confirmation, with figures, on a page that the dialog shows too. Tests are sent in
notifications/test_send.py.
"""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from mailings import errors
from mailings.audience.repeats import sent_lately
from mailings.composing import drafts
from mailings.composing.forecast import schedule_of
from mailings.composing.preview import preview_of, service
from mailings.models import Mailing
from mailings.sending import epoch, last_look
from mailings.text import link_check
from smsmail.jobs import watchdog
from smsmail.web.refusals import shows_refusals
from users.access.authenticated import AuthenticatedRequest
from users.rights import Right, require_right

from . import approval, transitions, unresolved
from .questions import ask


@require_right(Right.SEND_MAILINGS)
@shows_refusals(errors.CannotLaunch, on="mailing")
def launch(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Show the confirmation page; on POST launch the mailing, ask for its launch, or confirm it."""
    row = get_object_or_404(Mailing.objects.listed(), pk=pk)
    if request.method != "POST":
        return _ask_launch(request, row)
    confirms = approval.which(row, request.POST.get("confirms", ""))
    if link_check.faulty(row.text, row.wrapping) and request.POST.get("dead_links") != "anyway":
        messages.error(
            request, _("A link cannot work. Mend it, or say that it shall be sent all the same.")
        )
        return redirect("mailing", pk=pk)
    transitions.launch(row, request.user, confirms=confirms, seen=request.POST.get("seen"))
    if row.state == Mailing.State.AWAITING:
        words = _("Asked for. It goes as soon as somebody else has confirmed it.")
    elif epoch.is_held():
        words = _("Launched. It is held: the owner must decide about the restored copy first.")
    else:
        words = _("Launched. You can close this page: it goes on by itself.")
        if watchdog.state_for(request).nothing_is_sent:
            words = _(
                "Launched. But nothing is being sent now: it goes when the work is done again."
            )
    messages.success(request, words)
    return redirect("mailing", pk=pk)


def _ask_launch(request: AuthenticatedRequest, row: Mailing) -> HttpResponse:
    """Show the confirmation page with figures, and real messages to a person who confirms a launch."""
    confirms = row.state == Mailing.State.AWAITING
    if confirms and not approval.may_confirm(row, request.user):
        messages.error(request, approval.why_closed(row, request.user))
        return redirect("mailing", pk=row.pk)
    preview = preview_of(row.text, row, request.user)
    people = preview.people
    context = {
        "preview": preview,
        "seen": drafts.seen_of(row),
        "schedule": schedule_of(row, preview),
        "repeats": sent_lately(row),
        "samples": approval.samples(row) if confirms else [],
        "two_people": not confirms and approval.must_confirm(people, None),
        "others": [each for each in approval.launchers() if each != request.user],
        **service(),
    }
    return ask(request, row, "launch", **context)


@require_right(Right.SEND_MAILINGS)
@require_POST
@shows_refusals(approval.NotAwaiting, on="mailing")
def send_back(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Turn a launch that waits for a second person into a draft again."""
    row = get_object_or_404(Mailing.objects.listed(), pk=pk)
    approval.send_back(row, request.user)
    messages.success(request, _("It is a draft again, and can be changed."))
    return redirect("mailing", pk=pk)


@require_right(Right.SEND_MAILINGS)
@require_POST
@shows_refusals(errors.WrongState, on="mailing")
def pause(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Pause the mailing, and say how many messages were being submitted."""
    row = get_object_or_404(Mailing.objects.listed(), pk=pk)
    transitions.pause(row, request.user)
    if leaving := last_look.leaving(row):
        words = ngettext(
            "%(n)s message was being handed over: if it had not left yet, it waits too.",
            "%(n)s messages were being handed over: those that had not left yet wait too.",
            leaving,
        )
        messages.info(request, words % {"n": localize(leaving)})
    return redirect("mailing", pk=pk)


@require_right(Right.SEND_MAILINGS)
@require_POST
@shows_refusals(errors.WrongState, on="mailing")
def resume(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Mailing.objects.listed(), pk=pk)
    transitions.resume(row, request.user)
    return redirect("mailing", pk=pk)


@require_right(Right.SEND_MAILINGS)
@shows_refusals(errors.WrongState, on="mailing")
def cancel(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then cancel the mailing."""
    row = get_object_or_404(Mailing.objects.listed().launched(), pk=pk)
    if request.method != "POST":
        return ask(request, row, "cancel", split=transitions.split(row))
    messages.success(request, _said(transitions.cancel(row, request.user)))
    return redirect("mailing", pk=pk)


@require_right(Right.SEND_MAILINGS)
def close_unknown(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then stop waiting for messages of unknown fate."""
    row = get_object_or_404(Mailing.objects.with_statistics(), pk=pk)
    if request.method != "POST":
        return ask(request, row, "close_unknown", questions=unresolved.open_questions(row))
    done = unresolved.close_unknown(row, request.user)
    words = ngettext(
        "%(n)s message is let be.",
        "%(n)s messages are let be.",
        done,
    )
    messages.success(request, words % {"n": localize(done)})
    return redirect("mailing", pk=pk)


@require_right(Right.SEND_MAILINGS)
@shows_refusals(errors.WrongState, on="mailing")
def send_again(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then send messages of unknown fate again."""
    row = get_object_or_404(Mailing.objects.with_statistics(), pk=pk)
    if request.method != "POST":
        return ask(request, row, "send_again", questions=unresolved.open_questions(row))
    done = unresolved.send_again(row, request.user)
    words = ngettext(
        "%(n)s message goes again.",
        "%(n)s messages go again.",
        done,
    )
    messages.success(request, words % {"n": localize(done)})
    return redirect("mailing", pk=pk)


@require_right(Right.EDIT_MAILINGS)
@shows_refusals(errors.WrongState, on="mailing")
def delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the draft."""
    row = get_object_or_404(Mailing.objects.listed(), pk=pk)
    if request.method != "POST":
        return ask(request, row, "delete")
    transitions.delete_draft(row, request.user)
    messages.success(request, _("The draft “%(name)s” is deleted.") % {"name": row.name})
    return redirect("mailings")


def _said(split: transitions.Split) -> str:
    if (
        not split.gone and not split.scheduled
    ):  # while the list is being formed, the number of people to come is not known
        return _("Cancelled: nothing had gone yet.")
    words = ngettext(
        "Cancelled: %(stopped)s message stopped, %(gone)s had already gone.",
        "Cancelled: %(stopped)s messages stopped, %(gone)s had already gone.",
        split.stopped,
    )
    said = [words % {"stopped": localize(split.stopped), "gone": localize(split.left)}]
    if split.scheduled:
        words = _("The service keeps %(scheduled)s until the time set, and sends them then.")
        said.append(words % {"scheduled": localize(split.scheduled)})
    if split.leaving:
        said.append(_said_of_leaving(split.leaving))
    return " ".join(said)


def _said_of_leaving(count: int) -> str:
    """Describe the messages in flight. No request has begun since the cancellation; how many had begun
    is known only when their answers are recorded.
    """
    words = ngettext(
        "%(n)s message was being handed over: if it had not left yet, it is stopped too.",
        "%(n)s messages were being handed over: those that had not left yet are stopped too.",
        count,
    )
    return words % {"n": localize(count)}
