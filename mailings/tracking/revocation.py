"""Revokes links that sign in, for one mailing or for all messages submitted so far: the check whether a
link is revoked, and the two pages that revoke. users/people/views.py revokes the links of one person.
"""

from datetime import datetime

from django.contrib import messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from mailings.models import Mailing, Policy
from smsmail.web import query
from users.access.authenticated import AuthenticatedRequest
from users.models import User, audit
from users.rights import Right, require_right


def source_of(mailing_id: int) -> str:
    """Return the name of a link's mailing, as sessions and the log of sign-ins store it."""
    return f"mailing {mailing_id}"


def is_revoked(source: str, submitted_at: datetime | None) -> bool:
    """Is a link of this source revoked? It is if its message was submitted at or before a revocation. A
    message without a submission time is revoked by any revocation.
    """
    room, _space, typed = source.partition(" ")
    number = query.number(typed)
    if room != "mailing" or number is None:
        return True  # a name that source_of() never gave to a link
    after = (
        Q(sign_in_revoked_at__isnull=False)
        if submitted_at is None
        else Q(sign_in_revoked_at__gte=submitted_at)
    )
    of_this: QuerySet[Mailing] = Mailing.objects.filter(after, pk=number)
    return of_this.exists() or Policy.objects.filter(after).exists()


def revoke_mailing(mailing: Mailing, by: User) -> None:
    """Revoke all links of one mailing submitted so far."""
    with transaction.atomic():
        Mailing.objects.filter(pk=mailing.pk).update(sign_in_revoked_at=timezone.now())
        audit(by, "links_revoked", source_of(mailing.pk))


def revoke_all(by: User) -> None:
    """Revoke all links of all mailings submitted so far."""
    with transaction.atomic():
        Policy.objects.update_or_create(id=1, defaults={"sign_in_revoked_at": timezone.now()})
        audit(by, "links_revoked", "policy")


@require_right(Right.SEND_MAILINGS)
def mailing_revoke_links(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then revoke the links of one mailing."""
    row = get_object_or_404(Mailing.objects.with_statistics(), pk=pk)
    if not row.links_sign_in:
        raise Http404
    back = reverse("mailing", args=[pk])
    if request.method != "POST":
        context = {"mailing": row, "back": back}
        return render(request, "mailings/tracking/sign_in_revoke.html", context)
    revoke_mailing(row, request.user)
    messages.success(request, _("The links of this mailing no longer sign in."))
    return redirect(back)


@require_right(Right.ACCOUNT)
def revoke_links(request: AuthenticatedRequest) -> HttpResponse:
    """Ask for confirmation, then revoke all links that sign in."""
    back = reverse("sending-settings")
    if request.method != "POST":
        return render(request, "mailings/tracking/sign_in_revoke_all.html", {"back": back})
    revoke_all(request.user)
    messages.success(request, _("No link that has been sent so far signs in any longer."))
    return redirect(back)
