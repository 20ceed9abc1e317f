"""The app of people and of their consent to SMS."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "users"
