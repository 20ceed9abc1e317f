"""A refusal becomes a message, and the browser goes back; anything else goes on as it is."""

import pytest
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from smsmail.web.refusals import shows_refusals


class Late(Exception):
    pass


class Broken(Exception):
    pass


@shows_refusals(Late, on="mailing")
def act(request: HttpRequest, pk: int) -> HttpResponse:
    match request.GET.get("raise"):
        case "late":
            raise Late("It has gone.")
        case "broken":
            raise Broken
    return HttpResponse(f"mailing {pk}")


def asked(rf: RequestFactory, what: str = "") -> HttpRequest:
    request = rf.get("/", {"raise": what})
    setattr(request, "_messages", CookieStorage(request))  # noqa: B010  # as MessageMiddleware does
    return request


def test_a_refusal_is_said_on_the_page_one_goes_back_to(rf: RequestFactory) -> None:
    request = asked(rf, "late")
    answer = act(request, pk=5)
    assert (answer.status_code, answer["Location"]) == (302, "/mailings/5/")
    assert [(each.level_tag, each.message) for each in get_messages(request)] == [
        ("error", "It has gone.")
    ]


def test_without_a_refusal_the_view_answers(rf: RequestFactory) -> None:
    request = asked(rf)
    assert act(request, pk=5).content == b"mailing 5"
    assert not list(get_messages(request))


def test_another_exception_goes_on(rf: RequestFactory) -> None:
    with pytest.raises(Broken):
        act(asked(rf, "broken"), pk=5)
