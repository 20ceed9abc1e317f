"""Backup: one file with everything that makes an installation, database and keys, encrypted with a
passphrase.
"""


class BackupError(Exception):
    """The backup or restore failed. The text is a sentence for the person at the terminal. Nothing
    was changed.
    """
