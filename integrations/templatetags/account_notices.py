"""The banners at the top of every page for those responsible for the account: a service that is down,
a balance that runs out, a clock that is wrong. What managers see of it is templates/mailings/reports/_service.html.
"""

from typing import Any

from django import template
from django.conf import settings

from integrations.routing import cooldown, routing
from integrations.routing.status import title_of
from users.access import public_password
from users.models import User
from users.rights import Right

register = template.Library()


@register.inclusion_tag("integrations/settings_pages/_notices.html", takes_context=True)
def account_notices(context: dict[str, Any], *, resting: bool = True) -> dict[str, Any]:
    """One query, a second one while the first service rests, and one where others can reach us. None at all for everybody else, nor
    on pages of errors, which may have no user and no database.
    """
    user = context.get("user")
    if not isinstance(user, User) or not user.may(Right.ACCOUNT):
        return {}
    accounts = routing.connected()
    sender = routing.sender_of(accounts)
    down = [each for each in accounts if cooldown.is_on(each)] if resting else []
    public = public_password.people() if settings.REACHABLE else []
    return {
        "public": [each.email for each in public],
        "user": user,
        "down": [(title_of(each), each) for each in down],
        "wrong_clock": [(title_of(each), each) for each in accounts if each.clock_off is not None],
        "low": [(title_of(each), each) for each in accounts if each.balance_is_low],
        "stands_in": title_of(sender) if sender and sender != accounts[0] else "",
        "first": accounts[0] if accounts else None,
    }
