"""URLs of mailings/reports."""

from django.urls import path

from . import calendar_views, click_reports, own_messages, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("mailings/", views.mailings, name="mailings"),
    path("mailings/calendar/", calendar_views.calendar, name="mailing-calendar"),
    path("mailings/<int:pk>/", views.mailing, name="mailing"),
    path("mailings/<int:pk>/live/", views.live, name="mailing-live"),
    path("mailings/<int:pk>/clicks/", click_reports.clicks, name="mailing-clicks"),
    path("mailings/<int:pk>/recipients/", views.recipients, name="mailing-recipients"),
    path("mailings/<int:pk>/reasons/", views.reasons, name="mailing-reasons"),
    path("me/messages/", own_messages.my_messages, name="my-messages"),
    path("messages/<int:pk>/", views.message, name="message"),
]
