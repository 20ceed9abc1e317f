"""`manage.py raise_event order_paid ivan@example.com --key order:15 number=15`: raises an event for
the school's other programs. It prints the outcome: a word for programs, then a sentence.
"""

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mailings.notifications import registry, send
from users.models import User


class Command(BaseCommand):
    help = "Raises an event for a person: if its notification is on, they get one SMS."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", help="the name by which it is raised")
        parser.add_argument("email", help="the person's e-mail")
        parser.add_argument("values", nargs="*", metavar="name=value", help="what the event brings")
        # Without this, argparse refuses "--key order:15 number=15": an option between positional
        # arguments.
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        parser.add_argument("--key", help="raised again with the same key, nothing is sent twice")

    def handle(
        self, event: str, email: str, values: list[str], key: str | None, **_options: Any
    ) -> None:
        if event == registry.PHONE_CODE:
            raise CommandError("only the system itself sends codes")
        person = User.objects.filter(email=email.strip().lower()).first()
        if person is None:
            raise CommandError("there is nobody with this e-mail")
        raised = send.raise_event(
            event,
            person,
            key=key or f"raised:{secrets.token_hex(8)}",
            values=dict(_pair(each) for each in values),
        )
        if raised.became == send.Became.NO_EVENT:
            raise CommandError(f"there is no event {event}")
        self.stdout.write(f"{raised.reason or raised.became}: {raised.words}")


def _pair(written: str) -> tuple[str, str]:
    name, equals, value = written.partition("=")
    if not equals or not name:
        raise CommandError(f"write name=value, not {written}")
    return name.strip(), value
