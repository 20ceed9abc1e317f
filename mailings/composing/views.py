"""Pages for writing a draft: the form, the requests it makes while the user types, and changes of
the text at one click.
"""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.routing import routing
from mailings.audience.personalization import variables
from mailings.models import Mailing, SavedText
from smsmail.web import query
from users.access.authenticated import AuthenticatedRequest
from users.models import Segment
from users.rights import Right, require_right
from users.segments.big_queries import AT_ONCE, WAITED_FOR

from . import drafts, replacements, saved_texts
from .forecast import schedule_of
from .forms import DraftForm
from .preview import Look, preview_of, service


@require_right(Right.EDIT_MAILINGS)
def compose(request: AuthenticatedRequest, pk: int | None = None) -> HttpResponse:
    """Edit a new draft, or one that is not launched yet. A POST with `fix` returns the form with
    the text changed and saves nothing.
    """
    draft = Mailing.objects.listed().filter(pk=pk).first() if pk else Mailing()
    if draft is None:
        return _deleted(request, pk)
    if draft.state != Mailing.State.DRAFT:
        return _too_late(request, pk)
    form = _form(request, draft)
    if request.method == "POST" and "fix" not in request.POST and form.is_valid():
        return _save(request, form)
    version = request.POST.get("version", drafts.version_of(draft))
    return _page(request, form, version=version)


def _save(request: AuthenticatedRequest, form: DraftForm) -> HttpResponse:
    try:
        saved = drafts.save(form, request.user, request.POST.get("version"))
    except drafts.Deleted:
        return _deleted(request)
    except drafts.NoDraft:
        return _too_late(request, form.instance.pk)
    except drafts.DraftChanged as words:
        form.add_error(None, str(words))
        return _page(request, form, version=drafts.version_of(form.instance), conflict=True)
    return redirect("mailing", pk=saved.draft.pk)


def _page(request: AuthenticatedRequest, form: DraftForm, **context: Any) -> HttpResponse:
    pk = form.instance.pk
    # the stored row, not the typed values
    stored = Mailing.objects.listed().get(pk=pk) if pk else form.instance
    page = {
        "form": form,
        "draft": stored,
        "variables": variables(),
        "saved_texts": SavedText.objects.all() if "text" in form.fields else [],
        **_metered(request, form, patience=AT_ONCE),
    }
    return render(request, "mailings/composing/compose.html", page | context)


def _deleted(request: AuthenticatedRequest, pk: int | None = None) -> HttpResponse:
    """Show what was written in the form of a new draft, so that nothing is lost with the deleted
    one.
    """
    other = pk is not None and Mailing.objects.filter(pk=pk).exists()  # a notification, say
    if other or request.method != "POST":
        raise Http404
    form = _form(request, Mailing())
    form.add_error(None, drafts.deleted_words())
    return _page(request, form, version="", deleted=True)


@require_right(Right.EDIT_MAILINGS)
@require_POST
def meter(request: AuthenticatedRequest) -> HttpResponse:
    """Show the preview of the form as it is, complete or not."""
    form = _form(request, Mailing(), fixing=False)  # htmx keeps sending the last button pressed
    return render(
        request, "mailings/composing/_meter.html", _metered(request, form, patience=WAITED_FOR)
    )


@require_right(Right.EDIT_MAILINGS)
@require_POST
def fix(request: AuthenticatedRequest) -> HttpResponse:
    """Return only the text, changed as `fix` says, for a browser that puts it into the field
    itself.
    """
    changed = replacements.fixed(request.POST.get("text", ""), request.POST.get("fix", ""))
    return HttpResponse(changed, content_type="text/plain; charset=utf-8")


@require_right(Right.EDIT_MAILINGS)
@require_POST
def autosave(request: AuthenticatedRequest, pk: int | None = None) -> JsonResponse:
    """Save as much as possible. Answers {"saved": true, "words", "version", "address", "autosave"},
    or {"saved": false, "words"}.
    """
    draft = Mailing.objects.listed().filter(pk=pk).first() if pk else Mailing()
    if draft is None:
        return JsonResponse({"saved": False, "words": drafts.deleted_words()})
    form = _form(request, draft, fixing=False)
    try:
        saved = drafts.save_what_fits(form, request.user, request.POST.get("version"))
    except (drafts.NoDraft, drafts.DraftChanged) as words:
        return JsonResponse({"saved": False, "words": str(words)})
    now = time_format(timezone.localtime(), "TIME_FORMAT")
    return JsonResponse(
        {
            "saved": True,
            "words": _("Saved as a draft at %(time)s.") % {"time": now},
            "version": drafts.version_of(saved.draft),
            "address": reverse("mailing-edit", args=[saved.draft.pk]),
            "autosave": reverse("mailing-autosave", args=[saved.draft.pk]),
        }
    )


def _form(request: AuthenticatedRequest, draft: Mailing, *, fixing: bool = True) -> DraftForm:
    data = request.POST.copy() if request.method == "POST" else None
    if fixing and data is not None and "fix" in data and "text" in data:
        data["text"] = replacements.fixed(str(data["text"]), str(data["fix"]))
    initial: dict[str, Any] = {}
    asked = query.number(request.GET.get("segment", ""))
    if not draft.pk and asked is not None:
        chosen = Segment.objects.filter(pk=asked).first()
        initial = {"recipients": "segment", "segment": chosen} if chosen else {}
    saved = saved_texts.asked_for(request.GET.get("saved", "")) if not draft.pk else None
    if saved is not None:
        initial["text"] = saved.text
    # If the service is disconnected while somebody writes, what they wrote is kept.
    with_text = routing.current() is not None or "text" in request.POST
    return DraftForm(data, instance=draft, initial=initial, with_text=with_text)


def _metered(request: AuthenticatedRequest, form: DraftForm, *, patience: float) -> dict[str, Any]:
    look = Look.asked(request.POST)
    preview = preview_of(
        form.written, form.spec, request.user, look, form.wrapping, patience=patience
    )
    return {"preview": preview, "schedule": schedule_of(form.instance, preview), **service()}


def _too_late(request: AuthenticatedRequest, pk: int | None) -> HttpResponse:
    messages.error(request, drafts.launched_words())
    return redirect("mailing", pk=pk)
