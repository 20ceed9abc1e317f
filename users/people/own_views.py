"""Sign-in and the pages that everybody has about themselves: /me/, its SMS switch, and the password
prompt of a session that began with a link. Setting a password is in password_views.py.
"""

from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from users.access import link_sessions, session_ages, sign_in_limits
from users.access.authenticated import AuthenticatedRequest
from users.access.forms import ProofForm, SignInForm
from users.consent import confirmation, consent
from users.models import OptOut, User

from .forms import ProfileForm


class SignIn(LoginView):
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        person = form.get_user()
        session_ages.begin(self.request, person)
        sign_in_limits.remember_device(self.request, answer, person)
        return answer

    def get_default_redirect_url(self) -> str:
        """Students have nothing to do on staff pages: they land on their own page."""
        user = self.request.user
        staff = user.is_authenticated and user.is_staff
        return reverse("dashboard" if staff else "me")


def me(request: AuthenticatedRequest) -> HttpResponse:
    # A copy, because a form writes the typed values into its instance, and the page header shows
    # request.user.
    copy = User.objects.get(pk=request.user.pk)
    form = ProfileForm(
        request.POST if request.method == "POST" else None,
        instance=copy,
        may_change_phone=not link_sessions.is_by_link(request),
    )
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("me")
    opted_out = _opt_out_of(request.user)
    context = {
        "form": form,
        "by_link": link_sessions.is_by_link(request),
        "opted_out": opted_out,
        "in_the_air": consent.in_the_air(copy) if opted_out else 0,
        "by_myself": _by_themselves(request.user),
        "may_confirm": not request.user.phone_confirmed_at and confirmation.can_send(),
        "may_switch_on": _may_switch_on(request.user),
    }
    return render(request, "users/people/me.html", context)


@require_POST
def me_sms(request: AuthenticatedRequest) -> HttpResponse:
    """The person's own switch: on=yes or no. It does not lift what staff have forbidden.

    Whoever has confirmed the number decides for the number. Everybody else decides for themselves
    only, because anybody can write any number into their profile.
    """
    person = request.user
    if not person.phone:
        messages.error(request, _("There is no phone here. Write it down to get SMS."))
    elif request.POST.get("on") != "yes":
        _switch_off(person)
        messages.success(request, _("SMS are switched off. You can switch them on again here."))
    elif _may_switch_on(person):
        _switch_on(person)
        messages.success(request, _("SMS are switched on."))
    else:
        messages.error(
            request,
            _("Somebody else may have switched this number off: ask the people who run this."),
        )
    return redirect("me")


@sensitive_post_parameters()
def prove(request: AuthenticatedRequest) -> HttpResponse:
    """Ask a user who signed in by a link for the password, before anything that holding a link is
    not enough for.
    """
    wanted = request.GET.get("next", "")
    local = url_has_allowed_host_and_scheme(wanted, None) and wanted.startswith("/")
    back = wanted if local else reverse("me")
    if not link_sessions.is_by_link(request):
        return redirect(back)
    form = ProofForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if _proven(request, form.cleaned_data["password"]):
            link_sessions.prove(request)
            answer = redirect(back)
            sign_in_limits.remember_device(request, answer, request.user)
            return answer
        form.add_error("password", _("The password is wrong. Try again."))
    return render(request, "users/access/prove.html", {"form": form})


def _proven(request: AuthenticatedRequest, password: str) -> bool:
    """Check the password as signing in does, so that wrong ones are counted together."""
    found = authenticate(request, username=request.user.email, password=password)
    return found is not None and found.pk == request.user.pk


def _opt_out_of(person: User) -> OptOut | None:
    return OptOut.objects.filter(phone=person.phone).first() if person.phone else None


def _by_themselves(person: User) -> bool:
    """True if SMS are forbidden and the person did it."""
    return person.sms_forbidden and person.sms_forbidden_by_id == person.pk


def _may_switch_on(person: User) -> bool:
    """Whoever has confirmed a number may switch it on again; only staff may lift what staff have
    forbidden.
    """
    if person.sms_forbidden and not _by_themselves(person):
        return False
    return bool(person.phone_confirmed_at) or _opt_out_of(person) is None


def _switch_off(person: User) -> None:
    if person.phone_confirmed_at:
        consent.opt_out(person.phone, OptOut.Source.PERSON, user=person, by=person)
    else:
        consent.forbid(person, by=person)


def _switch_on(person: User) -> None:
    if _by_themselves(person):
        consent.allow(person, by=person)
    if person.phone_confirmed_at:
        consent.opt_in(person.phone, OptOut.Source.PERSON, user=person, by=person)
