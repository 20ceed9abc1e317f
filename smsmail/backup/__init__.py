"""Backups: one encrypted file with the database and the keys, made and put back."""


class BackupError(Exception):
    """The backup or restore failed. The text is a sentence for the person at the terminal. Nothing
    was changed.
    """
