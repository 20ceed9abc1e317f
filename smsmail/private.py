"""Makes files private to this user. Works without Django, because the settings need it earlier."""

import stat
from contextlib import suppress
from pathlib import Path


def private(path: Path) -> None:
    """Set the mode to 0600, whatever the umask was when the file was made."""
    with suppress(OSError):  # missing, or owned by somebody else
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
