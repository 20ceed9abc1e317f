"""Pages about who gets a mailing: the people behind each line of a funnel before the launch, what
an on-entry mailing would have done in the last days, and whether a given person would get it.
"""

from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from integrations.reasons import Reason
from mailings.models import Mailing, Message
from smsmail.web import paging, query
from users.access.authenticated import AuthenticatedRequest
from users.people import search
from users.rights import Right, require_right
from users.segments.big_queries import over_everybody
from users.segments.rules import BadRule

from . import audience, eligibility, funnel
from .backtest import estimate as foreseen
from .spec import AudienceSpec

State = Mailing.State
FOUND = 5  # people for whom one search answers
NOT_FORMED = frozenset({State.DRAFT, State.AWAITING, State.SCHEDULED})  # there are no messages yet


@require_right(Right.SEE_MAILINGS)
@require_right(Right.SEE_PEOPLE)
def audience_list(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """List the people excluded for ?reason=, or without it those who will get the mailing."""
    mailing = get_object_or_404(Mailing.objects.listed(), pk=pk)
    asked = request.GET.get("reason", "")
    reason = Reason(asked) if asked in set(Reason) else None
    unknown = bool(asked) and reason is None
    if mailing.state not in NOT_FORMED:
        return redirect(_afterwards(mailing, asked))
    spec = AudienceSpec.of(mailing)
    context = {
        "mailing": mailing,
        "funnel": funnel.recent(spec),
        "reason": reason,
        "unknown": unknown,
        "page": paging.Page([], None)
        if unknown
        else _page(spec, reason, request.GET.get("before", "")),
        "at_start": "before" not in request.GET,
    }
    return render(request, "mailings/audience/audience.html", context)


def _page(spec: AudienceSpec, reason: Reason | None, before: str) -> paging.Page:
    try:
        rows = audience.excluded(spec, reason) if reason else audience.receivers(spec)
    except BadRule:
        return paging.Page([], None)
    with over_everybody():
        return paging.page_of(rows.prefetch_related("groups"), before)


def _afterwards(mailing: Mailing, reason: str) -> str:
    asked = {"status": Message.Status.SKIPPED.value, "reason": reason} if reason else {}
    return f"{reverse('mailing-recipients', args=[mailing.pk])}?{urlencode(asked)}"


@require_right(Right.SEE_MAILINGS)
def foresight(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Show what it would have done in the last days, as a page or as a part of the draft's page."""
    row = get_object_or_404(Mailing.objects.listed().select_related("segment"), pk=pk)
    context = {"mailing": row, "foresight": foreseen(AudienceSpec.of(row))}
    return render(request, "mailings/audience/foresight.html", context)


@require_right(Right.SEE_MAILINGS)
@require_right(Right.SEE_PEOPLE)
def would_get(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Look for the person ?q= (a name, an e-mail or a phone) and show whether they would get it."""
    row = get_object_or_404(Mailing.objects.listed().select_related("segment"), pk=pk)
    q = query.search_text(request.GET.get("q", ""))
    context = {"mailing": row, "q": q, "eligibilities": [], "trouble": "", "more": False}
    if q:
        found = list(search.find(search.PeopleQuery(q=q))[: FOUND + 1])
        context["more"] = len(found) > FOUND
        try:
            context["eligibilities"] = [
                eligibility.eligibility(row, each) for each in found[:FOUND]
            ]
        except BadRule as bad:
            context["trouble"] = bad.message
    return render(request, "mailings/audience/would_get.html", context)
