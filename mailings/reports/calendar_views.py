"""The calendar page: what is going to be sent."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from users.access.authenticated import AuthenticatedRequest
from users.rights import Right, require_right

from .upcoming import upcoming


@require_right(Right.SEE_MAILINGS)
def calendar(request: AuthenticatedRequest) -> HttpResponse:
    """Show the calendar of upcoming mailings."""
    today = timezone.localdate(timezone=timezone.get_default_timezone())
    zone = timezone.get_default_timezone_name()
    offset = timezone.localtime(timezone=timezone.get_default_timezone()).strftime("%z")
    context = {
        "upcoming": upcoming(),
        "today": today,
        "zone": f"{zone}, UTC{offset[:3]}:{offset[3:]}",
    }
    return render(request, "mailings/reports/calendar.html", context)
