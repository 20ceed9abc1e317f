"""URLs of users.consent."""

from django.urls import path

from . import views

urlpatterns = [
    path("me/phone/", views.me_phone, name="me-phone"),
    path("me/phone/send/", views.me_phone_send, name="me-phone-send"),
]
