"""Lets somebody in who must wait because others guessed at their password."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from users.access import sign_in_limits
from users.models import User, audit


class Command(BaseCommand):
    help = (
        "Forget the wrong passwords counted of the person with this e-mail: they may sign in now."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *, email: str, **_options: Any) -> None:
        email = email.strip().lower()
        person = User.objects.filter(email=email).first()
        if person is None:
            raise CommandError(f"there is no person with the e-mail {email}")
        sign_in_limits.let_in(email)
        audit(None, "let_in", f"user {person.pk}")
        self.stdout.write(f"{email} may try again now: the counts were reset.")
