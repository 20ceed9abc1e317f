"""URLs of mailings/audience."""

from django.urls import path

from . import views

urlpatterns = [
    path("mailings/<int:pk>/audience/", views.audience_list, name="mailing-audience"),
    path("mailings/<int:pk>/foresight/", views.foresight, name="mailing-foresight"),
    path("mailings/<int:pk>/would-get/", views.would_get, name="mailing-would-get"),
]
