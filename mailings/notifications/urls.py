"""URLs of mailings/notifications."""

from django.urls import path

from . import test_send, views

urlpatterns = [
    path("mailings/<int:pk>/test/", test_send.test, name="mailing-test"),
    path("notifications/", views.notification_list, name="notifications"),
    path("notifications/new/", views.notification_new, name="notification-new"),
    path("notifications/meter/", views.notification_meter, name="notification-meter-new"),
    path("notifications/<int:pk>/", views.notification, name="notification"),
    path(
        "notifications/<int:pk>/edit/",
        views.notification_edit,
        name="notification-edit",
    ),
    path(
        "notifications/<int:pk>/meter/",
        views.notification_meter,
        name="notification-meter",
    ),
    path(
        "notifications/<int:pk>/switch/",
        views.notification_switch,
        name="notification-switch",
    ),
    path("notifications/<int:pk>/try/", views.notification_try, name="notification-try"),
    path(
        "notifications/<int:pk>/delete/",
        views.notification_delete,
        name="notification-delete",
    ),
]
