"""How a mailing's states, a message's statuses and money look on a page."""

from decimal import Decimal
from typing import Any

from django import template
from django.conf import settings
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from mailings import unseen
from mailings.models import Counters, Mailing, Message
from mailings.reports import spread

register = template.Library()

State, Status = Mailing.State, Message.Status
# value -> tone (colour) and icon
STATES: dict[str, tuple[str, str]] = {
    State.DRAFT: ("quiet", "draft"),
    State.AWAITING: ("warn", "people"),
    State.SCHEDULED: ("live", "clock"),
    State.WATCHING: ("live", "search"),
    State.PREPARING: ("live", "refresh"),
    State.SENDING: ("live", "send"),
    State.PAUSED: ("warn", "pause"),
    State.SETTLING: ("live", "clock"),
    State.DONE: ("good", "check"),
    State.CANCELLED: ("quiet", "stop"),
}
STATUSES: dict[str, tuple[str, str]] = {
    Status.WAITING: ("quiet", "clock"),
    Status.ACCEPTED: ("live", "check"),
    Status.DELIVERED: ("good", "double-check"),
    Status.UNDELIVERED: ("bad", "cross"),
    Status.EXPIRED: ("bad", "clock"),
    Status.NO_RECEIPT: ("warn", "question"),
    Status.UNKNOWN: ("warn", "question"),
    Status.REFUSED: ("bad", "forbid"),
    Status.CANCELLED: ("quiet", "stop"),
    Status.SKIPPED: ("quiet", "minus"),
}
SIGNS = {"RUB": "₽", "USD": "$", "EUR": "€", "KZT": "₸", "BYN": "Br", "UAH": "₴"}


@register.inclusion_tag("components/badge.html")
def state_badge(mailing: Mailing) -> dict[str, Any]:
    if mailing.kind == Mailing.Kind.NOTIFICATION:
        on = mailing.state == State.SENDING
        return _badge(("good", "check") if on else ("quiet", "minus"), _("On") if on else _("Off"))
    return _badge(STATES[mailing.state], State(mailing.state).label)


@register.inclusion_tag("components/badge.html")
def status_badge(message: Message) -> dict[str, Any]:
    return _badge(STATUSES[message.status], message.status_label)


def _badge(look: tuple[str, str], label: str | Promise) -> dict[str, Any]:
    tone, icon = look
    return {"tone": tone, "icon": icon, "label": label}


@register.inclusion_tag("mailings/spread.html")
def spread_bar(counters: Counters, thin: bool = False) -> dict[str, Any]:
    """How the statuses divide, as one bar. The numbers stand beside it in words."""
    return {"slices": spread(counters), "thin": thin}


@register.filter
def money(amount: Decimal, currency: str = "") -> str:
    """10,030.50 ₽: grouped as the reader writes numbers; no cents where there are none."""
    currency = currency or settings.CURRENCY
    amount = amount.quantize(Decimal("0.01"))
    places = 0 if amount == amount.to_integral_value() else 2
    number = number_format(amount, decimal_pos=places, force_grouping=True)
    return f"{number}\u00a0{SIGNS.get(currency, currency)}"


@register.filter
def visible(sign: str) -> str:
    """A sign as one can see it: spaces and what takes no room by their names."""
    if not sign or unseen.places(sign):
        return _("nothing")
    return _("space") if sign.isspace() else sign


@register.filter
def with_unseen(link: str) -> str:
    """A link in which a sign that nobody sees is shown by its number."""
    hidden = set(unseen.places(link))
    return "".join(f"⟨U+{ord(c):04X}⟩" if at in hidden else c for at, c in enumerate(link))
