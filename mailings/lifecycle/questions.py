"""The page that asks before something is done to a mailing; the dialog shows it too."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from mailings.models import Mailing
from users.access.authenticated import AuthenticatedRequest


def ask(request: AuthenticatedRequest, row: Mailing, what: str, **context: Any) -> HttpResponse:
    back = reverse("mailing", args=[row.pk])
    return render(
        request, f"mailings/lifecycle/ask_{what}.html", {"mailing": row, "back": back, **context}
    )
