"""Pages of people: the list, one person, and their role, rights and SMS. staff.py decides who may
change whom. Groups are in segments/group_views.py; sign-in and one's own page are in own_views.py.
"""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from users.access import staff
from users.access.authenticated import AuthenticatedRequest
from users.access.forms import RightsForm, RoleForm
from users.access.password_links import NewPasswordLink
from users.access.staff import Act
from users.consent import consent, phone_owners
from users.consent.forms import OptInForm
from users.consent.replies import replies_of
from users.models import Group, OptOut, User, audit
from users.rights import Right, Role, require_right

from . import own_fields, person_created, search
from .forms import PersonForm

HISTORY = 20  # lines of the consent book shown on a person's page


@require_right(Right.SEE_PEOPLE)
def people(request: AuthenticatedRequest) -> HttpResponse:
    wanted = search.PeopleQuery.from_address(request.GET)
    rows, older = search.page(wanted)
    total, more = search.total(wanted)
    context = {
        "wanted": wanted,
        "rows": rows,
        "older": older,
        "total": total,
        "more": more,
        "filters": search.filters(wanted),
        "groups": Group.objects.all(),
    }
    return render(request, "users/people/people.html", context)


@require_right(Right.SEE_PEOPLE)
def person(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(
        User.objects.select_related("sms_forbidden_by").prefetch_related("groups"), pk=pk
    )
    by = request.user
    opted_out = OptOut.objects.filter(phone=shown.phone).first() if shown.phone else None
    refused = shown.sms_forbidden or opted_out is not None
    roles, rights = staff.roles_for(by, shown), staff.rights_for(by, shown)
    context = {
        "person": shown,
        "opted_out": opted_out,
        "in_the_air": consent.in_the_air(shown) if refused else 0,
        "own_fields": own_fields.of_person(shown),
        "replies": replies_of(shown),
        "consent_events": shown.consent_events.select_related("by").order_by("-id")[:HISTORY],
        "sign_ins": shown.link_sign_ins.order_by("-id")[:HISTORY],
        "rights": [right.label for right in Right if shown.may(right)],
        "role_form": RoleForm(roles=roles, initial={"role": shown.role}) if roles else None,
        "rights_form": RightsForm(rights=rights, initial={"rights": shown.rights})
        if rights
        else None,
        "may_edit": staff.may_edit(by, shown),
        "may_forbid": staff.may(by, Act.FORBID, shown),
        "may_see_to_access": staff.may_see_to_access(by, shown),
        "others": phone_owners.others_of(shown),
        "opt_in_form": OptInForm(),
    }
    return render(request, "users/people/person.html", context)


@require_right(Right.EDIT_PEOPLE)
def person_new(request: AuthenticatedRequest) -> HttpResponse:
    """Enter a new person, as a student; whoever may change the role does so on the person's page."""
    form = PersonForm(request.POST or None, initial={"language": "", "time_zone": ""})
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.instance.set_unusable_password()
            made = form.save()
            audit(request.user, "person_added", f"user {made.id}")
            person_created.arrived(made)
        messages.success(request, _("%(name)s is written down.") % {"name": made.name})
        return redirect("person", made.id)
    return render(request, "users/people/person_form.html", {"form": form})


@require_right(Right.EDIT_PEOPLE)
def person_edit(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    shown = _found(request, pk, Act.EDIT)
    form = PersonForm(request.POST or None, instance=shown)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            audit(request.user, "person_changed", f"user {pk}", changed=form.changed_data)
        messages.success(request, _("Saved."))
        return redirect("person", pk)
    # The form has changed its instance, but the title needs the stored name.
    return render(
        request, "users/people/person_form.html", {"form": form, "person": User.objects.get(pk=pk)}
    )


@require_right(Right.SEE_PEOPLE, Right.FORBID_SMS)
@require_POST
def person_forbid(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    shown = _found(request, pk, Act.FORBID)
    with transaction.atomic():
        consent.forbid(shown, request.user)
        audit(request.user, "sms_forbidden", f"user {pk}")
    messages.success(request, _("No SMS reaches %(name)s from now on.") % {"name": shown.name})
    return redirect("person", pk)


@require_right(Right.SEE_PEOPLE, Right.FORBID_SMS)
@require_POST
def person_allow(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    shown = _found(request, pk, Act.FORBID)
    with transaction.atomic():
        consent.allow(shown, request.user)
        audit(request.user, "sms_allowed", f"user {pk}")
    messages.success(request, _("%(name)s gets SMS again.") % {"name": shown.name})
    return redirect("person", pk)


@require_right(Right.SEE_PEOPLE, Right.FORBID_SMS)
@require_POST
def person_opt_in(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """The owner of the number has asked for SMS again; staff record how."""
    shown, form = _found(request, pk, Act.FORBID), OptInForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Write down how the owner of the number asked for SMS."))
    elif shown.phone:
        with transaction.atomic():
            consent.opt_in(shown.phone, OptOut.Source.STAFF, user=shown, by=request.user)
            audit(request.user, "opted_in", f"user {pk}", why=form.cleaned_data["why"])
        messages.success(request, _("SMS go to this number again."))
    return redirect("person", pk)


@require_right(Right.EDIT_PEOPLE)
@require_POST
def person_share_phone(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """The person and whoever has confirmed the number both have it, for example in a family."""
    shown = _found(request, pk, Act.EDIT)
    if phone_owners.share(shown, request.user):
        messages.success(request, _("Saved: SMS for %(name)s go there too.") % {"name": shown.name})
    return redirect("person", pk)


@require_right(Right.SEE_PEOPLE, Right.GRANT_RIGHTS)
@require_POST
@never_cache
def person_role(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(User, pk=pk)
    form = RoleForm(request.POST, roles=staff.roles_for(request.user, shown))
    if not form.is_valid():
        raise staff.NotAllowed(_("You may not give this role to this person."))
    link = staff.change_role(shown, Role(form.cleaned_data["role"]), request.user)
    return _after_change(request, shown, link)


@require_right(Right.SEE_PEOPLE, Right.GRANT_RIGHTS)
@require_POST
@never_cache
def person_rights(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """The tick list of a person's rights."""
    shown = get_object_or_404(User, pk=pk)
    form = RightsForm(request.POST, rights=staff.rights_for(request.user, shown))
    if not form.is_valid():
        raise staff.NotAllowed(_("You may not give these rights to this person."))
    link = staff.change_rights(shown, form.cleaned_data["rights"], request.user)
    return _after_change(request, shown, link)


def _after_change(
    request: AuthenticatedRequest, shown: User, link: NewPasswordLink | None
) -> HttpResponse:
    """If the person has gained power, show their link. It appears in this response only."""
    if link is None:
        messages.success(request, _("Saved."))
        return redirect("person", shown.pk)
    context = {"person": shown, "link": link, "risen": True}
    return render(request, "users/access/password_link.html", context)


@require_right(Right.EDIT_PEOPLE)
@require_POST
def person_access(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Set whether the person may sign in: active=yes or no."""
    shown = get_object_or_404(User, pk=pk)
    staff.change_access(shown, active=request.POST.get("active") == "yes", by=request.user)
    messages.success(request, _("Saved."))
    return redirect("person", pk)


@require_right(Right.EDIT_PEOPLE)
def person_revoke_links(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Revoke the sign-in links sent to this person so far."""
    shown = _found(request, pk, Act.REVOKE)
    if request.method != "POST":
        context = {"person": shown, "back": reverse("person", args=[pk])}
        return render(request, "users/access/person_revoke_links.html", context)
    with transaction.atomic():
        User.objects.filter(pk=pk).update(links_revoked_at=timezone.now())
        audit(request.user, "links_revoked", f"user {pk}")
    words = _("Links sent to %(name)s so far no longer sign in.")
    messages.success(request, words % {"name": shown.name})
    return redirect("person", pk)


@require_right(Right.EDIT_PEOPLE)
@require_POST
@never_cache
@sensitive_variables("password")
def person_password(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Show a new password in this response only, never in a URL, the session or a cookie."""
    shown = get_object_or_404(User, pk=pk)
    password = staff.give_password(shown, request.user)
    return render(
        request, "users/access/password_given.html", {"person": shown, "password": password}
    )


@require_right(Right.EDIT_PEOPLE)
@require_POST
@never_cache
def person_password_link(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(User, pk=pk)
    link = staff.give_link(shown, request.user)
    return render(request, "users/access/password_link.html", {"person": shown, "link": link})


def _found(request: AuthenticatedRequest, pk: int, act: Act) -> User:
    """Return the person. Raises Http404 if there is none, and NotAllowed (403) if the user may not
    do this.
    """
    shown = get_object_or_404(User, pk=pk)
    if not staff.may(request.user, act, shown):
        raise staff.NotAllowed(_("You may not do this to this person."))
    return shown
