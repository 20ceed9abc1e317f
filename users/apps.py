"""The room of people and of what may be sent to them."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "users"
