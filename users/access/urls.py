"""URLs of users.access."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from . import password_views

urlpatterns = [
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("me/password/", password_views.Password.as_view(), name="password"),
    path("password/<str:token>/", password_views.set_password, name="set-password"),
    path("people/made-up/", password_views.demo_people, name="demo-people"),
]
