"""Signing in, and the pages about oneself that everybody has: /me/, its SMS switch, the password."""

from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from . import confirmation, consent, link_sessions, session_ages, sign_in_limits
from .forms import ProfileForm, ProofForm, SignInForm
from .models import ConsentEvent, OptOut, User
from .signed_in import SignedIn


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
        """Students have no work here: they land on their own page."""
        user = self.request.user
        staff = user.is_authenticated and user.is_staff
        return reverse("dashboard" if staff else "me")


@method_decorator(link_sessions.asks_password, name="dispatch")
class Password(PasswordChangeView):
    template_name = "users/password.html"
    success_url = reverse_lazy("me")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, _("The password is changed."))
        return super().form_valid(form)


def me(request: SignedIn) -> HttpResponse:
    # A copy: a form writes what was typed into its instance, and the page's head shows the user.
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
        "may_confirm": not request.user.phone_confirmed_at and confirmation.can_send(),
        "may_switch_on": opted_out is not None and _may_switch_on(request.user),
    }
    return render(request, "users/me.html", context)


@require_POST
def me_sms(request: SignedIn) -> HttpResponse:
    """The person's own switch: on=yes or no. What staff has forbidden it does not lift."""
    person = request.user
    if not person.phone:
        messages.error(request, _("There is no phone here. Write it down to get SMS."))
    elif request.POST.get("on") != "yes":
        consent.opt_out(person.phone, OptOut.Source.PERSON, user=person, by=person)
        messages.success(request, _("SMS are switched off. You can switch them on again here."))
    elif _may_switch_on(person):
        consent.opt_in(person.phone, OptOut.Source.PERSON, user=person, by=person)
        messages.success(request, _("SMS are switched on."))
    else:
        messages.error(
            request,
            _("Somebody else may have switched this number off: ask the people who run this."),
        )
    return redirect("me")


@sensitive_post_parameters()
def prove(request: SignedIn) -> HttpResponse:
    """Signed in by a link: the password, before what a mere holder of the link may not do."""
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
    return render(request, "users/prove.html", {"form": form})


def _proven(request: SignedIn, password: str) -> bool:
    """By the same way as signing in, so that wrong ones are counted with the others."""
    found = authenticate(request, username=request.user.email, password=password)
    return found is not None and found.pk == request.user.pk


def _opt_out_of(person: User) -> OptOut | None:
    return OptOut.objects.filter(phone=person.phone).first() if person.phone else None


def _may_switch_on(person: User) -> bool:
    """A number that somebody else has switched off is only theirs who have shown that they hold it:
    anybody can write any number into their profile.
    """
    if person.phone_confirmed_at:
        return True
    offs = ConsentEvent.objects.filter(phone=person.phone, kind=ConsentEvent.Kind.OPTED_OUT)
    last = offs.order_by("-id").first()
    return last is not None and last.by_id == person.pk
