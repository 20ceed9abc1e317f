"""`manage.py demo_school`: makes up a school in an empty database and tells who may sign in."""

from typing import Any

from django.core.management.base import BaseCommand

from mailings.demo import school


class Command(BaseCommand):
    help = "Fills an empty database with a made-up school: people, groups, finished mailings."

    def handle(self, *_args: Any, **_options: Any) -> None:
        password = school.build()
        if not password:
            self.stdout.write("There are people already: nothing was changed.")
            return
        self.stdout.write("\n  A demo school with made-up people. Sign in with the password")
        self.stdout.write(f"  {password} as")
        for email in school.SIGN_INS:
            self.stdout.write(f"    {email}")
        if password != school.PASSWORD:
            self.stdout.write(
                "  Others can reach smsmail, so the password is random: it is shown only now."
            )
        self.stdout.write("  Without made-up people: start with DEMO=no and an empty DATA_DIR.")
