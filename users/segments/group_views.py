"""Pages of groups: the list with the number of people, a new group, renaming, deleting."""

from django.contrib import messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from users.access.authenticated import AuthenticatedRequest
from users.models import Group, audit
from users.people.forms import GroupForm
from users.rights import Right, require_right

from .groups import delete, uses

# Ordered explicitly, because the aggregation drops the model's ordering.
GROUPS = Group.objects.annotate(size=Count("memberships")).order_by("name")


@require_right(Right.SEE_PEOPLE)
def groups(request: AuthenticatedRequest) -> HttpResponse:
    return render(request, "users/segments/groups.html", {"groups": GROUPS.all()})


@require_right(Right.EDIT_PEOPLE)
def group_new(request: AuthenticatedRequest) -> HttpResponse:
    form = GroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            made = form.save()
            audit(request.user, "group_added", f"group {made.id}")
        messages.success(request, _("The group is there. Put people into it on their pages."))
        return redirect("groups")
    return render(request, "users/segments/group.html", {"form": form})


@require_right(Right.EDIT_PEOPLE)
def group(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(GROUPS, pk=pk)
    name = shown.name
    form = GroupForm(request.POST or None, instance=shown)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            audit(request.user, "group_renamed", f"group {pk}", was=name, now=shown.name)
        messages.success(request, _("Saved."))
        return redirect("groups")
    return render(
        request, "users/segments/group.html", {"form": form, "group": shown, "name": name}
    )


@require_right(Right.EDIT_PEOPLE)
def group_delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation first. The people stay. Refused while something uses the group."""
    gone = get_object_or_404(GROUPS, pk=pk)
    back = reverse("group", args=[pk])
    if request.method != "POST":
        context = {"group": gone, "in_use": uses(gone), "back": back}
        return render(request, "users/segments/group_delete.html", context)
    if in_use := delete(gone, request.user):
        messages.error(request, _("It is used by: %(names)s.") % {"names": ", ".join(in_use)})
        return redirect(back)
    messages.success(request, _("The group %(name)s is deleted.") % {"name": gone.name})
    return redirect("groups")
