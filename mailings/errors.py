"""Exceptions that a page shows when a person asks for what is not possible now."""


class CannotLaunch(Exception):
    """The mailing cannot be launched. str() tells the manager why."""


class WrongState(Exception):
    """The mailing is no longer in the state that the button assumed. str() says so to the manager."""
