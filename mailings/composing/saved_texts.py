"""Saved texts to begin a mailing with: their pages, and inserting one in the composer."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailings.audience.personalization import parsed, variables
from mailings.models import Mailing, SavedText
from mailings.text import template
from smsmail.web import query
from users.access.authenticated import AuthenticatedRequest
from users.models import audit
from users.rights import Right, require_right

from .forms import place_of


class SavedTextForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = SavedText
        fields = ("name", "text")
        labels = {"name": gettext_lazy("Name"), "text": gettext_lazy("Text")}  # noqa: RUF012
        widgets = {  # noqa: RUF012
            "name": forms.TextInput(attrs={"autocomplete": "off"}),
            "text": forms.Textarea(attrs={"rows": 5}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.fields["name"].error_messages["unique"] = _("There is a text of this name.")

    def clean_text(self) -> str:
        """Refuse a text that cannot be rendered, and say where the error is, as the composer does."""
        written: str = self.cleaned_data["text"]
        try:
            parsed(written)
        except template.BadText as error:
            raise forms.ValidationError(place_of(written, error)) from error
        return written


@require_right(Right.EDIT_MAILINGS)
def saved_texts(request: AuthenticatedRequest) -> HttpResponse:
    rows = SavedText.objects.select_related("created_by")
    return render(request, "mailings/composing/saved_texts.html", {"rows": rows})


@require_right(Right.EDIT_MAILINGS)
def saved_text_new(request: AuthenticatedRequest) -> HttpResponse:
    """Create a saved text. ?mailing= fills in the text and the name of that mailing."""
    return _edit(request, SavedText(), _of_mailing(request.GET.get("mailing", "")))


@require_right(Right.EDIT_MAILINGS)
def saved_text(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    return _edit(request, get_object_or_404(SavedText, pk=pk), {})


@require_right(Right.EDIT_MAILINGS)
def saved_text_delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask first, then delete. Mailings that began with the text keep their own copy."""
    row = get_object_or_404(SavedText, pk=pk)
    back = reverse("saved-texts")
    if request.method != "POST":
        return render(
            request, "mailings/composing/saved_text_delete.html", {"row": row, "back": back}
        )
    with transaction.atomic():
        audit(request.user, "text_deleted", f"text {pk}", name=row.name)
        row.delete()
    messages.success(request, _("The text “%(name)s” is deleted.") % {"name": row.name})
    return redirect(back)


def asked_for(number: str) -> SavedText | None:
    """Return the saved text with this number; None for anything else."""
    pk = query.number(number)
    return None if pk is None else SavedText.objects.filter(pk=pk).first()


def added_to(written: str, number: str) -> str:
    """Append a saved text to the text being typed, so that nothing typed is lost."""
    saved = asked_for(number)
    if saved is None:
        return written
    return f"{written.rstrip()}\n{saved.text}" if written.strip() else saved.text


def _edit(request: AuthenticatedRequest, row: SavedText, initial: dict[str, str]) -> HttpResponse:
    form = SavedTextForm(request.POST or None, instance=row, initial=initial)
    if request.method == "POST" and form.is_valid() and _stored(request, form):
        messages.success(request, _("Saved."))
        return redirect("saved-texts")
    context = {
        "form": form,
        "row": SavedText.objects.filter(pk=row.pk).first(),  # the stored row, not the typed values
        "variables": variables(),
    }
    return render(request, "mailings/composing/saved_text.html", context)


def _stored(request: AuthenticatedRequest, form: SavedTextForm) -> bool:
    """Return False if somebody else took the name between the check and the save."""
    new = form.instance.pk is None
    if new:
        form.instance.created_by = request.user
    try:
        with transaction.atomic():
            form.save()
            what = "text_saved" if new else "text_changed"
            audit(request.user, what, f"text {form.instance.pk}")
    except IntegrityError:
        form.add_error("name", _("There is a text of this name."))
        return False
    return True


def _of_mailing(number: str) -> dict[str, str]:
    pk = query.number(number)
    row = None if pk is None else Mailing.objects.listed().filter(pk=pk).first()
    return {"name": row.name, "text": row.text} if row else {}
