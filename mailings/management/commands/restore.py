"""`manage.py restore FILE`: puts a backup back. Nothing is sent afterwards until the owner has
decided.
"""

import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from django.utils import timezone

from mailings.models import Epoch, Restoration
from mailings.reports import recount
from mailings.sending import epoch
from smsmail.backup import BackupError, keys, passphrase, postgresql, restoring
from smsmail.jobs import epoch_file, running

WORD = "restore"
# Workers advance the epoch more often than this.
ALIVE = timedelta(seconds=30)
WATCHED = 7.0  # seconds
STOP = "Stop it first: Ctrl-C where `make run` runs, or `docker compose stop web worker sender notifier beat`."


class Command(BaseCommand):
    help = "Puts a backup back in place of the database and the keys that are here."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument(
            "--passphrase-file", default="", help="else BACKUP_PASSPHRASE, else asked for"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask whether to go on")

    def handle(
        self, *_args: Any, file: str, passphrase_file: str, yes: bool, **_options: Any
    ) -> None:
        path = Path(file).absolute()
        try:
            manifest = restoring.look(path)
            self.describe(path, manifest)
            refuse_while_working()
            phrase = passphrase.get(passphrase_file, new=False)
            with restoring.proved(path, manifest, phrase) as proved:
                confirm(yes)
                noted = _noted()
                restoring.replace_database(proved.copy)
                by_hand = keys.put_back(proved.keys, path)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The keys could not be written: {error.strerror}.") from error
        self.finish(manifest, noted, by_hand)

    def describe(self, path: Path, manifest: dict[str, Any]) -> None:
        counts = manifest.get("counts", {})
        self.stdout.write(
            f"{path}: smsmail {manifest.get('version')}, made at {manifest.get('made_at')}: "
            + ", ".join(f"{count} {what}" for what, count in counts.items())
        )

    def finish(self, manifest: dict[str, Any], noted: Any, by_hand: list[str]) -> None:
        """Migrate to this code's schema, hold all sending, and verify the counters."""
        call_command("migrate", interactive=False, verbosity=0)
        epoch.hold(Restoration.Why.COMMAND, by_last=noted, copy_at=_made_at(manifest))
        differences = recount.compare()
        self.stdout.write("The database is put back.")
        for line in by_hand:
            self.stdout.write(line)
        self.stdout.write(
            "Start smsmail. It sends nothing until it has asked the SMS services what they have sent since, "
            "and until the owner has decided about the rest: Account settings > A restored copy."
        )
        if differences:
            raise CommandError(
                f"{len(differences)} counters differ from the rows: manage.py recount"
            )
        self.stdout.write("The counters equal the rows.")


def refuse_while_working() -> None:
    """Raises BackupError while anything of smsmail uses the database."""
    if running.somebody_does():
        raise BackupError(f"smsmail is running here. {STOP}")
    try:
        if connection.vendor == "postgresql" and (count := postgresql.others()):
            raise BackupError(f"The database is in use ({count} connections). {STOP}")
        first = _tick()
        if first is None or first[1] < timezone.now() - ALIVE:
            return
        until = time.monotonic() + WATCHED
        while time.monotonic() < until:
            if _tick() != first:
                raise BackupError(f"A worker is running somewhere. {STOP}")
            time.sleep(0.5)
    except DatabaseError:
        return  # there is no database yet, or none that can be read: nobody works with it
    finally:
        connection.close()


def confirm(yes: bool) -> None:
    """Raises BackupError unless a person confirms."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BackupError("There is no terminal to ask whether to go on. Use --yes.")
    print("What is in the database here now will be gone.")  # noqa: T201 - a question at the terminal
    if input(f"Type {WORD} to go on: ").strip() != WORD:
        raise BackupError("Not put back; nothing was changed.")


def _tick() -> tuple[int, datetime] | None:
    return Epoch.objects.values_list("tick", "at").first()


def _noted() -> epoch_file.Noted | None:
    try:
        return epoch_file.read()
    except OSError:
        return None


def _made_at(manifest: dict[str, Any]) -> datetime:
    made_at: datetime = datetime.fromisoformat(str(manifest["made_at"]))
    return made_at
