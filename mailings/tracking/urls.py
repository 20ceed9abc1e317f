"""URLs of mailings/tracking."""

from django.urls import path

from . import redirect, revocation, sign_in

urlpatterns = [
    path(
        "mailings/<int:pk>/revoke-links/",
        revocation.mailing_revoke_links,
        name="mailing-revoke-links",
    ),
    path("settings/sending/revoke-links/", revocation.revoke_links, name="revoke-links"),
    path("r/<str:token>", redirect.short_link, name="short-link"),
    path("in/", sign_in.sign_in_by_link, name="sign-in-by-link"),
]
