"""`manage.py recount`: compares the counters of every mailing with its rows. Exits with 1 if they
differ.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mailings.models import Mailing
from mailings.reports import recount


class Command(BaseCommand):
    help = "Compares the counters of every mailing with its messages; --fix counts anew."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fix", action="store_true", help="count anew where they differ")

    def handle(self, *_args: Any, fix: bool, **_options: Any) -> None:
        differences = recount.compare()
        for each in differences:
            self.stdout.write(
                f"mailing {each.mailing}: {each.column} is {each.rows}, counted {each.counted}"
            )
        removed = Mailing.objects.filter(messages_removed_at__isnull=False).count()
        if removed:
            self.stdout.write(
                f"Not compared, because their messages were removed: {removed} mailings."
            )
        mailings = sorted({each.mailing for each in differences})
        if not mailings:
            self.stdout.write("The counters equal the rows.")
        elif fix:
            for mailing in mailings:
                recount.repair(mailing)
            self.stdout.write(f"Counted anew: {len(mailings)} mailings.")
        else:
            raise CommandError(f"{len(mailings)} mailings differ; --fix counts them anew")
