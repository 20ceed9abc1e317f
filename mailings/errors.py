"""What a page may answer when a person asks for what is not possible now."""


class CannotLaunch(Exception):
    """Why the mailing may not go, in words for the manager."""


class WrongState(Exception):
    """The mailing is no longer where the button thought it was, in words for the manager."""
