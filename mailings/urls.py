"""Addresses of this room."""

from django.urls import path

from .audience import views as audience_views
from .composing import duplicate, saved_texts
from .composing import views as composing
from .lifecycle import policy_views, undo_views
from .lifecycle import views as steering
from .notifications import test_send
from .notifications import views as notification_views
from .reports import calendar_views, click_reports, own_messages, views
from .restoration import views as restoration_views
from .tracking import redirect, revocation, sign_in

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("mailings/", views.mailings, name="mailings"),
    path("mailings/calendar/", calendar_views.calendar, name="mailing-calendar"),
    path("mailings/new/", composing.compose, name="mailing-new"),
    path("mailings/meter/", composing.meter, name="mailing-meter"),
    path("mailings/fix/", composing.fix, name="mailing-fix"),
    path("mailings/autosave/", composing.autosave, name="mailing-autosave-new"),
    path("mailings/texts/", saved_texts.saved_texts, name="saved-texts"),
    path("mailings/texts/new/", saved_texts.saved_text_new, name="saved-text-new"),
    path("mailings/texts/<int:pk>/", saved_texts.saved_text, name="saved-text"),
    path(
        "mailings/texts/<int:pk>/delete/", saved_texts.saved_text_delete, name="saved-text-delete"
    ),
    path("mailings/<int:pk>/autosave/", composing.autosave, name="mailing-autosave"),
    path("mailings/<int:pk>/", views.mailing, name="mailing"),
    path("mailings/<int:pk>/copy/", duplicate.copy, name="mailing-copy"),
    path("mailings/<int:pk>/edit/", composing.compose, name="mailing-edit"),
    path("mailings/<int:pk>/live/", views.live, name="mailing-live"),
    path("mailings/<int:pk>/clicks/", click_reports.clicks, name="mailing-clicks"),
    path("mailings/<int:pk>/recipients/", views.recipients, name="mailing-recipients"),
    path("mailings/<int:pk>/audience/", audience_views.audience_list, name="mailing-audience"),
    path("mailings/<int:pk>/reasons/", views.reasons, name="mailing-reasons"),
    path("mailings/<int:pk>/launch/", steering.launch, name="mailing-launch"),
    path("mailings/<int:pk>/take-back/", undo_views.take_back, name="mailing-take-back"),
    path("mailings/<int:pk>/recall/", undo_views.recall_page, name="mailing-recall"),
    path("mailings/<int:pk>/send-back/", steering.send_back, name="mailing-send-back"),
    path("mailings/<int:pk>/pause/", steering.pause, name="mailing-pause"),
    path("mailings/<int:pk>/resume/", steering.resume, name="mailing-resume"),
    path(
        "mailings/<int:pk>/stop-watching/",
        undo_views.stop_watching,
        name="mailing-stop-watching",
    ),
    path("mailings/<int:pk>/foresight/", audience_views.foresight, name="mailing-foresight"),
    path("mailings/<int:pk>/would-get/", audience_views.would_get, name="mailing-would-get"),
    path("mailings/<int:pk>/cancel/", steering.cancel, name="mailing-cancel"),
    path("mailings/<int:pk>/let-be/", steering.let_be, name="mailing-let-be"),
    path("mailings/<int:pk>/send-again/", steering.send_again, name="mailing-send-again"),
    path("mailings/<int:pk>/delete/", steering.delete, name="mailing-delete"),
    path("mailings/<int:pk>/test/", test_send.test, name="mailing-test"),
    path(
        "mailings/<int:pk>/revoke-links/",
        revocation.mailing_revoke_links,
        name="mailing-revoke-links",
    ),
    path("settings/restored/", restoration_views.restored, name="restored"),
    path("settings/sending/", policy_views.sending_settings, name="sending-settings"),
    path("settings/sending/revoke-links/", revocation.revoke_links, name="revoke-links"),
    path("notifications/", notification_views.notification_list, name="notifications"),
    path("notifications/new/", notification_views.notification_new, name="notification-new"),
    path(
        "notifications/meter/", notification_views.notification_meter, name="notification-meter-new"
    ),
    path("notifications/<int:pk>/", notification_views.notification, name="notification"),
    path(
        "notifications/<int:pk>/edit/",
        notification_views.notification_edit,
        name="notification-edit",
    ),
    path(
        "notifications/<int:pk>/meter/",
        notification_views.notification_meter,
        name="notification-meter",
    ),
    path(
        "notifications/<int:pk>/switch/",
        notification_views.notification_switch,
        name="notification-switch",
    ),
    path(
        "notifications/<int:pk>/try/", notification_views.notification_try, name="notification-try"
    ),
    path(
        "notifications/<int:pk>/delete/",
        notification_views.notification_delete,
        name="notification-delete",
    ),
    path("r/<str:token>", redirect.short_link, name="short-link"),
    path("in/", sign_in.sign_in_by_link, name="sign-in-by-link"),
    path("me/messages/", own_messages.my_messages, name="my-messages"),
    path("messages/<int:pk>/", views.message, name="message"),
]
