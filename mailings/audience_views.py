"""The people behind each line of a funnel, before the launch. Afterwards the recipients are rows of
their own: views.recipients shows them.
"""

from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from integrations.reasons import Reason
from users.counting import over_everybody
from users.rights import Right, needs
from users.rules import BadRule
from users.signed_in import SignedIn

from . import audience, funnel, reports
from .models import Mailing, Message

State = Mailing.State
NOT_FORMED = frozenset({State.DRAFT, State.AWAITING, State.SCHEDULED})  # there are no messages yet


@needs(Right.SEE_MAILINGS)
@needs(Right.SEE_PEOPLE)
def audience_list(request: SignedIn, pk: int) -> HttpResponse:
    """?reason= those left out for it; without it, those who will get the mailing."""
    mailing = get_object_or_404(reports.mailings(), pk=pk)
    asked = request.GET.get("reason", "")
    reason = Reason(asked) if asked in set(Reason) else None
    unknown = bool(asked) and reason is None
    if mailing.state not in NOT_FORMED:
        return redirect(_afterwards(mailing, asked))
    context = {
        "mailing": mailing,
        "funnel": funnel.recent(mailing),
        "reason": reason,
        "unknown": unknown,
        "page": reports.Page([], None)
        if unknown
        else _page(mailing, reason, request.GET.get("before", "")),
        "at_start": "before" not in request.GET,
    }
    return render(request, "mailings/audience.html", context)


def _page(mailing: Mailing, reason: Reason | None, before: str) -> reports.Page:
    try:
        rows = audience.left_out(mailing, reason) if reason else audience.receivers(mailing)
    except BadRule:
        return reports.Page([], None)
    with over_everybody():
        return reports.page_of(rows.prefetch_related("groups"), before)


def _afterwards(mailing: Mailing, reason: str) -> str:
    asked = {"status": Message.Status.SKIPPED.value, "reason": reason} if reason else {}
    return f"{reverse('mailing-recipients', args=[mailing.pk])}?{urlencode(asked)}"
