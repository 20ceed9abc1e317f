"""When a person was last seen: written down while they use the site, at most every few minutes."""

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
    """After the answer is made, so that a page shows when its reader was here before. Whoever came by
    a link of an SMS was seen too.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Only where the view asked who it is: the redirect of links and the like never do.
        person = request.__dict__.get("_cached_user")
        if isinstance(person, User) and person.is_authenticated:
            _note(person)
        return response


def _note(person: User) -> None:
    now = timezone.now()
    if person.last_seen_at and abs(now - person.last_seen_at) < EVERY:
        return
    late = Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=now - EVERY)
    late |= Q(last_seen_at__gt=now + EVERY)  # by a clock that was wrong
    try:
        with transaction.atomic():
            User.objects.filter(late, pk=person.pk).update(last_seen_at=now)
    except (DatabaseError, InterfaceError):
        return  # a busy database must not turn an answer into an error
