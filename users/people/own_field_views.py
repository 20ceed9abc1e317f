"""Pages of the installation's own fields: the list with a form to add one, renaming, deleting."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from users.access.authenticated import AuthenticatedRequest
from users.models import OwnField, audit
from users.rights import Right, require_right

from .own_fields import OwnFieldForm, uses


@require_right(Right.EDIT_PEOPLE)
def own_fields(request: AuthenticatedRequest) -> HttpResponse:
    form = OwnFieldForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            made = form.save()
            audit(request.user, "field_added", f"field {made.slug}")
        messages.success(request, _("The field is there: fill it in on people's pages."))
        return redirect("own-fields")
    rows = [(each, uses(each)) for each in OwnField.objects.all()]
    context = {"form": form, "rows": rows}
    return render(request, "users/people/own_fields.html", context)


@require_right(Right.EDIT_PEOPLE)
def own_field(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    field = get_object_or_404(OwnField, pk=pk)
    form = OwnFieldForm(request.POST or None, instance=OwnField.objects.get(pk=pk))
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            audit(request.user, "field_renamed", f"field {field.slug}")
        messages.success(request, _("Saved."))
        return redirect("own-fields")
    return render(request, "users/people/own_field.html", {"form": form, "field": field})


@require_right(Right.EDIT_PEOPLE)
def own_field_delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the field. People's values stay in the database, so that a field of
    the same name brings them back.
    """
    field = get_object_or_404(OwnField, pk=pk)
    back = reverse("own-fields")
    in_use = uses(field)
    if request.method != "POST":
        context = {"field": field, "in_use": in_use, "back": back}
        return render(request, "users/people/own_field_delete.html", context)
    if in_use:
        messages.error(request, _("It is used by: %(names)s.") % {"names": ", ".join(in_use)})
        return redirect(back)
    with transaction.atomic():
        field.delete()
        audit(request.user, "field_deleted", f"field {field.slug}")
    messages.success(request, _("The field “%(name)s” is deleted.") % {"name": field.label})
    return redirect(back)
