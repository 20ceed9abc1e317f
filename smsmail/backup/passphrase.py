"""Gets the passphrase from the terminal, a file or the environment. It never comes from the command line,
which others on the machine can read.
"""

import getpass
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from smsmail.environment import secret

from . import BackupError

NAME = "BACKUP_PASSPHRASE"
SHORTEST = 12


def get(file: str, *, new: bool) -> str:
    """Return the passphrase. new: it is being chosen, so ask twice and require SHORTEST characters.
    Raises BackupError.
    """
    phrase = _given(file) or _typed(new=new)
    if new and len(phrase) < SHORTEST:
        raise BackupError(f"The passphrase must have at least {SHORTEST} characters.")
    return phrase


def _given(file: str) -> str:
    try:
        if file:
            phrase = Path(file).read_text().strip()
            if not phrase:
                raise BackupError(f"{file} is empty: it should hold the passphrase.")
            return phrase
        return secret(NAME)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BackupError(f"{file} is not a text file.") from error
    except ImproperlyConfigured as error:
        raise BackupError(str(error)) from error


def _typed(*, new: bool) -> str:
    if not sys.stdin.isatty():
        raise BackupError(
            f"There is no terminal to ask for the passphrase. Use --passphrase-file, {NAME} or {NAME}_FILE."
        )
    phrase = getpass.getpass("Passphrase: ")
    if new and getpass.getpass("The same again: ") != phrase:
        raise BackupError("The two passphrases differ.")
    return phrase
