"""The page for people who must wait before their password is checked."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .hashing import Busy
from .sign_in_limits import TooManySignIns

Handler = Callable[[HttpRequest], HttpResponse]


class WaitMiddleware:
    """Answers 429 with Retry-After on TooManySignIns and Busy, wherever a password was given."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, TooManySignIns | Busy):
            return None
        context = {
            "busy": isinstance(error, Busy),
            "seconds": error.seconds,
            "minutes": -(-error.seconds // 60),
        }
        answer = render(request, "registration/locked.html", context, status=429)
        answer["Retry-After"] = str(error.seconds)
        return answer
