"""The page of what is going to be sent."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from users.access.authenticated import SignedIn
from users.rights import Right, needs

from .upcoming import upcoming


@needs(Right.SEE_MAILINGS)
def calendar(request: SignedIn) -> HttpResponse:
    today = timezone.localdate(timezone=timezone.get_default_timezone())
    zone = timezone.get_default_timezone_name()
    offset = timezone.localtime(timezone=timezone.get_default_timezone()).strftime("%z")
    context = {
        "upcoming": upcoming(),
        "today": today,
        "zone": f"{zone}, UTC{offset[:3]}:{offset[3:]}",
    }
    return render(request, "mailings/reports/calendar.html", context)
