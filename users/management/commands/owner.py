"""Makes the first owner of a new installation, or gives a lost owner access again."""

import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from users.access import password_links
from users.models import User, audit
from users.rights import Role


class Command(BaseCommand):
    help = "Make the person with this e-mail an owner, with a new password that is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    @transaction.atomic
    def handle(self, *, email: str, **_options: Any) -> None:
        email = email.strip().lower()
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email} is not an e-mail address") from error
        password = secrets.token_urlsafe(12)
        owner = User.objects.filter(email=email).first() or User(email=email)
        owner.role = Role.OWNER
        owner.is_active = True
        owner.set_password(password)
        owner.must_change_password, owner.password_from = False, None
        owner.sessions_ended += 1
        owner.links_revoked_at = timezone.now()
        owner.save()
        password_links.close_all(owner)
        audit(None, "owner_made", f"person {owner.id}")
        self.stdout.write(f"{email} is an owner. The password, to be changed soon: {password}")
