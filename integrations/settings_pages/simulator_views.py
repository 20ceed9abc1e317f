"""The phone on the screen: what people would have received if the simulator were a real service.

Its short links work only while the simulator is the sender: with a real service connected the people are
real, and earlier trials must not open their accounts.
"""

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from integrations.models import Account, SimulatedSms
from integrations.providers import simulator as provider
from integrations.routing import routing
from integrations.short_domain import short_links
from smsmail.web.query import search_text
from users.access.authenticated import AuthenticatedRequest
from users.parsing import phones
from users.rights import Right, require_right

SHOWN = 50  # messages on the phone, the newest at the bottom
LOOKED_THROUGH = 200  # newest messages that are searched for phones to offer
OFFERED = 12


class Received(NamedTuple):
    at: datetime
    pieces: list[short_links.TextPiece]


@require_right(Right.SEND_MAILINGS)
def simulator(request: AuthenticatedRequest) -> HttpResponse:
    typed = search_text(request.GET.get("phone", ""), longest=64)
    phone = _normal(typed)
    account = Account.objects.filter(provider=provider.Simulator.slug).first()
    current = routing.current()
    sends = current is not None and current == account
    context = {
        "sends": sends,
        "connected": account is not None and account.connected,
        "sender": account.sender if account else "",
        "typed": typed,
        "phone": phone,
        "phones": _last_phones(),
        "received": _received(phone, with_links=sends),
        "outcome": provider.outcome_of(phone).words if phone else "",
        "outcomes": provider.OUTCOMES,
    }
    return render(request, "integrations/settings_pages/simulator.html", context)


def _normal(typed: str) -> str:
    """An impossible phone has received nothing, so no error is shown."""
    try:
        return phones.normalize(typed, settings.DEFAULT_COUNTRY)
    except phones.BadPhone:
        return ""


def _last_phones() -> list[str]:
    newest = SimulatedSms.objects.order_by("-id").values_list("phone", flat=True)
    return list(dict.fromkeys(newest[:LOOKED_THROUGH]))[:OFFERED]


def _received(phone: str, *, with_links: bool) -> list[Received]:
    if not phone:
        return []
    # Scheduled messages have not arrived yet.
    newest = SimulatedSms.objects.filter(phone=phone, at__lte=timezone.now()).order_by("-id")
    return [
        Received(
            sms.at,
            short_links.pieces(sms.text)
            if with_links
            else [short_links.TextPiece(short_links.hidden(sms.text), False)],
        )
        for sms in reversed(newest[:SHOWN])
    ]
