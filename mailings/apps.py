"""The room of the product: mailings, their messages, and their way to a person."""

from django.apps import AppConfig


class MailingsConfig(AppConfig):
    name = "mailings"

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registers the check of the lease order
