"""The banners at the top of every page for those responsible for the account: a service is down, a balance is
low, a clock is wrong. Managers see templates/mailings/reports/_service.html instead.
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
    """Needs one query, a second one during the first service's cooldown, and one more where others can reach
    us. None at all for other users or on error pages, which may have no user and no database.
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
