"""URLs of mailings/restoration."""

from django.urls import path

from . import views

urlpatterns = [
    path("settings/restored/", views.restored, name="restored"),
]
