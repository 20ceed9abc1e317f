"""One file with everything an installation is: database and keys, encrypted under a passphrase."""


class BackupError(Exception):
    """Why it did not succeed, in a sentence for the person at the terminal. Nothing was changed."""
