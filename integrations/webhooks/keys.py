"""The key in the webhook URL that a provider calls. It can be renewed at any time; the previous one stays
valid for a while, because messages already submitted carry it. The key appears in logs of providers and
proxies.
"""

from datetime import datetime, timedelta
from typing import Protocol

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.models import Account, new_receipt_key
from integrations.routing import routing
from users.access.authenticated import AuthenticatedRequest
from users.models import User, audit
from users.rights import Right, require_right

# Longer than a provider goes on reporting about a message.
GRACE = max(timedelta(hours=48), timedelta(seconds=2 * settings.RECEIPT_WAIT))


class HasKeys(Protocol):
    """The part of an account that is_right() needs."""

    @property
    def receipt_key(self) -> str: ...
    @property
    def old_receipt_key(self) -> str: ...
    @property
    def old_receipt_key_until(self) -> datetime | None: ...


def is_right(account: HasKeys | None, key: str) -> bool:
    """True if the key is valid. The same comparisons run if there is no account or no previous key, so
    that the response time reveals neither.
    """
    now = constant_time_compare(key, account.receipt_key if account else "")
    old = constant_time_compare(key, account.old_receipt_key if account else "")
    until = account.old_receipt_key_until if account else None
    return bool(key) and (now or (old and until is not None and until > timezone.now()))


@transaction.atomic
def renew(account: Account, by: User | None) -> Account:
    """Make a new key and return the account. The present key stays valid for GRACE; any older one
    stops working.
    """
    fresh = Account.objects.select_for_update().get(pk=account.pk)
    fresh.old_receipt_key, fresh.receipt_key = fresh.receipt_key, new_receipt_key()
    fresh.old_receipt_key_until = timezone.now() + GRACE
    fresh.save(update_fields=["receipt_key", "old_receipt_key", "old_receipt_key_until"])
    audit(by, "receipt_key_renewed", f"account {fresh.provider}")
    return fresh


@transaction.atomic
def end_old(account: Account, by: User | None) -> None:
    ended = Account.objects.filter(pk=account.pk).exclude(old_receipt_key="")
    if ended.update(old_receipt_key="", old_receipt_key_until=None):
        audit(by, "receipt_key_ended", f"account {account.provider}")


@require_right(Right.ACCOUNT)
def receipt_key_new(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Ask for confirmation first: the URL may be entered in the provider's own settings."""
    account = _connected(slug)
    provider, back = routing.provider_class(slug), reverse("integration", args=[slug])
    if request.method != "POST":
        context = {
            "title": provider.title,
            "sent": provider.callback_is_sent,
            "back": back,
            "hours": round(GRACE.total_seconds() / 3600),
        }
        return render(request, "integrations/webhooks/receipt_key_new.html", context)
    renew(account, request.user)
    if provider.callback_is_sent:
        words = _("The address is a new one. Messages carry it from now on.")
    else:
        words = _("The address is a new one. Enter it in the account of the service now.")
    messages.success(request, words)
    return redirect(back)


@require_right(Right.ACCOUNT)
@require_POST
def receipt_key_end(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    end_old(_connected(slug), request.user)
    messages.success(request, _("Reports to the old address are no longer taken."))
    return redirect("integration", slug)


def _connected(slug: str) -> Account:
    account = get_object_or_404(Account, provider=slug)
    if not account.connected:
        raise Http404
    return account
