"""The banner at the top of every page while sending is held because a copy was put back."""

from typing import Any

from django import template

from mailings.restoration import decision
from users.models import User
from users.rights import Right, Role

register = template.Library()


@register.inclusion_tag("mailings/restoration/_restored_notice.html", takes_context=True)
def restored_notice(context: dict[str, Any]) -> dict[str, Any]:
    """Run one query for those who see mailings, and none on error pages, which may have no
    database.
    """
    user = context.get("user")
    if not isinstance(user, User) or not user.may(Right.SEE_MAILINGS):
        return {}
    request = context.get("request")
    here = getattr(getattr(request, "resolver_match", None), "url_name", "")
    return {
        "notice": decision.notice(),
        "is_owner": user.role == Role.OWNER,
        "here": here == "restored",
    }
