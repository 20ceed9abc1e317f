"""The request of a signed-in user. LoginRequiredMiddleware keeps everybody else away from views."""

from django.http import HttpRequest

from users.models import User


class AuthenticatedRequest(HttpRequest):
    """A request whose `user` is never an AnonymousUser; only the type checker uses it."""

    user: User
