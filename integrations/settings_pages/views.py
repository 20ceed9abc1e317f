"""Settings of the SMS services, for those responsible for the account: which one sends now and why;
connecting, checking, testing and disconnecting. The simulator's phone is in simulator_views.py, receipts are
in webhooks/views.py.
"""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from integrations.models import Account
from integrations.providers import simulator
from integrations.providers.contract import Balance, Outcome, ProviderError, SendResult
from integrations.reasons import Reason
from integrations.routing import accounts, routing, trial_messages
from integrations.routing.status import Service, services
from integrations.templatetags.money import money
from smsmail.version import VERSION
from users.access import public_password
from users.access.authenticated import AuthenticatedRequest
from users.models import User
from users.rights import Right, require_right

from .forms import AccountForm, AccountTryForm


def _find(slug: str) -> Service:
    for service in services():
        if service.slug == slug:
            return service
    raise Http404


@require_right(Right.ACCOUNT)
def integrations(request: AuthenticatedRequest) -> HttpResponse:
    shown = services()
    context = {
        "services": shown,
        "connected": any(each.account for each in shown),
        "falls_back": routing.falls_back(),
        "version": VERSION,
    }
    return render(request, "integrations/settings_pages/integrations.html", context)


@require_right(Right.ACCOUNT)
@sensitive_post_parameters()
def integration(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    service = _find(slug)
    data = request.POST if request.method == "POST" else None
    if _first_the_demo(slug):
        data = None  # nothing is saved; the page says what to do first
    form = AccountForm(data, provider=routing.provider_class(slug), account=service.account)
    if data is not None and form.is_valid():
        accounts.connect(
            slug,
            form.credentials,
            sender=form.cleaned_data.get("sender", ""),
            price=form.cleaned_data["price"],
            by=request.user,
            parallel=form.cleaned_data.get("parallel"),
            per_second=form.cleaned_data["per_second"] or 0,
            warn_below=form.cleaned_data.get("warn_below"),
        )
        if service.has_balance:
            said = _("Saved. Press “Check” to see whether the service accepts the settings.")
        else:
            said = _("Saved. Send a test to see whether the service accepts the settings.")
        messages.success(request, said)
        return redirect("integration", slug)
    return _settings(request, service, form, AccountTryForm(initial={"phone": request.user.phone}))


def _settings(
    request: AuthenticatedRequest, service: Service, form: AccountForm, try_form: AccountTryForm
) -> HttpResponse:
    tests = trial_messages.latest(service.account)
    context = {
        "service": service,
        "form": form,
        "try_form": try_form,
        "tests": [(each, trial_messages.WORDS.get(each.status)) for each in tests],
        "demo": _first_the_demo(service.slug),
        "outcomes": simulator.OUTCOMES if service.slug == simulator.Simulator.slug else {},
    }
    return render(request, "integrations/settings_pages/integration.html", context)


def _first_the_demo(slug: str) -> list[User]:
    """Return the people with the public demo password: they must be gone before a service that
    costs money is connected.
    """
    return [] if routing.provider_class(slug).is_simulator else public_password.people()


@require_right(Right.ACCOUNT)
@require_POST
def integration_check(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Ask the service itself. No transaction is open, because it may take a while."""
    account = _connected(slug)
    try:
        balance = accounts.check(account)
    except ProviderError as trouble:
        about = trouble.reason.about
        code = f" ({trouble.raw})" if trouble.raw else ""
        messages.error(request, f"{about.title}{code}. {about.advice}")
    else:
        accepted = _("The service accepts the settings.")
        messages.success(request, f"{accepted} {_balance_words(balance)}".rstrip())
    return redirect("integration", slug)


def _balance_words(balance: Balance | None) -> str:
    if balance is None:
        return ""
    return _("Balance: %(amount)s.") % {"amount": money(balance.amount, balance.currency)}


@require_right(Right.ACCOUNT)
@require_POST
def integration_try(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Send one message to oneself through this service. No transaction is open here either."""
    account, try_form = _connected(slug), AccountTryForm(request.POST)
    if not try_form.is_valid():
        form = AccountForm(provider=routing.provider_class(slug), account=account)
        return _settings(request, _find(slug), form, try_form)
    try:
        result = accounts.try_out(
            account,
            try_form.cleaned_data["phone"],
            try_form.cleaned_data["text"],
            request.user,
        )
    except accounts.Refuses:
        messages.error(request, _("Nothing was sent: SMS to this phone are forbidden."))
    else:
        _tell(request, str(_find(slug).title), result)
    return redirect("integration", slug)


def _tell(request: AuthenticatedRequest, service: str, result: SendResult) -> None:
    about = (result.reason or Reason.OTHER).about
    words = {
        "service": service,
        "why": f"{about.title} ({result.raw})" if result.raw else str(about.title),
        "advice": str(about.advice),
    }
    match result.outcome:
        case Outcome.TAKEN:
            said = _("%(service)s has taken the message. Now look at the phone.")
            messages.success(request, said % words)
        case Outcome.REFUSED:
            said = _("%(service)s refused the message: %(why)s. %(advice)s")
            messages.error(request, said % words)
        case Outcome.UNSENT:
            said = _("The message surely was not sent: %(why)s. It is not tried again by itself.")
            messages.error(request, said % words)
        case Outcome.UNKNOWN:
            said = _(
                "The message may have arrived: %(why)s. Look at the phone before you try again."
            )
            messages.warning(request, said % words)


@require_right(Right.ACCOUNT)
@require_POST
def integration_fallback(request: AuthenticatedRequest) -> HttpResponse:
    """Set whether the next service sends while the first is down: on=yes or no."""
    on = request.POST.get("on") == "yes"
    routing.set_fallback(on, request.user)
    if on:
        messages.success(request, _("While a service is down, the next connected one sends."))
    else:
        messages.success(request, _("While a service is down, messages wait."))
    return redirect("integrations")


@require_right(Right.ACCOUNT)
def integration_disconnect(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Ask for confirmation first: deleted credentials cannot be restored."""
    account = _connected(slug)
    service = _find(slug)
    if request.method != "POST":
        context = {"service": service, "back": reverse("integration", args=[slug])}
        return render(request, "integrations/settings_pages/disconnect.html", context)
    accounts.disconnect(account, request.user)
    messages.success(
        request,
        _("%(service)s is disconnected, its data are deleted.") % {"service": service.title},
    )
    return redirect("integrations")


def _connected(slug: str) -> Account:
    account = _find(slug).account
    if account is None:
        raise Http404
    return account
