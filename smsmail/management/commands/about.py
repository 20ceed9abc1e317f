"""`manage.py about`: the versions that a report of a fault should name.

It is not called `version`, because Django answers to that word itself, with its own version.
"""

import platform
from typing import Any

import django
from django.core.management.base import BaseCommand
from django.db import connection

from smsmail.version import VERSION


class Command(BaseCommand):
    help = "Prints the versions of smsmail, Django and Python, and the kind of database."
    requires_system_checks = ()  # it helps most where something is wrong

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(f"smsmail {VERSION}")
        self.stdout.write(f"Django {django.get_version()}")
        self.stdout.write(f"Python {platform.python_version()}")
        self.stdout.write(f"database {connection.vendor}")
