"""Signing in, and the pages about oneself that everybody has: /me/ and the password."""

from django.contrib import messages
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext as _

from .forms import ProfileForm, SignInForm
from .models import OptOut, User
from .signed_in import SignedIn


class SignIn(LoginView):
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Students have no work here: they land on their own page."""
        user = self.request.user
        staff = user.is_authenticated and user.is_staff
        return reverse("dashboard" if staff else "me")


class Password(PasswordChangeView):
    template_name = "users/password.html"
    success_url = reverse_lazy("me")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, _("The password is changed."))
        return super().form_valid(form)


def me(request: SignedIn) -> HttpResponse:
    # A copy: a form writes what was typed into its instance, and the page's head shows the user.
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=request.user.pk))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("me")
    phone = request.user.phone
    opted_out = bool(phone) and OptOut.objects.filter(phone=phone).exists()
    return render(request, "users/me.html", {"form": form, "opted_out": opted_out})
