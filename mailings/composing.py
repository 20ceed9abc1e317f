"""Writing a draft: the form, and the meter that answers while one types."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations import router
from users.models import Segment, audit
from users.rights import Right, needs
from users.signed_in import SignedIn

from . import reports
from .forms import DraftForm
from .models import Mailing
from .preview import preview_of, service
from .text import VARIABLES


@needs(Right.EDIT_MAILINGS)
def compose(request: SignedIn, pk: int | None = None) -> HttpResponse:
    """A new draft, or one that is not launched yet."""
    draft = get_object_or_404(reports.mailings(), pk=pk) if pk else Mailing()
    if draft.state != Mailing.State.DRAFT:
        return _too_late(request, draft)
    form = _form(request, draft)
    if request.method == "POST" and form.is_valid():
        if not _save(form, request):
            return _too_late(request, draft)
        return redirect("mailing", pk=draft.pk)
    context = {
        "form": form,
        "draft": draft,
        "variables": VARIABLES,
        "preview": preview_of(form.written, form.choice, request.user),
        **service(),
    }
    return render(request, "mailings/compose.html", context)


@needs(Right.EDIT_MAILINGS)
@require_POST
def meter(request: SignedIn) -> HttpResponse:
    """What the form would come to as it stands, complete or not."""
    form = _form(request, Mailing())
    context = {"preview": preview_of(form.written, form.choice, request.user), **service()}
    return render(request, "mailings/meter.html", context)


def _form(request: SignedIn, draft: Mailing) -> DraftForm:
    data = request.POST if request.method == "POST" else None
    initial: dict[str, Any] = {}
    asked = request.GET.get("segment", "")
    if not draft.pk and asked.isascii() and asked.isdecimal() and len(asked) < 19:
        chosen = Segment.objects.filter(pk=int(asked)).first()
        initial = {"recipients": "segment", "segment": chosen} if chosen else {}
    with_text = router.current() is not None
    return DraftForm(data, instance=draft, initial=initial, with_text=with_text)


def _save(form: DraftForm, request: SignedIn) -> bool:
    """False when it was launched, or deleted, while the form was open."""
    draft, new = form.instance, form.instance.pk is None
    with transaction.atomic():
        drafts = Mailing.objects.select_for_update().filter(state=Mailing.State.DRAFT)
        if not new and not drafts.filter(pk=draft.pk).exists():
            return False
        if new:
            draft.created_by = request.user
        form.save()
        audit(request.user, "written" if new else "changed", f"mailing {draft.pk}")
    return True


def _too_late(request: SignedIn, draft: Mailing) -> HttpResponse:
    messages.error(request, _("It has been launched: its text and people can no longer change."))
    return redirect("mailing", pk=draft.pk)
