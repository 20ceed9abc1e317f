"""Stores when a person was last seen: while they use the site, at most every ten minutes."""

from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from users.models import User

Handler = Callable[[HttpRequest], HttpResponse]
EVERY = timedelta(minutes=10)


class LastSeenMiddleware:
    """Works after the response is made, so that a page can show the reader's previous visit. Visits
    by a link from an SMS count too.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Only if the view has read request.user: link redirects and the like never do.
        person = request.__dict__.get("_cached_user")
        if isinstance(person, User) and person.is_authenticated:
            _note(person)
        return response


def _note(person: User) -> None:
    now = timezone.now()
    if person.last_seen_at and abs(now - person.last_seen_at) < EVERY:
        return
    late = Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=now - EVERY)
    late |= Q(last_seen_at__gt=now + EVERY)  # a future time comes from a wrong clock
    try:
        with transaction.atomic():
            User.objects.filter(late, pk=person.pk).update(last_seen_at=now)
    except (DatabaseError, InterfaceError):
        return  # a busy database must not turn a response into an error
