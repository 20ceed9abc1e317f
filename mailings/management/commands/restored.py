"""`manage.py restored`: tells smsmail that a copy was put back by hand, if it has not noticed."""

from typing import Any

from django.core.management.base import BaseCommand

from mailings.restoration import decision


class Command(BaseCommand):
    help = "Holds everything until the SMS services are asked and the owner has decided."

    def handle(self, *_args: Any, **_options: Any) -> None:
        decision.say_restored(None)
        self.stdout.write(
            "Nothing is sent until the owner has decided: Account settings > A restored copy."
        )
