"""Pages that stop a mailing: turn it into a draft again, ask a provider to give back what it keeps until
a set time, and stop following the rule. transitions.py and recall.py do the work.
"""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from mailings import errors
from mailings.models import Mailing
from smsmail.web.refusals import shows_refusals
from users.access.authenticated import AuthenticatedRequest
from users.rights import Right, require_right

from . import recall, transitions
from .questions import ask


@require_right(Right.SEND_MAILINGS)
@require_POST
@shows_refusals(errors.WrongState, on="mailing")
def take_back(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Turn a scheduled mailing into a draft again."""
    row = get_object_or_404(Mailing.objects.listed(), pk=pk)
    transitions.take_back(row, request.user)
    messages.success(request, _("Taken back: nothing had gone. It is a draft again."))
    return redirect("mailing", pk=pk)


@require_right(Right.SEND_MAILINGS)
@shows_refusals(errors.WrongState, on="mailing")
def recall_page(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then recall what providers keep of the mailing."""
    row = get_object_or_404(Mailing.objects.listed().launched(), pk=pk)
    if request.method != "POST":
        if not recall.can_recall(row):
            messages.error(request, recall.why_not(row))
            return redirect("mailing", pk=pk)
        split, askable = transitions.split(row), recall.askable(row)
        unreachable = max(split.scheduled - askable, 0)
        context = {"split": split, "askable": askable, "unreachable": unreachable}
        return ask(request, row, "recall", **context)
    asked = recall.recall(row, request.user)
    words = ngettext(
        "The service is asked to give back %(n)s message.",
        "The service is asked to give back %(n)s messages.",
        asked,
    )
    messages.success(request, words % {"n": localize(asked)})
    return redirect("mailing", pk=pk)


@require_right(Right.SEND_MAILINGS)
@shows_refusals(errors.WrongState, on="mailing")
def stop_watching(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then let an on-entry mailing stop following its rule. This cannot be undone."""
    row = get_object_or_404(Mailing.objects.listed().exclude(state=Mailing.State.DRAFT), pk=pk)
    if request.method != "POST":
        return ask(request, row, "stop_watching")
    transitions.stop_watching(row, request.user)
    messages.success(request, _("It watches no more: nobody new is taken in."))
    return redirect("mailing", pk=pk)
