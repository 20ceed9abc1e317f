"""The look of a mailing's states and a message's statuses on a page."""

from collections.abc import Iterable
from typing import Any

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from integrations.models import Account
from integrations.templatetags.money import money
from mailings.models import Counters, Mailing, Message
from mailings.reports.figures import spread
from mailings.sending import send_times
from mailings.text import unseen
from smsmail.web import query
from users.models import LinkSignIn

register = template.Library()
register.filter(money)

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


@register.inclusion_tag("components/badge.html")
def state_badge(mailing: Mailing) -> dict[str, Any]:
    if mailing.is_notification:
        on = mailing.state == State.SENDING
        return _badge(("good", "check") if on else ("quiet", "minus"), _("On") if on else _("Off"))
    if mailing.state == State.SCHEDULED and mailing.starts_at is None:
        return _badge(STATES[mailing.state], _("About to start"))  # the minute of the countdown
    return _badge(STATES[mailing.state], State(mailing.state).label)


@register.inclusion_tag("components/badge.html")
def status_badge(message: Message) -> dict[str, Any]:
    return _badge(STATUSES[message.status], message.status_label)


def _badge(look: tuple[str, str], label: str | Promise) -> dict[str, Any]:
    tone, icon = look
    return {"tone": tone, "icon": icon, "label": label}


@register.inclusion_tag("mailings/reports/_spread.html")
def spread_bar(counters: Counters, thin: bool = False) -> dict[str, Any]:
    """Show the shares of the statuses as one bar. The numbers are beside it in words."""
    return {"slices": spread(counters), "thin": thin}


@register.simple_tag
def scheduled_with(account: Account) -> send_times.Waiting:
    """Return what this provider holds until a future time."""
    return send_times.scheduled_with(account)


@register.simple_tag
def mailings_of(sign_ins: Iterable[LinkSignIn]) -> list[tuple[LinkSignIn, Mailing | None]]:
    """Pair each sign-in by a link with the mailing of that link, in one query for all."""
    numbered = [(each, query.number(each.number)) for each in sign_ins]
    found = Mailing.objects.in_bulk({number for _each, number in numbered if number is not None})
    return [(each, None if number is None else found.get(number)) for each, number in numbered]


@register.filter
def visible(sign: str) -> str:
    """Return a character in visible form: a space as "space", an invisible one as "nothing"."""
    if not sign or unseen.places(sign):
        return _("nothing")
    return _("space") if sign.isspace() else sign


@register.filter
def with_unseen(link: str) -> str:
    """Return a link in which each invisible character is shown by its number."""
    hidden = set(unseen.places(link))
    return "".join(f"⟨U+{ord(c):04X}⟩" if at in hidden else c for at, c in enumerate(link))
