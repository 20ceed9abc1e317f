"""Addresses of this room."""

from django.urls import path

from . import (
    audience_views,
    click_reports,
    clicks,
    composing,
    own_messages,
    revocation,
    sign_in,
    steering,
    views,
)

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("mailings/", views.mailings, name="mailings"),
    path("mailings/new/", composing.compose, name="mailing-new"),
    path("mailings/meter/", composing.meter, name="mailing-meter"),
    path("mailings/fix/", composing.fix, name="mailing-fix"),
    path("mailings/autosave/", composing.autosave, name="mailing-autosave-new"),
    path("mailings/<int:pk>/autosave/", composing.autosave, name="mailing-autosave"),
    path("mailings/<int:pk>/", views.mailing, name="mailing"),
    path("mailings/<int:pk>/edit/", composing.compose, name="mailing-edit"),
    path("mailings/<int:pk>/live/", views.live, name="mailing-live"),
    path("mailings/<int:pk>/clicks/", click_reports.clicks, name="mailing-clicks"),
    path("mailings/<int:pk>/recipients/", views.recipients, name="mailing-recipients"),
    path("mailings/<int:pk>/audience/", audience_views.audience_list, name="mailing-audience"),
    path("mailings/<int:pk>/reasons/", views.reasons, name="mailing-reasons"),
    path("mailings/<int:pk>/launch/", steering.launch, name="mailing-launch"),
    path("mailings/<int:pk>/pause/", steering.pause, name="mailing-pause"),
    path("mailings/<int:pk>/resume/", steering.resume, name="mailing-resume"),
    path("mailings/<int:pk>/cancel/", steering.cancel, name="mailing-cancel"),
    path("mailings/<int:pk>/let-be/", steering.let_be, name="mailing-let-be"),
    path("mailings/<int:pk>/send-again/", steering.send_again, name="mailing-send-again"),
    path("mailings/<int:pk>/delete/", steering.delete, name="mailing-delete"),
    path("mailings/<int:pk>/test/", steering.test, name="mailing-test"),
    path(
        "mailings/<int:pk>/revoke-links/",
        revocation.mailing_revoke_links,
        name="mailing-revoke-links",
    ),
    path("settings/sending/revoke-links/", revocation.revoke_links, name="revoke-links"),
    path("r/<str:token>", clicks.short_link, name="short-link"),
    path("in/", sign_in.sign_in_by_link, name="sign-in-by-link"),
    path("me/messages/", own_messages.my_messages, name="my-messages"),
    path("messages/<int:pk>/", views.message, name="message"),
]
