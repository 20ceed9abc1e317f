"""`manage.py backup FILE`: writes everything into one encrypted file, even while workers are
sending.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, transaction

from mailings.sending import epoch
from smsmail.backup import BackupError, making, passphrase


class Command(BaseCommand):
    help = "Writes database and keys into one file, encrypted under a passphrase."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="must not exist yet")
        parser.add_argument(
            "--passphrase-file",
            default="",
            help="else BACKUP_PASSPHRASE, else it is asked for; without it nobody opens the backup",
        )

    def handle(self, *_args: Any, file: str, passphrase_file: str, **_options: Any) -> None:
        target = Path(file).absolute()
        try:
            manifest = making.make(target, passphrase.get(passphrase_file, new=True))
        except BackupError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}") from error
        move_on()
        counts = manifest["counts"]
        self.stdout.write(
            f"{target}: {counts['people']} people, {counts['mailings']} mailings, "
            f"{counts['messages']} messages, and the keys, as of {manifest['made_at']}.\n"
            "Keep it on another machine, and the passphrase somewhere else: nobody opens it without."
        )


def move_on() -> None:
    """Advance the epoch, so that this copy is recognised as an older one, however recent it is."""
    if epoch.is_held():
        return
    with transaction.atomic():
        tick = epoch.advance()
        transaction.set_rollback(tick is None)
    if tick is not None:
        epoch.note(tick)
