"""Pages of mailings on entry: what one would have done in the last days, whether this or that person
would get it, and the end of the watching.
"""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from users import finding
from users.rights import Right, needs
from users.rules import BadRule
from users.signed_in import SignedIn

from . import lifecycle, reports, verdict
from .audience import Choice
from .foresight import foresight as foreseen
from .models import Mailing

FOUND = 5  # people about whom one search is answered


@needs(Right.SEND_MAILINGS)
def stop_watching(request: SignedIn, pk: int) -> HttpResponse:
    """Asks first: it cannot be taken up again."""
    row = get_object_or_404(reports.mailings().exclude(state=Mailing.State.DRAFT), pk=pk)
    if request.method != "POST":
        context = {"mailing": row, "back": reverse("mailing", args=[pk])}
        return render(request, "mailings/ask_stop_watching.html", context)
    try:
        lifecycle.stop_watching(row, request.user)
    except lifecycle.WrongState as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("It watches no more: nobody new is taken in."))
    return redirect("mailing", pk=pk)


@needs(Right.SEE_MAILINGS)
def foresight(request: SignedIn, pk: int) -> HttpResponse:
    """What it would have done in the last days; alone, or as the piece of the draft's page."""
    row = get_object_or_404(reports.mailings().select_related("segment"), pk=pk)
    context = {"mailing": row, "foresight": foreseen(Choice.of(row))}
    return render(request, "mailings/foresight.html", context)


@needs(Right.SEE_MAILINGS)
@needs(Right.SEE_PEOPLE)
def would_get(request: SignedIn, pk: int) -> HttpResponse:
    """?q= a name, an e-mail or a phone."""
    row = get_object_or_404(reports.mailings().select_related("segment"), pk=pk)
    q = request.GET.get("q", "").replace("\0", "").strip()[:100]
    context = {"mailing": row, "q": q, "verdicts": [], "trouble": "", "more": False}
    if q:
        found = list(finding.find(finding.Wanted(q=q))[: FOUND + 1])
        context["more"] = len(found) > FOUND
        try:
            context["verdicts"] = [verdict.verdict(row, each) for each in found[:FOUND]]
        except BadRule as bad:
            context["trouble"] = bad.message
    return render(request, "mailings/would_get.html", context)
