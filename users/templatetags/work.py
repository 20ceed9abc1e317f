"""What pages say about the periodic jobs: that they are not running, and what was set aside."""

from typing import Any

from django import template
from django.conf import settings
from django.http import HttpRequest

from smsmail.jobs import watchdog
from smsmail.jobs.words import words
from smsmail.models import SetAside
from users.models import User
from users.rights import STAFF, Right

register = template.Library()


@register.inclusion_tag("components/nobody_works.html", takes_context=True)
def nobody_works(context: dict[str, Any]) -> dict[str, Any]:
    """The banner on every staff page. It takes one query; error pages may have no database."""
    user = context.get("user")
    if not isinstance(user, User) or user.role not in STAFF:
        return {}
    found = watchdog.state_for(context.get("request"))
    return {
        "work": found,
        "silent": [words(each.job) for each in found.silent],
        "failing": [(words(each.job), each) for each in found.failing],
        "waiting": [(words(each.job), each) for each in found.waiting],
        "embedded": settings.EMBEDDED,
        "may_start": user.may(Right.ACCOUNT),
    }


@register.simple_tag(takes_context=True)
def stands_still(context: dict[str, Any]) -> bool:
    """True if nothing is being sent now. Then no sentence may say that something continues by
    itself.
    """
    request = context.get("request")
    if not isinstance(request, HttpRequest):
        return False
    return watchdog.state_for(request).nothing_is_sent


@register.inclusion_tag("components/set_aside.html", takes_context=True)
def set_aside(context: dict[str, Any], kind: str, key: int | str) -> dict[str, Any]:
    """Return what failed about one thing and is tried again. Kind and key, for example: "mailing" 5,
    "account" "smsc".
    """
    about = f"{kind} {key}"
    rows = SetAside.objects.current().filter(about=about).order_by("job", "error", "first_at")
    groups: dict[tuple[str, str], list[SetAside]] = {}
    for row in rows[:1000]:
        groups.setdefault((row.job, row.error), []).append(row)
    return {
        "groups": [_told(each) for each in groups.values()],
        "still": bool(groups) and stands_still(context),
        "of_mailing": kind == "mailing",
    }


def _told(rows: list[SetAside]) -> dict[str, Any]:
    return {
        "words": words(rows[0].job),
        "job": rows[0].job,
        "error": rows[0].error,
        "count": len(rows),
        "since": min(row.first_at for row in rows),
        "next": min(row.next_try_at for row in rows),
    }
