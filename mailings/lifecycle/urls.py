"""URLs of mailings/lifecycle."""

from django.urls import path

from . import policy_views, undo_views, views

urlpatterns = [
    path("mailings/<int:pk>/launch/", views.launch, name="mailing-launch"),
    path("mailings/<int:pk>/take-back/", undo_views.take_back, name="mailing-take-back"),
    path("mailings/<int:pk>/recall/", undo_views.recall_page, name="mailing-recall"),
    path("mailings/<int:pk>/send-back/", views.send_back, name="mailing-send-back"),
    path("mailings/<int:pk>/pause/", views.pause, name="mailing-pause"),
    path("mailings/<int:pk>/resume/", views.resume, name="mailing-resume"),
    path(
        "mailings/<int:pk>/stop-watching/",
        undo_views.stop_watching,
        name="mailing-stop-watching",
    ),
    path("mailings/<int:pk>/cancel/", views.cancel, name="mailing-cancel"),
    path("mailings/<int:pk>/let-be/", views.close_unknown, name="mailing-close-unknown"),
    path("mailings/<int:pk>/send-again/", views.send_again, name="mailing-send-again"),
    path("mailings/<int:pk>/delete/", views.delete, name="mailing-delete"),
    path("settings/sending/", policy_views.sending_settings, name="sending-settings"),
]
