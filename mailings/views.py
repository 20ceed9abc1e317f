"""Pages of mailings."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render


def dashboard(request: HttpRequest, pk: int = 0) -> HttpResponse:
    return render(request, "base.html")


def missing(request: HttpRequest, pk: int = 0) -> HttpResponse:
    raise Http404


mailings = compose = meter = mailing = live = recipients = reasons = launch = pause = resume = missing
cancel = delete = test = message = missing
