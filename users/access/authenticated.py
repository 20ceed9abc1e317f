"""The request of somebody signed in: LoginRequiredMiddleware lets no other through to a view."""

from django.http import HttpRequest

from users.models import User


class AuthenticatedRequest(HttpRequest):
    """For the type checker only: there is no AnonymousUser here."""

    user: User
