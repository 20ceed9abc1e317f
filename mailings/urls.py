"""Addresses of this room."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("mailings/", views.mailings, name="mailings"),
    path("mailings/new/", views.compose, name="mailing-new"),
    path("mailings/meter/", views.meter, name="mailing-meter"),
    path("mailings/<int:pk>/", views.mailing, name="mailing"),
    path("mailings/<int:pk>/edit/", views.compose, name="mailing-edit"),
    path("mailings/<int:pk>/live/", views.live, name="mailing-live"),
    path("mailings/<int:pk>/recipients/", views.recipients, name="mailing-recipients"),
    path("mailings/<int:pk>/reasons/", views.reasons, name="mailing-reasons"),
    path("mailings/<int:pk>/launch/", views.launch, name="mailing-launch"),
    path("mailings/<int:pk>/pause/", views.pause, name="mailing-pause"),
    path("mailings/<int:pk>/resume/", views.resume, name="mailing-resume"),
    path("mailings/<int:pk>/cancel/", views.cancel, name="mailing-cancel"),
    path("mailings/<int:pk>/delete/", views.delete, name="mailing-delete"),
    path("mailings/<int:pk>/test/", views.test, name="mailing-test"),
    path("messages/<int:pk>/", views.message, name="message"),
]
