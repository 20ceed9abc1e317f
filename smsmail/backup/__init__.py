"""Backups: one encrypted file with the database and the keys, made and put back."""


class BackupError(Exception):
    """Why it did not succeed, in a sentence for the person at the terminal. Nothing was changed."""
