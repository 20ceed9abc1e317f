"""The page on which a person confirms their phone: they ask for a code and type it in."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from smsmail.web.network import network_of
from smsmail.web.refusals import shows_refusals
from users.access.authenticated import AuthenticatedRequest
from users.models import OptOut, User

from . import confirmation
from .forms import CodeForm


@sensitive_post_parameters()
def me_phone(request: AuthenticatedRequest) -> HttpResponse:
    """Show the form for the code; if no code is open, say why and how to get one."""
    person = User.objects.get(pk=request.user.pk)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            confirmation.confirm(person, form.cleaned_data["code"])
        except confirmation.WrongCode as words:
            form.add_error("code", str(words))
        else:
            messages.success(request, _("Thank you: the number is confirmed."))
            return redirect("me")
    context = {
        "form": form,
        "open_code": confirmation.open_code(person),
        "opted_out": bool(person.phone) and OptOut.objects.filter(phone=person.phone).exists(),
        "can_send": confirmation.can_send(),
        "minutes": confirmation.LIFETIME.seconds // 60,
    }
    return render(request, "users/consent/confirm_phone.html", context)


@require_POST
@shows_refusals(confirmation.NoCode, on="me-phone")
def me_phone_send(request: AuthenticatedRequest) -> HttpResponse:
    confirmation.send(request.user, network_of(request))
    messages.success(request, _("The code is on its way. It comes within a few seconds."))
    return redirect("me-phone")
