"""The pages of notifications: the list, one with its figures, its text, the switch, and a trial
message. Recipients, reasons and single messages are shown by the pages of mailings
(reports/views.py).
"""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from mailings.composing.preview import Look, service
from mailings.composing.replacements import fixed
from mailings.errors import WrongState
from mailings.models import Mailing
from mailings.reports import click_reports
from mailings.reports.history import history
from mailings.reports.progress import progress
from smsmail.web.refusals import shows_refusals
from users.access.authenticated import AuthenticatedRequest
from users.rights import Right, require_right

from . import actions, editing, registry, send
from . import preview as event_preview
from .forms import NotificationForm, NotificationTryForm
from .preview import EventPreview


@require_right(Right.SEE_MAILINGS)
def notification_list(request: AuthenticatedRequest) -> HttpResponse:
    context = {"rows": registry.every().order_by("id"), **service()}
    return render(request, "mailings/notifications/notifications.html", context)


@require_right(Right.SEE_MAILINGS)
def notification(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    row = _found(pk)
    moving = progress(row)
    connected = moving["account"] is not None
    context = {
        "mailing": row,
        "actions": actions.of_notification(row, request.user, connected=connected),
        "delete": actions.delete_notification(row, request.user),
        "built_in": row.event in registry.BUILT_IN,
        "code": row.event == registry.PHONE_CODE,
        "preview": event_preview.preview_of(row, request.user),
        "history": history(row),
        "clicks": click_reports.of(row),
        **moving,
    }
    return render(request, "mailings/notifications/notification.html", context)


@require_right(Right.EDIT_MAILINGS)
def notification_new(request: AuthenticatedRequest) -> HttpResponse:
    return _edit(request, Mailing(kind=Mailing.Kind.NOTIFICATION))


@require_right(Right.EDIT_MAILINGS)
def notification_edit(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Edit a notification. While it is on, a change is sent at once, so it also requires the right
    to send.
    """
    row = _found(pk)
    if registry.is_on(row) and not request.user.may(Right.SEND_MAILINGS):
        raise PermissionDenied
    return _edit(request, row)


@require_right(Right.EDIT_MAILINGS)
@require_POST
def notification_meter(request: AuthenticatedRequest, pk: int | None = None) -> HttpResponse:
    """Show the preview of the form as it is."""
    row = _found(pk) if pk else Mailing(kind=Mailing.Kind.NOTIFICATION)
    form = _form(request, row)
    context = {"notification": row, **_metered(request, form)}
    return render(request, "mailings/notifications/_notification_meter.html", context)


@require_right(Right.SEND_MAILINGS)
@require_POST
def notification_switch(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Switch the notification on (POST on=yes) or off (anything else)."""
    row, on = _found(pk), request.POST.get("on") == "yes"
    editing.switch(row, request.user, on=on)
    words = (
        _("“%(name)s” is on: from now on each event sends an SMS.")
        if on
        else _("“%(name)s” is off. What was waiting is stopped; what has gone has gone.")
    )
    messages.success(request, words % {"name": row.name})
    back = "notifications" if request.POST.get("from") == "list" else "notification"
    return redirect(back) if back == "notifications" else redirect(back, pk=pk)


@require_right(Right.SEND_MAILINGS)
@shows_refusals(send.NotSent, on="notification")
def notification_try(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    row = _found(pk)
    samples = event_preview.samples(row, row.event_values)
    data = request.POST if request.method == "POST" else None
    form = NotificationTryForm(data, samples=samples, reader=request.user)
    if data is None or not form.is_valid():
        return _ask(request, row, "try", form=form)
    message = send.try_event(row, form.cleaned_data["email"], request.user, form.values)
    return redirect("message", pk=message.pk)


@require_right(Right.EDIT_MAILINGS)
@shows_refusals(WrongState, on="notification")
def notification_delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    row = _found(pk)
    if request.method != "POST":
        return _ask(request, row, "delete_notification")
    editing.delete(row, request.user)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": row.name})
    return redirect("notifications")


def _edit(request: AuthenticatedRequest, row: Mailing) -> HttpResponse:
    # the stored row, not the typed values
    stored = Mailing.objects.get(pk=row.pk) if row.pk else row
    version = request.POST.get("version", editing.version_of(stored))
    form = _form(request, row)
    if request.method == "POST" and "fix" not in request.POST and form.is_valid():
        try:
            saved = editing.save(form, request.user, version)
        except editing.NotificationChanged as words:
            form.add_error(None, str(words))
            version = editing.version_of(Mailing.objects.get(pk=row.pk))
        else:
            messages.success(request, _("Saved."))
            return redirect("notification", pk=saved.pk)
    context = {
        "form": form,
        "notification": stored,
        "on": registry.is_on(stored),
        "version": version,
        "variables": event_preview.variables_of(form.names),
        **_metered(request, form),
    }
    return render(request, "mailings/notifications/notification_form.html", context)


def _form(request: AuthenticatedRequest, row: Mailing) -> NotificationForm:
    data = request.POST.copy() if request.method == "POST" else None
    if data is not None and "fix" in data and "text" in data:
        data["text"] = fixed(str(data["text"]), str(data["fix"]))
    return NotificationForm(data, instance=row)


def _metered(request: AuthenticatedRequest, form: NotificationForm) -> dict[str, Any]:
    look = Look.asked(request.POST)
    row = form.instance
    preview = EventPreview(form.written, row, form.names, request.user, look, form.wrapping)
    return {"preview": preview, **service()}


def _found(pk: int) -> Mailing:
    return get_object_or_404(registry.every(), pk=pk)


def _ask(request: AuthenticatedRequest, row: Mailing, what: str, **context: Any) -> HttpResponse:
    back = reverse("notification", args=[row.pk])
    return render(
        request,
        f"mailings/notifications/ask_{what}.html",
        {"mailing": row, "back": back, **context},
    )
