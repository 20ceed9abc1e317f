"""What is not possible now is told to the person who asked for it, in words, on the page they go back to."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

V = TypeVar("V", bound=Callable[..., HttpResponse])


def shows_refusals(*refusals: type[Exception], on: str) -> Callable[[V], V]:
    """A view in which one of these exceptions becomes a message on the page `on`, whose address takes
    the same arguments as the view. The text of the exception must be meant for people.
    """

    def decorate(view: V) -> V:
        @wraps(view)
        def telling(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            try:
                return view(request, **kwargs)
            except refusals as refusal:
                messages.error(request, str(refusal))
                return redirect(reverse(on, kwargs=kwargs))

        return cast(V, telling)

    return decorate
