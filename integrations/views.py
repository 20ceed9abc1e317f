"""Settings of the SMS services: which sends now and why, connect, check, disconnect. For those
responsible for the account. The simulator's phone is in simulator_views.py, receipts in door.py.
"""

from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import formats
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from users.rights import Right, needs
from users.signed_in import SignedIn

from . import providers, router
from .forms import AccountForm
from .models import Account
from .provider import Balance, Provider, Trouble
from .providers import simulator
from .reasons import About, Reason


@dataclass(frozen=True, slots=True)
class Service:
    """One registered service as the pages show it. (Templates would call the class itself.)"""

    slug: str
    title: str
    site: str
    hint: str | Promise
    has_balance: bool
    account: Account | None  # None: not connected
    sends: bool  # messages go through it now
    waits_for: tuple[str, ...]  # titles of connected services with priority

    @property
    def rests(self) -> bool:
        return self.account is not None and router.rests(self.account)

    @property
    def rest_about(self) -> About:
        reason = self.account.rest_reason if self.account else ""
        return (Reason(reason) if reason in set(Reason) else Reason.OTHER).about

    @property
    def callback(self) -> str:
        return router.receipt_url(self.account) if self.account else ""


def services() -> list[Service]:
    """Every registered service in order of priority; one query."""
    accounts = {account.provider: account for account in router.connected()}
    before: tuple[str, ...] = ()
    shown = []
    for provider in providers.REGISTRY:
        account = accounts.get(provider.slug)
        shown.append(_service(provider, account, before))
        if account:
            before = (*before, str(provider.title))
    return shown


def _service(provider: type[Provider], account: Account | None, before: tuple[str, ...]) -> Service:
    return Service(
        slug=provider.slug,
        title=str(provider.title),
        site=provider.site,
        hint=provider.hint,
        has_balance=provider.has_balance,
        account=account,
        sends=account is not None and not before,
        waits_for=before if account else (),
    )


def _find(slug: str) -> Service:
    for service in services():
        if service.slug == slug:
            return service
    raise Http404


@needs(Right.ACCOUNT)
def integrations(request: SignedIn) -> HttpResponse:
    shown = services()
    context = {"services": shown, "sending": next((each for each in shown if each.sends), None)}
    return render(request, "integrations/integrations.html", context)


@needs(Right.ACCOUNT)
@sensitive_post_parameters()
def integration(request: SignedIn, slug: str) -> HttpResponse:
    service = _find(slug)
    form = AccountForm(
        request.POST if request.method == "POST" else None,
        provider=router.provider_class(slug),
        account=service.account,
    )
    if request.method == "POST" and form.is_valid():
        router.connect(
            slug,
            form.credentials,
            sender=form.cleaned_data.get("sender", ""),
            price=form.cleaned_data["price"],
            by=request.user,
        )
        messages.success(
            request, _("Saved. Press “Check” to see whether the service accepts the settings.")
        )
        return redirect("integration", slug)
    fates = simulator.FATES if slug == simulator.Simulator.slug else {}
    context = {"service": service, "form": form, "fates": fates}
    return render(request, "integrations/integration.html", context)


@require_POST
@needs(Right.ACCOUNT)
def integration_check(request: SignedIn, slug: str) -> HttpResponse:
    """Ask the service itself. No transaction is open: it may take its time."""
    account = _connected(slug)
    try:
        balance = router.check(account)
    except Trouble as trouble:
        about = trouble.reason.about
        code = f" ({trouble.raw})" if trouble.raw else ""
        messages.error(request, f"{about.title}{code}. {about.advice}")
    else:
        accepted = _("The service accepts the settings.")
        messages.success(request, f"{accepted} {_held(balance)}".rstrip())
    return redirect("integration", slug)


def _held(balance: Balance | None) -> str:
    if balance is None:
        return ""
    amount = formats.number_format(balance.amount, 2)
    return _("Balance: %(amount)s %(currency)s.") % {
        "amount": amount,
        "currency": balance.currency,
    }


@needs(Right.ACCOUNT)
def integration_disconnect(request: SignedIn, slug: str) -> HttpResponse:
    """Asks first: what is deleted cannot be read back."""
    account = _connected(slug)
    service = _find(slug)
    if request.method != "POST":
        context = {"service": service, "back": reverse("integration", args=[slug])}
        return render(request, "integrations/disconnect.html", context)
    router.disconnect(account, request.user)
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
