"""Pages on which people set their own password: a new one in place of the old, or the first by a
single-use link. A middleware keeps people whose password somebody else made on the page where they
change it.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordChangeView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from users.models import User, audit
from users.rights import Right, require_right

from . import link_sessions, password_links, public_password
from .authenticated import AuthenticatedRequest
from .forms import OwnPasswordForm

Handler = Callable[[HttpRequest], HttpResponse]
# The only pages open to people who must change their password first.
OPEN = frozenset({"password", "sign-out"})


@method_decorator(link_sessions.asks_password, name="dispatch")
class Password(PasswordChangeView):
    """The page on which people change their password. This ends all their other sessions."""

    form_class = OwnPasswordForm
    template_name = "users/access/password.html"
    success_url = reverse_lazy("me")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            stored = User.objects.select_for_update().get(pk=form.user.pk)
            # This session was ended a moment ago: whoever was signed in until then must not set a password
            # now.
            if stored.get_session_auth_hash() != form.user.get_session_auth_hash():
                return redirect("sign-in")
            answer = super().form_valid(form)
            password_links.close_all(stored)
            audit(stored, "password_changed", f"user {stored.pk}")
        messages.success(self.request, _("The password is changed."))
        return answer


@login_not_required
@never_cache
@sensitive_post_parameters()
def set_password(request: HttpRequest, token: str) -> HttpResponse:
    """Set a password by link. Opening the page does not use the link up."""
    link = password_links.open_link(token)
    if link is None:
        return render(request, "users/access/set_password.html", status=410)
    form = SetPasswordForm(link.user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if password_links.use(token, form.cleaned_data["new_password1"]):
            messages.success(request, _("The password is set. Sign in with it."))
            return redirect("sign-in")
        return render(request, "users/access/set_password.html", status=410)
    return render(request, "users/access/set_password.html", {"form": form, "person": link.user})


@require_right(Right.ACCOUNT)
def demo_people(request: AuthenticatedRequest) -> HttpResponse:
    """Ask for confirmation, then remove all made-up people of the demo school."""
    back = reverse("integrations")
    if request.method != "POST":
        number = public_password.made_up(request.user).count()
        context = {"number": number, "back": back}
        return render(request, "users/access/demo_people.html", context)
    try:
        removed = public_password.remove(request.user)
    except public_password.LastOwner:
        messages.error(
            request,
            _("Nobody would own the account then. First make another owner, or sign in as one."),
        )
    else:
        words = _("Removed: %(number)d made-up people no longer sign in and get no SMS.")
        messages.success(request, words % {"number": removed})
    return redirect("integrations")


class MustChangePasswordMiddleware:
    """Lets people whose password somebody else made open only the page where they change it. Sessions
    by link are exempt: they did not begin with that password.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        if not getattr(view, "login_required", True):
            return None  # open to everybody
        person = request.user
        if not person.is_authenticated:
            return None
        match = request.resolver_match
        if match is not None and match.url_name in OPEN:
            return None
        if not person.must_change_password or link_sessions.is_by_link(request):
            return None
        if "HX-Request" in request.headers:
            return HttpResponse(headers={"HX-Redirect": reverse("password")})
        return redirect("password")
