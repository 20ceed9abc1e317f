"""`manage.py repair_opt_outs`: finds opt-outs that SMSC's code 250 made and nobody asked for; --fix
takes them back.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mailings.sending import false_opt_outs


class Command(BaseCommand):
    help = (
        "Tells how many numbers were put on the stop list by SMSC's code 250, which is a limit in the"
        " account's settings and no refusal. Changes nothing; --fix takes those opt-outs back, with a"
        " correcting line in the consent book and one in the audit. Whoever opted out in another way"
        " stays out. May be run again at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fix", action="store_true", help="take them back")

    def handle(self, *_args: Any, fix: bool, **_options: Any) -> None:
        found = false_opt_outs.repair() if fix else false_opt_outs.look()
        self.stdout.write(
            f"Opt-outs by code 250 {'taken back' if fix else 'found'}: {found.opt_outs}."
        )
        self.stdout.write(f"Kept, because the person wrote “stop” as well: {found.by_reply}.")
        self.stdout.write(
            f"Messages whose reason {'is' if fix else 'would be'} mended: {found.messages}."
        )
        self.stdout.write(
            f"Messages of later mailings that left these people out: {found.left_out}."
        )
        if not fix and found != false_opt_outs.Repair():
            self.stdout.write("Nothing was changed. Run it with --fix to take them back.")
