"""Pages that only show: the dashboard, mailings, their recipients and reasons, and one message.
composing/views.py writes drafts, and lifecycle/views.py launches and stops mailings.
"""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django_htmx.http import HttpResponseStopPolling

from integrations.reasons import Reason
from integrations.routing import routing
from mailings.audience.repeats import sent_lately
from mailings.composing.forecast import schedule_of
from mailings.composing.preview import preview_of, service
from mailings.lifecycle import approval
from mailings.models import Mailing, Message
from mailings.sending import send_times
from smsmail.web import paging, query
from users.access.authenticated import AuthenticatedRequest
from users.rights import Right, require_right
from users.segments.big_queries import patience

from . import actions, click_reports, figures
from .history import history
from .progress import progress, why

State = Mailing.State
# Filters of the list: the value of ?state= and the states that it selects.
STATUS_FILTERS = {
    "draft": frozenset({State.DRAFT}),
    "awaiting": frozenset({State.AWAITING}),
    "running": Mailing.STOPPABLE | {State.SETTLING},
    "over": frozenset({State.DONE, State.CANCELLED}),
}


def dashboard(request: AuthenticatedRequest) -> HttpResponse:
    """Show what happens now and what went wrong. People without the right are sent to their own page."""
    if not request.user.may(Right.SEE_MAILINGS):
        return redirect("me")
    rows = Mailing.objects.listed()
    above = STATUS_FILTERS["running"] | STATUS_FILTERS["awaiting"]
    context = {
        **service(),
        "awaiting": rows.filter(state__in=STATUS_FILTERS["awaiting"]).order_by("asked_at")[:10],
        "running": rows.filter(state__in=STATUS_FILTERS["running"]).order_by("-id")[:10],
        "recent": rows.exclude(state__in=above).order_by("-id")[:6],
        "month": figures.month(),
    }
    return render(request, "mailings/reports/dashboard.html", context)


@require_right(Right.SEE_MAILINGS)
def mailings(request: AuthenticatedRequest) -> HttpResponse:
    status_filter = request.GET.get("state", "")
    q = query.search_text(request.GET.get("q", ""))
    rows = Mailing.objects.listed().named(q)
    unknown = status_filter not in {"", *STATUS_FILTERS}
    if status_filter:
        rows = rows.filter(state__in=STATUS_FILTERS.get(status_filter, ()))
    context = {
        "page": paging.page_of(rows, request.GET.get("before", "")),
        "status_filter": status_filter,
        "unknown": unknown,
        "q": q,
        "at_start": "before" not in request.GET,
    }
    return render(request, "mailings/reports/mailings.html", context)


@require_right(Right.SEE_MAILINGS)
def mailing(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Show a mailing: before its launch the draft, also while it waits for a second person; after that
    its progress.
    """
    if Mailing.objects.notifications().filter(pk=pk).exists():
        return redirect("notification", pk=pk)  # the pages linked from its figures link back here
    row = get_object_or_404(Mailing.objects.listed().select_related("launched_by"), pk=pk)
    context = {"mailing": row, "history": history(row)}
    if row.state in Mailing.BEFORE_LAUNCH:
        preview = preview_of(row.text, row, request.user, patience=patience(request))
        may_confirm = approval.may_confirm(row, request.user)
        context |= service()
        connected = context["account"] is not None
        context |= {
            "preview": preview,
            "schedule": schedule_of(row, preview),
            "repeats": sent_lately(row),
            "may_confirm": may_confirm,
            "actions": actions.of_draft(
                row, request.user, connected=connected, may_confirm=may_confirm
            ),
            "delete": actions.delete_draft(row, request.user),
        }
        return render(request, "mailings/composing/draft.html", context)
    context |= {
        "actions": actions.of_launched(row, request.user),
        "clicks": click_reports.of(row),
    }
    return render(request, "mailings/reports/mailing.html", context | progress(row))


@require_right(Right.SEE_MAILINGS)
def live(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Render the live part of a mailing's page, which the page polls. If the state is no longer the one
    that the page was rendered for (?state=), the buttons differ, and the browser reloads the page.
    """
    rows = Mailing.objects.without_tests().select_related("counters")
    row = get_object_or_404(rows, pk=pk)
    if row.state in Mailing.BEFORE_LAUNCH:  # somebody has taken it back
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"mailing": row, **progress(row)}
    response = render(request, "mailings/reports/_live.html", context)
    if context["over"]:
        response = HttpResponseStopPolling(response.content)
    if request.GET.get("state", row.state) != row.state:
        response["HX-Refresh"] = "true"
    return response


@require_right(Right.SEE_MAILINGS)
def recipients(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """List the messages of a mailing that the query string selects."""
    row = get_object_or_404(Mailing.objects.with_statistics(), pk=pk)
    chosen = figures.Selection.read(request.GET.dict())
    context = {
        "mailing": row,
        "figures": figures.figures(
            row.counters, scheduled=send_times.scheduled_at_provider(row).messages
        ),
        "chosen": chosen,
        "reason": Reason(chosen.reason).about if chosen.reason else None,
        "page": paging.page_of(chosen.of(row), request.GET.get("before", "")),
        "at_start": "before" not in request.GET,
        "links": row.links.order_by("position"),
    }
    if chosen.part is not None and chosen.part.slug in {"error", "skipped"}:
        context["reasons"] = figures.reasons(row, chosen.part)
    return render(request, "mailings/reports/recipients.html", context)


@require_right(Right.SEE_MAILINGS)
def reasons(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Show why messages did not arrive or were skipped, and what to do about it."""
    row = get_object_or_404(Mailing.objects.with_statistics(), pk=pk)
    context = {"mailing": row, **why(row)}
    return render(request, "mailings/reports/reasons.html", context)


@require_right(Right.SEE_MAILINGS)
def message(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Show one message."""
    rows = Message.objects.select_related("mailing", "user", "batch__account")
    row = get_object_or_404(rows, pk=pk)
    account = row.batch.account if row.batch else None
    context = {
        "message": row,
        "account": account,
        "service": routing.provider_class(account.provider).title if account else "",
        "is_test": row.mailing.kind == Mailing.Kind.TEST,
    }
    return render(request, "mailings/reports/message.html", context)
